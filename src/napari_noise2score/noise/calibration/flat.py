"""Flat-field frames: the gain from the noise under even light (photon transfer)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.calibration.dark import Dark
from napari_noise2score.noise.calibration_frames import block_means, blocks, checked_frames
from napari_noise2score.noise.correlation import Correlation, correlation_of
from napari_noise2score.noise.digits import counted, digits
from napari_noise2score.noise.line_fit import fit_line, reweighted

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FLICKER, _ONE_LEVEL = 1.05, 1.2
"""Maximum ratio of the light of frames of one level: of two next in brightness, and of any two."""
_PARTLY_CLIPPED = 1e-3
_COMPRESSED = 0.9
"""Noise variance of a light level, relative to a darker one, below which the sensor is near its
full well."""
_SIGNIFICANT = 5.0
_OUTLYING = 4.5
"""Standard deviations from which a value is excluded; this reduces the variance of the noise by
1e-4."""
_MOST_FIELDS = 8
_LEAST = 1e-6
"""Minimum of the expected variance, relative to the largest one."""
_NO_ZERO = 20.0
"""Ratio of the distance from 0 to the range of the values above which the offset is not near 0."""
_ROUNDS = 4
"""Rounds of the weighted fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Measurements on flat-field frames.

    Attributes
    ----------
    gain, gain_error : float
        Grey levels per photon and its standard error.
    zero, zero_error : float
        Level at which the line of the noise variance is zero, grey levels: without read noise this
        is the offset, otherwise it is lower by ``read_noise^2 / gain``. With dark frames it comes
        from them.
    levels : tuple of float
        Mean grey levels of the light levels used.
    frames : int
        Number of frames used.
    correlation : Correlation
        Correlation of the noise between pixels; white if it is small.
    notes : tuple of str
        Warnings for the user.
    """

    gain: float
    gain_error: float
    zero: float
    zero_error: float
    levels: tuple[float, ...]
    frames: int
    correlation: Correlation
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Light:
    """Frames of one light level: mean (Y, X), residuals (T, Y, X), usable pixels (Y, X)."""

    mean: Array
    rest: Array
    valid: Mask

    @property
    def variance(self) -> Array:
        """Temporal variance, (Y, X)."""
        return np.asarray((self.rest**2).sum(axis=0) / (len(self.rest) - 1))

    def points(self) -> tuple[Array, ...]:
        """Mean, variance and number of measurements by block, (B,) each."""
        level, variance, count = block_means(self.valid, self.mean, self.variance)
        return level, variance, count * (len(self.rest) - 1)


def measure_flat(frames: ArrayLike, dark: Dark | None = None) -> Flat:
    """Gain from frames of even light.

    Parameters
    ----------
    frames : (T, Y, X) array
        Grey levels, any real dtype, at least 16 x 16 pixels; two frames or more of each light
        level, in any order. The light may be uneven over the field.
    dark : Dark, optional
        Measurements on dark frames of the same camera.

    Raises
    ------
    InputError
        If no light level has two frames, all frames are saturated or darker than the dark frames,
        or the gain cannot be measured.

    Notes
    -----
    The variance at a pixel over the frames of a light level, after each is scaled to their common
    light, is ``gain (mean - offset) + read_noise^2``: it does not contain uneven light or a fixed
    pattern (Janesick, "Photon Transfer", 2007, ch. 5; EMVA Standard 1288, release 4.0, sec. 6.6).
    With dark frames the line goes through their point; without them several light levels are
    needed, or light that is uneven enough.
    """
    raw = checked_frames(frames, 'flat field')
    if dark is not None:
        return _measured(raw, dark.offset, dark)
    lowest = float(raw.mean(axis=(1, 2), dtype=np.float64).min())
    least, most = float(raw.min()), float(raw.max())
    begin = least - (most - least) if abs(least) > _NO_ZERO * (most - least) else min(0.0, least)
    first = _measured(raw, begin, None)
    return _measured(raw, min(first.zero, lowest - 0.1 * (lowest - begin)), None)


def _measured(raw: NDArray[Any], base: float, dark: Dark | None) -> Flat:
    """Measurements if ``base`` is the grey level without light."""
    notes: list[str] = []
    lights, levels, count = _lights(raw, base, notes)
    points = [light.points() for light in lights]
    level, variance, weight = (np.concatenate(each) for each in zip(*points, strict=True))
    if not len(level):
        raise InputError(
            'flat field: too many pixels differ from their neighbours; evenly lit frames are '
            'needed'
        )
    if dark is None:
        line = _free_line(level, variance, weight, lights, levels)
    else:
        line = _line_from(dark, level, variance, weight)
    gain, zero = line[0], line[2]
    correlation = _correlation(lights[-1], gain, zero)
    return Flat(*line, tuple(levels), count, correlation, tuple(notes))


def _lights(
    raw: NDArray[Any], base: float, notes: list[str]
) -> tuple[list[_Light], list[float], int]:
    """The usable light levels, the darkest first, their means and their number of frames."""
    means = raw.mean(axis=(1, 2), dtype=np.float64)
    if means.max() <= base:
        raise InputError(
            f'flat field: its mean, {means.max():.4g} grey levels, is not above that of the dark '
            f'frames, {base:.4g}; are the two exchanged?'
        )
    lit = means > base
    if not lit.all():
        dim = int((~lit).sum())
        are = 'is' if dim == 1 else 'are'
        notes.append(
            f'{counted(dim, "flat-field frame")} {are} not brighter than the dark frames.'
        )
    groups = [group for group in _grouped(means, base, lit) if len(group) > 1]
    rail = _rail(raw)
    if not groups and (raw >= rail).mean() > 0.5:
        raise InputError(_saturated(rail))
    if not groups:
        raise InputError(
            f'flat field: {counted(len(raw), "different frame")}, no two at the same light '
            'level; at least two at each level are needed, because the gain is measured from '
            'their differences'
        )
    alone = int(lit.sum()) - sum(map(len, groups))
    if alone:
        notes.append(
            f'{counted(alone, "flat-field frame")} without a second frame at the same light '
            f'level {"was" if alone == 1 else "were"} left out.'
        )
    usable: list[list[int]] = []
    saturated: list[list[int]] = []
    for group in groups:
        clipped = raw[group] >= rail
        share = float((clipped.any(axis=0) & ~clipped.all(axis=0)).mean())
        whole = float(clipped.all(axis=0).mean())
        bad = share > _PARTLY_CLIPPED or whole > 0.5
        (saturated if bad else usable).append(group)
    if not usable:
        raise InputError(_saturated(rail))
    if saturated:
        were = 'was' if len(saturated) == 1 else 'were'
        notes.append(f'{counted(len(saturated), "saturated light level")} {were} left out.')
    lights = [_light(raw[group], means[group], base, rail) for group in usable]
    strength = np.array([float(np.median(light.points()[1])) for light in lights])
    top = int(strength.argmax())
    last = next(
        (i for i in range(top + 1, len(lights)) if strength[i] < _COMPRESSED * strength[top]),
        len(lights),
    )
    if last < len(lights):
        notes.append(
            f'Light levels of {means[usable[last]].mean():.5g} grey levels or more were left '
            'out: their noise is weaker, as near the full well of a sensor.'
        )
    levels = [float(means[group].mean()) for group in usable[:last]]
    return lights[:last], levels, sum(len(group) for group in usable[:last])


def _saturated(rail: float) -> str:
    return (
        f'flat field: saturated at {rail:.6g} grey levels; frames at about half of the range are '
        'needed'
    )


def _grouped(means: Array, base: float, lit: Mask) -> list[list[int]]:
    """Numbers of the frames of each light level."""
    groups: list[list[int]] = []
    for place in np.argsort(means, kind='stable').tolist():
        if not lit[place]:
            continue
        if groups:
            lowest, last = (means[groups[-1][i]] - base for i in (0, -1))
            if means[place] - base <= min(_FLICKER * last, _ONE_LEVEL * lowest):
                groups[-1].append(place)
                continue
        groups.append([place])
    return groups


def _rail(raw: NDArray[Any]) -> float:
    """Grey level of saturation; ``inf`` if no values are saturated."""
    values, counts = np.unique(raw, return_counts=True)
    if raw.dtype.kind in 'ui' and values[-1] == np.iinfo(raw.dtype).max:
        return float(values[-1])
    piled = len(values) == 1 or counts[-1] > 2 * counts[-2]
    return float(values[-1]) if piled and counts[-1] > 20 else float('inf')


def _light(frames: NDArray[Any], means: Array, base: float, rail: float) -> _Light:
    """Frames of one light level, scaled to their mean light."""
    light = float(means.mean()) - base
    scale = (light / (means - base))[:, None, None]
    scaled = base + (frames.astype(np.float64) - base) * scale
    mean = scaled.mean(axis=0)
    rest = scaled - mean
    count = len(frames)
    variance = (rest**2).sum(axis=0) / (count - 1)
    # median of a chi-square over its mean (Wilson & Hilferty, 1931): hot pixels do not count
    median = float(np.median(variance)) / (1 - 2 / (9 * (count - 1))) ** 3
    typical = max(median, 0.5 * float(np.median(blocks(variance).mean(axis=1))))
    # the light may be uneven: its noise is that of the brightest pixels at most
    most = max(typical, typical * float(np.quantile(mean, 0.999) - base) / light)
    limit = _OUTLYING * (most**0.5 + most / light)
    valid = (np.abs(rest).max(axis=0) <= limit) & (frames < rail).all(axis=0)
    return _Light(mean, rest, valid)


def _line_from(
    dark: Dark, level: Array, variance: Array, count: Array
) -> tuple[float, float, float, float]:
    """Gain, its error, zero of the line and its error, from the line through the dark frames."""
    x, y = level - dark.offset, variance - dark.read_noise**2

    def weights(gain: float) -> Array:
        expected = abs(gain) * x + dark.read_noise**2
        return np.asarray(count / np.maximum(expected, _LEAST * float(expected.max())) ** 2)

    fit = reweighted(
        partial(fit_line, x, y, through=(0.0, 0.0)),
        lambda fit: weights(fit.slope),
        weights(float((count * y).sum() / (count * x).sum())),
        _ROUNDS,
    )
    gain = fit.slope
    scatter = float(fit.sandwich[0, 0] ** 0.5)
    lever = float((fit.weight * x).sum()) / fit.square
    error = float(
        np.linalg.norm(
            [
                scatter,
                gain * lever * dark.offset_error,
                2 * dark.read_noise * lever * dark.read_noise_error,
            ]
        )
    )
    if gain <= _SIGNIFICANT * error:
        raise InputError(
            'flat field: its noise does not increase with the light; unprocessed frames are '
            'needed, brighter than the dark ones by far more than the read noise'
        )
    zero = dark.offset - dark.read_noise**2 / gain
    return gain, error, zero, dark.offset_error


def _free_line(
    level: Array, variance: Array, count: Array, lights: list[_Light], levels: list[float]
) -> tuple[float, float, float, float]:
    """Gain, its error, zero of the line and its error, from the flat-field frames only."""
    mean = float(np.average(variance, weights=count))
    if not mean > 0:
        raise InputError('flat field: its frames contain no noise; unprocessed frames are needed')
    width = float(level.std())
    if not width > 0:
        raise InputError(_one_level(levels))
    least = 0.02 * float(np.median(variance))
    fit = reweighted(
        partial(fit_line, level, variance),
        lambda fit: count / np.maximum(fit.fitted, least) ** 2,
        count / mean**2,
        _ROUNDS,
    )
    gain, covariance = fit.slope, fit.sandwich
    error = float(covariance[0, 0] ** 0.5)
    frames = np.mean([len(light.rest) for light in lights])
    blurred = float(np.median(np.sqrt(variance / np.maximum(count, 1)) / frames**0.5))
    if gain <= _SIGNIFICANT * error or width < _SIGNIFICANT * blurred:
        raise InputError(_one_level(levels))
    return gain, error, fit.zero, fit.zero_error(covariance)


def _one_level(levels: list[float]) -> str:
    known = ', '.join(digits(level, (max(levels) - min(levels)) / 100) for level in levels)
    return (
        f'flat field: the gain cannot be measured at {known} grey levels alone, because the '
        'offset is not known; give dark frames too, or frames at two light levels that are far '
        'apart'
    )


def _correlation(light: _Light, gain: float, zero: float) -> Correlation:
    variance = gain * (light.mean - zero)
    noise = np.sqrt(np.maximum(variance, _LEAST * float(variance.max())))
    count = max(1, min(_MOST_FIELDS, len(light.rest) - 1))
    fields = [rest / noise for rest in light.rest[:count]]
    return correlation_of(fields, [light.valid] * len(fields)).relevant
