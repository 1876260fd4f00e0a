"""Single frequencies over whole planes (mains hum, clocks): detection and measurement.

Such a wave is an isolated peak of the spectrum. Its amplitude is the same in every part of the
plane, dark or bright. Structure has neither property: edges and lines are ridges in the spectrum,
and a periodic structure ends where the sample ends, and depends on its intensity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.patterns.shared import Sinusoid, Wave, carriers
from napari_noise2score.noise.patterns.spectrum import MOST, Frequency, Spectrum

Array = NDArray[np.float64]

_SMALLEST = 32
"""Minimum height and width of a plane, pixels, to detect waves."""
_SURE = 40.0
"""Minimum power of a peak in structured images, relative to its surroundings; below it, the parts
of a plane do not show whether the wave is the same everywhere."""
_UNEVEN = 0.15
"""Share of the amplitude by which parts of a plane may differ, in addition to noise."""
_STANDARD = 4.0
"""Standard deviations by which the differences of parts may exceed those of noise."""
_LEVELS = 3
"""Classes of dark, medium and bright pixels."""
_SMOOTH = 2.0
"""Standard deviation of the Gaussian filter for an image, pixels."""
_FAR = 3.5
"""Noise standard deviations at which the rest of an image is clipped."""
_ROUGH = 2.0
"""Power from which a place counts as structure, relative to the median power."""
LEAST = 1e-3
"""Smallest variance of a detected wave, relative to that of the noise: a weaker wave leaves less
in a denoised image than the noise does."""
_LARGEST = 0.5
"""Largest variance of a wave in structured images, relative to that of the noise."""
_OWN_MIRROR = 0.3
"""Cycles per plane by which a frequency may differ from one that is its own mirror image."""


class Flat(NamedTuple):
    """An image without its structure, (Y, X): the rest, its weights, and the structure."""

    field: Array
    weight: Array
    level: Array


def flattened(image: Array, weight: Array) -> Flat:
    """An image minus its Gaussian-smoothed version; places with structure get the weight 0.

    Parameters
    ----------
    image : (Y, X) float64
        Grey levels, finite.
    weight : (Y, X) float64
        One over the noise variance of each pixel; 0 where it does not count.
    """
    level = ndimage.gaussian_filter(image, _SMOOTH, mode='mirror', truncate=3)
    field = image - level
    square = field**2 * weight
    power = ndimage.uniform_filter(square, 7, mode='mirror')
    there = weight > 0
    usual = float(np.median(power[there][:: max(1, power.size // 65536)])) if there.any() else 0.0
    counted = np.where(power < _ROUGH * usual, weight, 0.0)
    limit = np.divide(usual, weight, out=np.zeros_like(weight), where=there)
    limit = _FAR * np.sqrt(limit)
    return Flat(np.clip(field, -limit, limit), counted, level)


def response(frequency: Frequency) -> float:
    """Share of the amplitude of a wave that `flattened` leaves."""
    square = frequency[0] ** 2 + frequency[1] ** 2
    return float(-np.expm1(-2 * (np.pi * _SMOOTH) ** 2 * square))


def waves_in(
    fields: Sequence[Array],
    weights: Sequence[Array],
    levels: Sequence[Array],
    most: float | None = None,
) -> tuple[Wave, ...]:
    """Single frequencies in some fields of noise, with another phase in each.

    Parameters
    ----------
    fields : sequence of (Y, X) float64
        Noise, or with ``most`` images without structure, see `flattened`. Only those of the most
        frequent shape count.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel, but for a factor; 0 where it does not count.
    levels : sequence of (Y, X) float64
        Intensities without noise, roughly.
    most : float, optional
        Variance of the noise in images; required where structure may be left in them.

    Returns
    -------
    tuple of Wave
        The strongest first.

    Notes
    -----
    The periodogram of white noise has an exponential distribution. Here it is that of the weighted
    fields under a sine window, over the geometric mean of the frequencies around each, in a square
    or along a line, so that the spectrum of the noise may have any smooth shape.
    """
    shapes = Counter(weight.shape for weight in weights if weight.any())
    if not shapes:
        return ()
    ((usual, _),) = shapes.most_common(1)
    if min(usual) < _SMALLEST:
        return ()
    used = [n for n, weight in enumerate(weights) if weight.shape == usual and weight.any()]
    held = _Fields(
        [fields[n] for n in used], [weights[n] for n in used], [levels[n] for n in used]
    )
    waves: list[Wave] = []
    refused: list[Frequency] = []
    spectrum = Spectrum.of(held.fields, held.weights)
    while len(waves) < MOST and len(refused) < MOST:
        peak = spectrum.peak(refused, _SURE if most else 0.0)
        if peak is None:
            break
        frequency = _refined(held, peak.frequency)
        wave = _wave(held, frequency, peak.around, most)
        if wave is None:
            refused.append(peak.frequency)
            continue
        waves.append(wave)
        held = held.without(frequency)
        spectrum = Spectrum.of(held.fields, held.weights)
    return tuple(sorted(waves, key=lambda wave: -wave.variance))


class _Fields(NamedTuple):
    """Fields, their weights and levels, (Y, X) each."""

    fields: Sequence[Array]
    weights: Sequence[Array]
    levels: Sequence[Array]

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.fields[0].shape
        return rows, columns

    @property
    def power(self) -> float:
        """Mean variance of the fields."""
        pairs = list(zip(self.fields, self.weights, strict=True))
        power = sum(float((field**2 * weight).sum()) for field, weight in pairs)
        return power / sum(float(weight.sum()) for _, weight in pairs)

    def without(self, frequency: Frequency) -> _Fields:
        """The fields without a wave."""
        rest = []
        for field, weight in zip(self.fields, self.weights, strict=True):
            share = _sum(field * weight, frequency) / float(weight.sum())
            rest.append(field - Sinusoid(frequency, _sides(frequency) * share).on(self.shape))
        return self._replace(fields=rest)


def _sum(values: Array, frequency: Frequency) -> complex:
    """Sum of values (Y, X) times ``exp(-2 pi i f r)``."""
    shape = values.shape[0], values.shape[1]
    down, across = carriers(frequency, shape)
    return complex(down.conj() @ (values @ across.conj()))


def _refined(held: _Fields, frequency: Frequency) -> Frequency:
    """The frequency near a place of the spectrum where the power of the fields is largest."""
    values = [field * weight for field, weight in zip(held.fields, held.weights, strict=True)]
    best = np.array(frequency)
    reach = 0.75 / np.array(held.shape)
    for _ in range(4):
        steps = [
            centre + width * np.linspace(-1, 1, 7)
            for centre, width in zip(best, reach, strict=True)
        ]
        down, across = (
            np.exp(-2j * np.pi * np.outer(step, np.arange(side)))
            for step, side in zip(steps, held.shape, strict=True)
        )
        power = sum(np.abs(down @ (each @ across.T)) ** 2 for each in values)
        row, column = np.unravel_index(int(np.argmax(power)), (7, 7))
        best = np.array([steps[0][row], steps[1][column]])
        reach = reach / 3
    # the power is flat around a frequency that is its own mirror image: alternate rows, a
    # chessboard
    half = np.round(2 * best) / 2
    if (np.abs(best - half) * held.shape < _OWN_MIRROR).all():
        best = half
    return float(best[0]), float(best[1])


def _sides(frequency: Frequency) -> int:
    """Number of peaks of a wave in the whole spectrum: one if it has no phase, else two."""
    return 1 if all(2 * each == round(2 * each) for each in frequency) else 2


def _wave(held: _Fields, frequency: Frequency, around: float, most: float | None) -> Wave | None:
    """The wave of a frequency; None if it is too small, too large, or uneven over the plane."""
    shares: list[complex] = []
    square = 0.0
    for field, weight in zip(held.fields, held.weights, strict=True):
        total = float(weight.sum())
        share = _sum(field * weight, frequency) / total
        shares.append(share)
        square += abs(share) ** 2 - around / total
    passed = response(frequency) if most else 1.0
    variance = _sides(frequency) * square / len(shares) / passed**2
    if variance < LEAST * held.power or (most and variance > _LARGEST * most):
        return None
    if not all(_even(held, frequency, shares, around, parts) for parts in _divisions(held)):
        return None
    return Wave(frequency, variance)


def wave_powers(field: Array, weight: Array, waves: Sequence[Wave]) -> list[float]:
    """Variances of known waves in an image that was `flattened`."""
    total = float(weight.sum())
    if total <= 0:
        return [wave.variance for wave in waves]
    sums = (abs(_sum(field * weight, wave.frequency)) ** 2 for wave in waves)
    return [
        _sides(wave.frequency)
        * max(square / total - 1, 0.0)
        / total
        / response(wave.frequency) ** 2
        for wave, square in zip(waves, sums, strict=True)
    ]


Division = Callable[[int], tuple[NDArray[np.intp], int]]
"""Number of the part that each pixel of a field belongs to, (Y, X), and how many there are."""


def _divisions(held: _Fields) -> tuple[Division, ...]:
    """Divisions of a plane: by place into 4 and 16 parts, and by intensity into 3."""
    rows, columns = held.shape

    def by_place(count: int) -> Division:
        number = (np.arange(rows) * count // rows)[:, None] * count
        return lambda _: (number + np.arange(columns) * count // columns, count**2)

    def by_level(index: int) -> tuple[NDArray[np.intp], int]:
        level, weight = held.levels[index], held.weights[index]
        steps = np.linspace(0, 1, _LEVELS + 1)[1:-1]
        return np.searchsorted(np.quantile(level[weight > 0], steps), level), _LEVELS

    return by_place(2), by_place(4), by_level


def _even(
    held: _Fields,
    frequency: Frequency,
    shares: Sequence[complex],
    around: float,
    division: Division,
) -> bool:
    """Whether a wave is the same in all parts, within the noise."""
    chi, freedom = 0.0, 0.0
    down, across = carriers(frequency, held.shape)
    carrier = down.conj()[:, None] * across.conj()
    for index, share in enumerate(shares):
        number, count = division(index)
        flat, weight = number.ravel(), held.weights[index]
        values = held.fields[index] * weight * carrier
        sums = np.bincount(flat, values.real.ravel(), count) + 1j * np.bincount(
            flat, values.imag.ravel(), count
        )
        total = np.bincount(flat, weight.ravel(), count)
        seen = total > 0
        away = np.abs(sums - share * total)[seen] ** 2
        chance = around * total[seen] + (_UNEVEN * abs(share) * total[seen]) ** 2
        chi += float((away / chance).sum())
        freedom += int(seen.sum()) - 1
    return bool(chi < freedom + _STANDARD * (1.5 * max(freedom, 1.0)) ** 0.5)
