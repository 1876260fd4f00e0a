"""Waves of known frequencies in a plane: amplitude and phase, given what it is without noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.common import Sinusoid, Wave, carriers

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

_HELD = 0.05
"""Share of the noise that has to be left of a frequency so that half of a wave is believed."""
_NEAR, _AWAY = 2, 6
"""Frequencies in the neighbourhood of a wave, in waves across the plane, that tell that share."""

_LEAST_SMEARED = 0.1
"""Power of noise at a frequency over that of white noise, of which no less is believed."""


def wave_offsets(
    residual: Array, weight: Array, waves: Sequence[Wave], kernel: Array
) -> tuple[Sinusoid, ...]:
    """Amplitudes and phases of waves in a plane, given what it is without noise.

    Cosine and sine of each are Gaussian unknowns, of the variance of the wave: the normal
    equations of weighted least squares have one over it added, so that they are never larger
    than the plane shows. What of noise of their frequencies the clean image holds tells nothing:
    where a share ``q`` of it is left in the residual, they count by ``q / (q + 0.05)``.

    Parameters
    ----------
    residual : (Y, X) float64
        Noisy minus clean, grey levels.
    weight : (Y, X) float64
        One over the noise variance of each pixel; 0 where it does not count.
    waves : sequence of Wave
        Their frequencies and variances.
    kernel : (2 R + 1, 2 R + 1) float64
        Correlation of the noise between pixels.
    """
    if not waves or not weight.any():
        return tuple(Sinusoid(wave.frequency, 0j) for wave in waves)
    shape = residual.shape[0], residual.shape[1]
    pairs = [carriers(wave.frequency, shape) for wave in waves]
    smear = [smeared(kernel, wave.frequency) for wave in waves]
    count = len(waves)
    normal, common = np.zeros((2 * count, 2 * count)), np.zeros(2 * count)
    for one, (down, across) in enumerate(pairs):
        sums = complex(down @ ((residual * weight) @ across))
        common[2 * one : 2 * one + 2] = sums.real, sums.imag
        for two in range(one, count):
            other = pairs[two]
            plus = complex((down * other[0]) @ (weight @ (across * other[1])))
            less = complex((down * other[0].conj()) @ (weight @ (across * other[1].conj())))
            # products of cos and sin of the two, from those of the sum and the difference
            block = np.array(
                [
                    [less.real + plus.real, plus.imag - less.imag],
                    [plus.imag + less.imag, less.real - plus.real],
                ]
            )
            normal[2 * one : 2 * one + 2, 2 * two : 2 * two + 2] = block / 2
            normal[2 * two : 2 * two + 2, 2 * one : 2 * one + 2] = block.T / 2
    prior = np.repeat([s / wave.variance for s, wave in zip(smear, waves, strict=True)], 2)
    found = np.linalg.solve(normal + np.diag(prior), common)
    sinusoids = []
    for place, (wave, pair, by) in enumerate(zip(waves, pairs, smear, strict=True)):
        left = _left_over(residual * weight, float(weight.sum()) * by, pair)
        cosine, sine = found[2 * place : 2 * place + 2] * (left / (left + _HELD))
        sinusoids.append(Sinusoid(wave.frequency, complex(cosine, -sine)))
    return tuple(sinusoids)


def smeared(kernel: Array, frequency: tuple[float, float]) -> float:
    """Power of noise at a frequency over that of white noise of the same variance."""
    reach = len(kernel) // 2
    lag = np.arange(-reach, reach + 1)
    down, across = (np.exp(2j * np.pi * each * lag) for each in frequency)
    return float(max((down @ kernel @ across).real, _LEAST_SMEARED))


def _left_over(values: Array, chance: float, pair: tuple[Complex, Complex]) -> float:
    """Share of the power of noise that a weighted residual still has next to a frequency."""
    turns = np.arange(-_AWAY, _AWAY + 1)
    down, across = (
        each * np.exp(2j * np.pi * np.outer(turns, np.arange(len(each))) / len(each))
        for each in pair
    )
    power = np.abs(down @ (values @ across.T)) ** 2
    beside = np.maximum(np.abs(turns)[:, None], np.abs(turns)) > _NEAR
    return min(float(np.median(power[beside])) / float(np.log(2)) / chance, 1.0)
