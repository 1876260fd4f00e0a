"""Noise parameters from three methods side by side, and their disagreements.

1. The photon-transfer fit: from the image alone (`napari_noise2score.noise.estimate.blind`).
2. NoiseAdaptive2Score's closed forms: from the slope of the learned score
   (`napari_noise2score.noise.from_score.closed_forms`), which also shows the family.
3. Noise2Score's search: the parameter whose corrected image has the smallest criterion
   (`napari_noise2score.noise.from_score.criteria`).

The last two need a trained score, which both sample with `napari_noise2score.score.score_samples`.
No value is selected here: each has its error, and larger disagreements are reported in sentences.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import (
    AffineVarianceFamily,
    Gamma,
    Gaussian,
    NoiseFamily,
    Poisson,
    PoissonGaussian,
)
from napari_noise2score.noise.from_score import closed_forms as adaptive
from napari_noise2score.noise.from_score import criteria
from napari_noise2score.noise.from_score.comparison import (
    ChannelParameters,
    Method,
    ParameterEvidence,
    PowerEvidence,
)
from napari_noise2score.noise.from_score.search import minimise
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.score_samples import ScoreSamples, sample_score

Array = NDArray[np.float64]
AnyArray = NDArray[np.floating[Any]]

_PARTS = 16
"""Number of parts of the image; each is excluded once for the standard errors (jackknife)."""
_STEP = 0.05
"""Distance from the clean estimate of the second value of the score, noise standard deviations."""
_FEW_FOR_SCORE, _FEW_FOR_SEARCH = 3.0, 20.0
"""Mean photons per pixel below which closed form and search are not reliable."""
_FIT_TOLERANCE = 0.05
"""Tolerance of other parameters from the photon-transfer fit, relative to the value."""
_FIT_PHOTONS = 0.5
"""Tolerance of offset and read noise from the photon-transfer fit, photons."""


class ScorePair(NamedTuple):
    """The score at two values of pixels, arrays of one shape, grey levels."""

    y: Array
    score: Array
    moved: Array
    moved_score: Array


@dataclass(frozen=True, slots=True)
class FamilyEstimators:
    """Methods that estimate the noise level of a family from a score.

    Attributes
    ----------
    parameter : str
        The parameter of the noise level; the others are fixed.
    powers : (float, float)
        Smallest and largest power of the intensity in the variance.
    closed_form : callable
        Returns the value from ``(pair, parameters in use)``; NaN if there is none.
    criterion : callable
        Returns ``Q`` from ``(x, y)``, see `napari_noise2score.noise.from_score.criteria`.
    bounds : callable
        Returns the limits of the search from ``(y, intensity without light)``.
    bias : (float, float)
        Possible amounts by which the true value is smaller and larger than that of the closed
        form, relative to it.
    search_bias : (float, float)
        The same for the search.
    """

    parameter: str
    powers: tuple[float, float]
    closed_form: Callable[[ScorePair, dict[str, float]], float]
    criterion: Callable[[AnyArray, AnyArray], AnyArray]
    bounds: Callable[[Array, float], tuple[float, float]]
    bias: tuple[float, float]
    search_bias: tuple[float, float]


def _gaussian_sigma(pair: ScorePair, fixed: dict[str, float]) -> float:
    return math.sqrt(adaptive.gaussian_variance(*pair))


def _poisson_gain(pair: ScorePair, fixed: dict[str, float]) -> float:
    read_noise = fixed.get('read_noise', 0.0)
    return adaptive.poisson_gain(*pair, offset=fixed['offset'], read_noise=read_noise)


def _gamma_shape(pair: ScorePair, fixed: dict[str, float]) -> float:
    return adaptive.gamma_shape(*pair)


def _shape_bounds(y: Array, dark: float) -> tuple[float, float]:
    """From single-look speckle to noise of 2 %."""
    return 1.0, 2500.0


def _sigma_bounds(y: Array, dark: float) -> tuple[float, float]:
    """Limits from the variation of the image, of which the noise is a part."""
    return 0.02 * float(y.std()), float(y.std())


def _gain_bounds(y: Array, dark: float) -> tuple[float, float]:
    """From 3000 photons to a tenth of a photon in a mean pixel."""
    mean = max(float(y.mean()) - dark, 1e-3 * float(y.std()))
    return mean / 3000, mean * 10


_SIGMA = FamilyEstimators(
    'sigma',
    (0.0, 0.0),
    _gaussian_sigma,
    criteria.gaussian,
    _sigma_bounds,
    bias=(0.15, 0.05),
    search_bias=(0.3, 0.1),
)
_GAIN = FamilyEstimators(
    'gain',
    (1.0, 1.0),
    _poisson_gain,
    criteria.poisson,
    _gain_bounds,
    bias=(0.35, 0.1),
    search_bias=(0.3, 1.0),
)
_SHAPE = FamilyEstimators(
    'shape',
    (2.0, 2.0),
    _gamma_shape,
    criteria.gamma,
    _shape_bounds,
    bias=(0.1, 0.5),
    search_bias=(0.5, 1.0),
)
ESTIMATORS: dict[type[NoiseFamily], FamilyEstimators] = {
    Gaussian: _SIGMA,
    Poisson: _GAIN,
    Gamma: _SHAPE,
    PoissonGaussian: dataclasses.replace(_GAIN, powers=(0.0, 1.0)),
}
"""The methods of each family; other families have only the photon-transfer fit. The biases are set
by hand, according to measurements on one scene (docs/quality.md)."""


def compare_parameters(
    model: ScoreModel,
    prepared: Prepared,
    *,
    size: int = 256,
    planes: int = 2,
    draws: int = 2,
    device: str = 'auto',
    seed: int = 0,
) -> Generator[PredictProgress, None, tuple[ChannelParameters, ...]]:
    """Estimate the noise parameters of every channel with all methods.

    Parameters
    ----------
    model : ScoreModel
        Model that was trained on similar images, with the noise model of ``prepared``.
    prepared : Prepared
        The image and the noise models in use.
    size, planes, draws, device, seed
        Parameters of `napari_noise2score.score.score_samples.sample_score`.

    Yields
    ------
    PredictProgress
        After every tile.

    Returns
    -------
    tuple of ChannelParameters
        One for each channel. It takes about 10 s per channel on a CPU.
    """
    results = []
    for channel in prepared.channels:
        samples = yield from sample_score(
            model,
            channel,
            channel.table,
            size=size,
            planes=planes,
            draws=draws,
            device=device,
            seed=seed,
        )
        results.append(compare_channel(channel, samples))
    return tuple(results)


def compare_channel(channel: PreparedChannel, samples: ScoreSamples) -> ChannelParameters:
    """Estimate the noise parameters of a channel with all methods, from samples of its score."""
    evidence = _from_fit(channel)
    power = None
    estimators = ESTIMATORS.get(type(channel.family))
    if estimators is not None:
        photons = _photons(channel, samples.local_score(channel.coordinate, channel.table))
        closed = _by_closed_form(channel, samples, estimators, photons)
        evidence += [closed] if closed is not None else []
        evidence.append(_by_search(channel, samples, estimators, photons))
        power = _power(channel, samples, estimators) if photons >= _FEW_FOR_SCORE else None
    return ChannelParameters(channel.channel.place, channel.family, tuple(evidence), power)


def _from_fit(channel: PreparedChannel) -> list[ParameterEvidence]:
    """The given values, if there are any, and those of the photon-transfer fit."""
    family, fit = channel.family, channel.fit
    fitted: NoiseFamily | None = None
    if fit is not None:
        try:
            fitted = NoiseRequest(family.name).resolve(fit)
        except InputError:  # no photon noise in these data
            fitted = None
    evidence = []
    if fitted != family:
        for name, value in family.parameters().items():
            evidence.append(ParameterEvidence(Method.GIVEN, name, value, 0.0, 0.0, 0.0))
    if fitted is not None and fit is not None:
        values = fitted.parameters()
        photon = values.get('gain', 0.0)
        for name, value in values.items():
            error = fit.errors.get(name, abs(value) * fit.spread)
            in_photons = name in ('offset', 'read_noise')
            bias = _FIT_PHOTONS * photon if in_photons else _FIT_TOLERANCE * value
            evidence.append(
                ParameterEvidence(Method.PHOTON_TRANSFER, name, value, error, bias, bias)
            )
    return evidence


def _photons(channel: PreparedChannel, score: LocalScore) -> float:
    """Mean number of photons per pixel, for the gain in use; infinite for a family without a
    gain.
    """
    gain = channel.family.parameters().get('gain')
    if gain is None:
        return math.inf
    return (float(channel.coordinate.inverse(score.clean).mean()) - _dark(channel)) / gain


def _dark(channel: PreparedChannel) -> float:
    """Intensity without light: that of the family in use, otherwise that of the fit, otherwise 0.

    Multiplicative noise has no offset.
    """
    if not isinstance(channel.family, AffineVarianceFamily):
        return 0.0
    known = channel.fit.family.parameters() if channel.fit is not None else {}
    return (known | channel.family.parameters()).get('offset', 0.0)


def _score_pair(channel: PreparedChannel, score: LocalScore) -> ScorePair:
    """The score at the clean estimate, which has no noise, and at a nearby value."""
    coordinate = channel.coordinate
    y, moved = (coordinate.inverse(score.clean + step) for step in (0.0, _STEP))
    return ScorePair(y, score.at(y), moved, score.at(moved))


def _over_parts(
    channel: PreparedChannel, samples: ScoreSamples, estimate: Callable[[ScorePair], float]
) -> tuple[float, float]:
    """Value from all samples, and its jackknife standard error."""

    def at(part: ScoreSamples) -> float:
        return estimate(_score_pair(channel, part.local_score(channel.coordinate, channel.table)))

    value = at(samples)
    parts = min(_PARTS, samples.noisy.shape[1])
    if parts < 2 or not math.isfinite(value):
        return value, 0.0
    values = np.array([at(samples.without(part, parts)) for part in range(parts)])
    error = ((parts - 1) * np.nanvar(values)) ** 0.5
    return value, float(error)


def _by_closed_form(
    channel: PreparedChannel, samples: ScoreSamples, estimators: FamilyEstimators, photons: float
) -> ParameterEvidence | None:
    fixed = channel.family.parameters()
    value, error = _over_parts(channel, samples, lambda pair: estimators.closed_form(pair, fixed))
    if not math.isfinite(value):
        return None
    below, above = (share * value for share in estimators.bias)
    doubt = 'not reliable below 3 photons per pixel' if photons < _FEW_FOR_SCORE else ''
    return ParameterEvidence(
        Method.CLOSED_FORM, estimators.parameter, value, error, below, above, doubt=doubt
    )


def _by_search(
    channel: PreparedChannel, samples: ScoreSamples, estimators: FamilyEstimators, photons: float
) -> ParameterEvidence:
    family, dark = channel.family, _dark(channel)
    score = samples.local_score(channel.coordinate, channel.table)
    y = channel.coordinate.inverse(samples.noisy[0])
    bright = float(np.quantile(y, 0.999)) - dark
    scale = bright if bright > 0 else float(y.std())
    target = (y - dark) / scale

    def criterion(value: float) -> AnyArray:
        candidate = dataclasses.replace(family, **{estimators.parameter: value})
        x = candidate.correct(y, score, Correction.CHAINED)
        return estimators.criterion((x - dark) / scale, target)

    minimum = minimise(criterion, *estimators.bounds(y, dark))
    below, above = (share * minimum.value for share in estimators.search_bias)
    doubt = 'too small below about 20 photons per pixel' if photons < _FEW_FOR_SEARCH else ''
    doubt = 'at the limit of the search range' if minimum.at_edge else doubt
    return ParameterEvidence(
        Method.SEARCH,
        estimators.parameter,
        minimum.value,
        minimum.error,
        below,
        above,
        minimum,
        doubt,
    )


def _power(
    channel: PreparedChannel, samples: ScoreSamples, estimators: FamilyEstimators
) -> PowerEvidence | None:
    estimate = partial(_power_of, dark=_dark(channel))
    value, error = _over_parts(channel, samples, estimate)
    return PowerEvidence(value, error, estimators.powers) if math.isfinite(value) else None


def _power_of(pair: ScorePair, *, dark: float) -> float:
    return adaptive.tweedie_power(*pair, offset=dark)[0]
