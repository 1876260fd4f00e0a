"""Training domain of a model, and check whether an image is inside it.

In the unit-noise coordinate a network depends on its data through four properties only: the
levels, as the local mean; the noise variance at these levels; the correlation of the noise between
pixels; and whether the noise is nearly Gaussian there. Camera, gain, offset and noise family have
no other effect: the coordinate removes them.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.patterns.shared import NO_OFFSETS
from napari_noise2score.pipeline.blending import levels_of_slabs
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.pretrained import context_model
from napari_noise2score.score.network.parts import LOCAL
from napari_noise2score.score.planes import NoisyPlanes, PlanesInMemory
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.score.risk import Risk

if TYPE_CHECKING:
    from napari_noise2score.pipeline.selection import ChannelEvaluation
    from napari_noise2score.score.model import ScoreModel

CORRELATION = 0.1
"""Difference of a correlation of the noise that is reported as a warning."""

LEVEL = 4.0
"""Maximum distance of a level from those in the training, noise standard deviations.

Measured on smooth scenes of 18 standard deviations' range: 4 beyond it raised the squared error of
a score trained from scratch by 14 %, 8 by 34 %, 16 by 93 %; twice the contrast by more than half.
"""

VARIANCE = 0.2
"""Maximum distance of a noise variance from those in the training."""

SHARE = 0.01
"""Minimum share of pixels outside of the domain that is reported."""

_TAIL = 1e-3
"""Share of the pixels at each end that is excluded from the range: hot pixels, single stars."""
_PLANES, _PARTS = 4, 16
"""Maximum numbers of planes, and of parts of large planes, in which levels are measured."""
_SIGNIFICANT = 2.0
_WORTH = 0.1
"""Minimum advantage of the pretrained weights that is reported, relative to the risk."""


@dataclass(frozen=True, slots=True)
class TrainingDomain:
    """Properties of a channel in its unit-noise coordinate on which a network depends.

    Attributes
    ----------
    levels : (float, float)
        Lowest and highest local mean, without one pixel in a thousand at each end.
    variance : (float, float)
        Smallest and largest noise variance at these levels.
    correlation : tuple of float
        Correlation of the noise at the distances `napari_noise2score.noise.correlation.NEAREST`.
    gaussian : bool
        Whether the noise is nearly Gaussian.
    """

    levels: tuple[float, float]
    variance: tuple[float, float]
    correlation: tuple[float, ...]
    gaussian: bool

    @classmethod
    def of(
        cls, channel: PreparedChannel, means: NDArray[np.float64] | None = None
    ) -> TrainingDomain:
        """The domain of a channel, from its `local_means`; measured here if they are not given."""
        means = local_means(channel) if means is None else means
        return cls(
            _range(means),
            _range(channel.table.variance_at(means)),
            tuple(round(float(value), 4) for value in channel.correlation.nearest),
            channel.recorruptible,
        )

    @classmethod
    def from_dict(cls, values: Any) -> TrainingDomain | None:
        """The domain from its plain representation; None if that is not valid."""
        try:
            low, high = (float(value) for value in values['levels'])
            least, most = (float(value) for value in values['variance'])
            correlation = tuple(float(value) for value in values['correlation'])
            return cls((low, high), (least, most), correlation, bool(values['gaussian']))
        except (KeyError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return asdict(self)

    def correlation_distance(self, other: TrainingDomain) -> float:
        """Largest difference of the correlations."""
        pairs = zip(self.correlation, other.correlation, strict=False)
        return max((abs(a - b) for a, b in pairs), default=0.0)


def local_means(channel: PreparedChannel) -> NDArray[np.float64]:
    """Means over squares of `LOCAL` x `LOCAL` pixels of a few planes, unit-noise coordinate."""
    if channel.costly:  # the offsets of rows and pixels hardly change the means of blocks
        channel = replace(channel, offsets=NO_OFFSETS, even=None)
    planes = divided(channel)
    count, most = planes.shape[0], _PLANES if planes is channel else _PARTS
    some = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    means = np.concatenate([_whole_means(planes, int(plane)) for plane in some])
    if not len(means):  # these planes are blank, or have blank places everywhere
        every = (_whole_means(planes, plane) for plane in range(count))
        means = next((values for values in every if len(values)), means)
    return means if len(means) else channel.coordinate.forward([channel.table.base])


def _whole_means(planes: NoisyPlanes, plane: int) -> NDArray[np.float64]:
    means = _block_means(planes.plane(plane))
    return means[np.isfinite(means)]


def _block_means(plane: NDArray[np.float32]) -> NDArray[np.float64]:
    rows, columns = (min(LOCAL, side) for side in plane.shape)
    cut = plane[: len(plane) // rows * rows, : plane.shape[1] // columns * columns]
    blocks = cut.reshape(len(cut) // rows, rows, cut.shape[1] // columns, columns)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float64).ravel())


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (_TAIL, 1 - _TAIL))
    return round(float(low), 4), round(float(high), 4)


def training_domains(model: ScoreModel) -> list[TrainingDomain]:
    """Domains of the channels that a model was trained on; empty if its file does not contain
    them.
    """
    images = model.data.get('images', [])
    channels = [
        values
        for image in (images if isinstance(images, list) else [])
        if isinstance(image, dict)
        for values in image.get('seen') or []
    ]
    return [domain for domain in map(TrainingDomain.from_dict, channels) if domain is not None]


def misfits(model: ScoreModel, prepared: Prepared) -> list[str]:
    """Warnings about differences between an image and the training domain of a model.

    Parameters
    ----------
    model : ScoreModel
        The trained score.
    prepared : Prepared
        The image to which it is applied.

    Returns
    -------
    list of str
        Sentences, each with a remedy; empty if the image is inside the domain, or the domain is
        not known.
    """
    known = training_domains(model)
    if not known:
        return []
    warnings = []
    for channel in prepared.channels:
        place = channel.channel.words
        where = f' ({place})' if place else ''
        warnings += [f'The model does not fit{where}: {words}' for words in _of(channel, known)]
    return warnings


def _of(channel: PreparedChannel, known: Sequence[TrainingDomain]) -> list[str]:
    warnings = []
    means = local_means(channel)
    own = TrainingDomain.of(channel, means)
    low, high = _span([domain.levels for domain in known])
    for side, share in (
        ('darker', float((means < low - LEVEL).mean())),
        ('brighter', float((means > high + LEVEL).mean())),
    ):
        if share > SHARE:
            warnings.append(
                f'{100 * share:.0f} % of the image is {side} than all images it was trained on, '
                'measured in noise standard deviations. Train on this image, or continue from '
                'the model.'
            )
    least, most = _span([domain.variance for domain in known])
    variance = channel.table.variance_at(means)
    beyond = (variance < least - VARIANCE) | (variance > most + VARIANCE)
    if beyond.mean() > SHARE:
        warnings.append(
            f'in {100 * beyond.mean():.0f} % of the image the noise has a variance of '
            f'{variance[beyond].mean():.2f} in the unit-noise coordinate, and of '
            f'{_range_words(least, most)} in the training of the model (fewer photons, or wrong '
            'noise parameters). Train on this image, or check the noise model.'
        )
    nearest = min(known, key=own.correlation_distance)
    if own.correlation_distance(nearest) > CORRELATION:
        warnings.append(
            f'the noise is correlated between pixels by up to {_largest(own):.2f}, and by up to '
            f'{_largest(nearest):.2f} in the training of the model. The network gets this '
            'correlation, but has not learned it: train on this image.'
        )
    if all(domain.gaussian != own.gaussian for domain in known):
        kinds = {True: 'nearly Gaussian', False: 'of a few values only'}
        warnings.append(
            f'the noise is {kinds[own.gaussian]}, and was {kinds[not own.gaussian]} in the '
            'training of the model. Train on this image.'
        )
    return warnings


def _span(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def beaten_by_pretrained(
    evaluations: Sequence[ChannelEvaluation], *, device: str = 'auto', orientations: int = 2
) -> Generator[PredictProgress, None, str | None]:
    """Check whether the pretrained weights are better on an image that a model was not trained on.

    Both are evaluated by their risk at the same places of the image, without ground truth. This
    takes about a second on a CPU.

    Parameters
    ----------
    evaluations : sequence of ChannelEvaluation
        Evaluation of each channel with the model.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    orientations : int
        Number of averaged views; the same as in the evaluations.

    Yields
    ------
    PredictProgress
        After each trial.

    Returns
    -------
    str or None
        A warning, if they are better by more than two standard errors and by a tenth.
    """
    ours, theirs = [], []
    for evaluation in evaluations:
        planes = PlanesInMemory.like(evaluation.channel, evaluation.probe.slabs)
        start = warm_start().at_level(float(np.median(evaluation.probe.noisy)))
        beside = evaluation.beside
        if beside is not None:
            beside = replace(beside, model=context_model(evaluation.channel))
        clean = yield from levels_of_slabs(
            start,
            beside,
            planes,
            device=device,
            orientations=orientations,
            sigma_a=evaluation.sigma_a,
        )
        ours.append(evaluation.probe.risk(evaluation.clean))
        theirs.append(evaluation.probe.risk(clean))
    model, pretrained = (Risk.of_all(risks) for risks in (ours, theirs))
    if not pretrained.beats(model, by=_WORTH):
        return None
    return (
        'The model does not fit: the pretrained weights would give a better result on this '
        f'image (estimated error {100 * pretrained.share:.2g} % of the noise variance, not '
        f'{100 * model.share:.2g} %). Train on this image.'
    )


def _range_words(low: float, high: float) -> str:
    return f'{low:.2f}' if high - low < 0.01 else f'{low:.2f} to {high:.2f}'


def _largest(domain: TrainingDomain) -> float:
    return max(domain.correlation, key=abs, default=0.0)


def risk_warning(risk: Risk) -> str | None:
    """A warning if the estimated error is impossible, or larger than that of the noisy image."""
    if risk.impossible:
        return (
            f'The estimated error is {100 * risk.share:.2g} % of the noise variance, but an '
            'error cannot be below zero: the noise model or its parameters do not fit the '
            'image. This estimate was not used. Check the noise parameters.'
        )
    least = risk.value - _SIGNIFICANT * risk.standard_error
    if not math.isfinite(risk.value) or least <= risk.noise:
        return None
    return (
        f'The estimated error is {risk.share:.1f} times the noise variance: the result is worse '
        'than the noisy image; do not use it. The image may have no noise of its own (computed, '
        'averaged or denoised before); else the noise parameters or the model do not fit it: '
        'check them, or train on this image.'
    )
