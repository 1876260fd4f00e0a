"""Everything that `denoise` can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_noise2score.apart import Apart
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction
from napari_noise2score.score.settings import TrainSettings

MOST_VIEWS = 8
"""Views of the image that are averaged after a training."""
QUICK_PIXELS = 1 << 20
"""Pixels of all views together where nothing is trained: about a second on a CPU."""
FLOAT, SOURCE = OUTPUTS = ('float32', 'source')
"""Dtypes of a clean image: single precision, or that of the image."""


@dataclass(frozen=True, slots=True)
class DenoiseSettings:
    """Everything that `denoise` can be told.

    Parameters
    ----------
    noise : NoiseRequest
        Noise model; estimated where not given.
    correction : Correction
        Form of the correction.
    training : TrainSettings
        How to train.
    orientations : int, optional
        Turned and mirrored views that are averaged in the correction, 1 to 8; 8 if not given, and
        as many as `QUICK_PIXELS` allow where nothing is trained, for a result at once.
    sigma_a : float, optional
        Perturbation left in at inference, noise standard deviations, 0 to 2; chosen by the risk
        if not given, and 0 where nothing is trained.
    output : str
        ``'float32'``, or ``'source'`` for the dtype of the image: whole numbers are rounded, and
        clipped to the range of the dtype.
    apart : Apart
        What gets a score of its own: nothing, so that one is trained on all images together, or
        each image, channel, or time point. Each is trained for the time of the settings.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = Correction.AUTO
    training: TrainSettings = field(default_factory=TrainSettings)
    orientations: int | None = None
    sigma_a: float | None = None
    output: str = FLOAT
    apart: Apart = Apart.NONE

    def __post_init__(self) -> None:
        if self.correction not in list(Correction):
            raise InputError(
                f'correction {self.correction!r} is unknown; known are {", ".join(Correction)}'
            )
        object.__setattr__(self, 'correction', Correction(self.correction))
        if self.orientations is not None and not 1 <= self.orientations <= 8:
            raise InputError(f'orientations are {self.orientations}; 1 to 8 are accepted')
        if self.sigma_a is not None and not 0 <= self.sigma_a <= 2:
            raise InputError(f'sigma_a is {self.sigma_a}; 0 to 2 are accepted')
        if self.apart not in list(Apart):
            raise InputError(f'apart {self.apart!r} is unknown; known are {", ".join(Apart)}')
        object.__setattr__(self, 'apart', Apart(self.apart))
        if self.output not in OUTPUTS:
            raise InputError(f'output {self.output!r} is unknown; known are {", ".join(OUTPUTS)}')

    def dtype_of(self, source: ImageSource) -> np.dtype[Any]:
        """Dtype of the clean image of a source."""
        return np.dtype(np.float32 if self.output == FLOAT else source.data.dtype)

    def views(self, pixels: int) -> int:
        """Turned and mirrored views that are averaged, for an image of so many pixels."""
        most = MOST_VIEWS if self.training.trains else QUICK_PIXELS // max(1, pixels)
        return self.orientations or min(max(1, most), MOST_VIEWS)

    @property
    def left_in(self) -> float | None:
        """Perturbation at inference; None if the risk is to choose it."""
        return 0.0 if self.sigma_a is None and not self.training.trains else self.sigma_a

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'noise': self.noise.to_dict(),
            'correction': str(self.correction),
            'training': self.training.to_dict(),
            'orientations': self.orientations,
            'sigma_a': self.sigma_a,
            'output': self.output,
            'apart': str(self.apart),
        }
