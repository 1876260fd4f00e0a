"""All settings of a denoising: the noise, the training, the correction and the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score.fields import check, setting
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.settings.choices import Context, ModelPer, Output
from napari_noise2score.settings.training import TrainSettings
from napari_noise2score.settings.tree import from_dict, to_dict

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource

VIEWS, MOST_VIEWS = 4, 8
"""Number of views of the image that are averaged after a training, and the largest number. More
than four bring at most 0.02 dB, and take as much longer."""
QUICK_PIXELS = 1 << 20
"""Maximum number of pixels of all views without a training: about a second on a CPU."""


@dataclass(frozen=True, slots=True)
class DenoiseSettings:
    """All settings of `denoise`.

    Parameters
    ----------
    noise : NoiseRequest
        Noise model; parameters that are not given are estimated.
    correction : Correction
        Form of the correction.
    training : TrainSettings
        Settings of the training.
    context : Context
        What the network sees beside a plane: the other frames, the other slices, or nothing;
        ``'auto'``, the default, chooses by the axes.
    model_per : ModelPer
        Whether one model is trained on all images together, or one for each image, channel or time
        point. Each model is trained for the training time.
    orientations : int, optional
        Number of rotated and mirrored views that are averaged, 1 to 8. The default is 4 with a
        training; without one, the views have `QUICK_PIXELS` pixels at most, for a quick result.
    sigma_a : float, optional
        Perturbation at inference, noise standard deviations, 0 to 2. By default it is selected by
        the risk; without a training it is 0.
    output : Output
        ``'float32'``, or ``'source'`` for the data type of the image. Values of an integer type
        are rounded and clipped to its range.

    Raises
    ------
    InputError
        If a value is out of its range.

    Examples
    --------
    >>> from napari_noise2score import DenoiseSettings, NoiseRequest, TrainSettings
    >>> settings = DenoiseSettings(
    ...     noise=NoiseRequest('poisson'), training=TrainSettings(seconds=30), output='source'
    ... )
    >>> settings.to_dict()['noise']
    {'family': 'poisson', 'correlation': 'auto'}
    """

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = setting(
        Correction.AUTO,
        label='Correction',
        help='Formula that turns the score into clean grey levels; auto uses the one with the '
        'smallest estimated risk.',
        in_form='Formula that turns the score into clean grey levels; automatic uses the one '
        'with the smallest estimated risk.',
        details='In most cases this is stabilised; chained is exact for photons with read '
        'noise. A change needs no new training: the displayed slice changes at once; '
        'press Correct for the whole layer.',
        choices={
            Correction.AUTO: 'Automatic (least risk)',
            Correction.STABILISED: 'Stabilised',
            Correction.CHAINED: 'Chained (exact)',
            Correction.PAPER: 'As in the paper',
        },
    )
    training: TrainSettings = field(default_factory=TrainSettings)
    context: Context = setting(
        Context.AUTO,
        label='Context',
        help='What the network sees beside a plane: the other frames (time), the other slices '
        '(depth), or nothing (none); auto chooses by the axes.',
        in_form='What the network sees beside a plane: the other frames (time), the other slices '
        '(depth), or nothing (none). Automatic chooses by the axes.',
        details='With the other planes, places that do not change get much cleaner at once. '
        'What stands out in a single plane is hardly weakened; a message says how much of a weak '
        'event is kept. None is quicker, and right if every plane must be a measurement of its '
        'own.',
        choices={
            Context.AUTO: 'Automatic',
            Context.NONE: 'None',
            Context.TIME: 'Time',
            Context.DEPTH: 'Depth',
        },
    )
    model_per: ModelPer = setting(
        ModelPer.ALL,
        label='One model for',
        help='Train one model for each image, channel or time point, each for the training time; '
        'all trains one model on all images together.',
        in_form='Whether one model is trained on all ticked layers together, or one for each '
        'layer, channel or time point, each for the training time.',
        details='One model for all ticked layers learns from the most data and is best in most '
        'cases; one for each layer, channel or time point suits those that look '
        'different.',
        choices={
            ModelPer.ALL: 'All ticked layers',
            ModelPer.IMAGE: 'Each layer',
            ModelPer.CHANNEL: 'Each channel',
            ModelPer.TIME: 'Each time point',
        },
    )
    orientations: int | None = setting(
        None,
        label='Views',
        help='Rotated and mirrored views of the image that are averaged.',
        least=1,
        most=MOST_VIEWS,
        command=False,
        panel=False,
    )
    sigma_a: float | None = setting(
        None,
        label='Perturbation',
        unit='noise standard deviations',
        help='Perturbation of the image at inference, 0 to 2 noise standard deviations; if it '
        'is not given, it is chosen by the estimated risk.',
        least=0,
        most=2,
        metavar='A',
        panel=False,
    )
    output: Output = setting(
        Output.FLOAT,
        label='Data type',
        help='Data type of the result: float32, or source for that of the input, rounded and '
        'clipped to its range.',
        in_form='Data type of the result: 32-bit float, or the type of the layer, rounded and '
        'clipped to its range.',
        details='The type of the input needs less memory and disk space; the panel shows how many '
        'values were clipped.',
        choices={
            Output.FLOAT: '32-bit float',
            Output.SOURCE: 'As the layer',
        },
        option='dtype',
        preference=True,
    )

    def __post_init__(self) -> None:
        check(self)

    def dtype_of(self, source: ImageSource) -> np.dtype[Any]:
        """Data type of the clean image of a source."""
        return np.dtype(np.float32 if self.output is Output.FLOAT else source.data.dtype)

    def views(self, pixels: int) -> int:
        """Number of rotated and mirrored views that are averaged, for a number of pixels."""
        most = VIEWS if self.training.trains else QUICK_PIXELS // max(1, pixels)
        return self.orientations or min(max(1, most), VIEWS)

    @property
    def left_in(self) -> float | None:
        """Perturbation at inference; None if it is selected by the risk."""
        return 0.0 if self.sigma_a is None and not self.training.trains else self.sigma_a

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DenoiseSettings:
        """Settings from the result of `to_dict`.

        Raises
        ------
        InputError
            If there is no such setting, a value is not accepted, or the noise was given with maps
            of pixels, which are not stored.
        """
        given = dict(values)
        noise = NoiseRequest.from_dict(given.pop('noise', {}))
        return replace(from_dict(cls, given), noise=noise)
