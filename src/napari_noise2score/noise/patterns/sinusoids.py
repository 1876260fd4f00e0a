"""Waves of known frequencies in a plane: amplitude and phase, given the clean image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.patterns.shared import Sinusoid, Wave, carriers

Array = NDArray[np.float64]

_HELD = 0.05
"""Share of the noise left in the residual at a frequency for which a wave gets the weight 1/2."""
_NEAR, _AWAY = 2, 6
"""Inner and outer distance of the frequencies around a wave from which that share is measured, in
cycles per plane."""

_LEAST_POWER = 0.1
"""Lower limit of the power of noise at a frequency, relative to white noise."""


def wave_offsets(
    residual: Array, weight: Array, waves: Sequence[Wave], kernel: Array
) -> tuple[Sinusoid, ...]:
    """Amplitudes and phases of waves in a plane, given its clean image.

    Cosine and sine of each are Gaussian unknowns, of the variance of the wave: the normal
    equations of weighted least squares have one over it added, so that they are never larger than
    without it. The clean image may contain a part of the noise at their frequencies: where the
    residual has a share ``q`` of it, they are multiplied by ``1.05 q / (q + 0.05)``.

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
    smear = [relative_power(kernel, wave.frequency) for wave in waves]
    estimated = solved(residual, weight, [wave.variance for wave in waves], smear, waves)
    total = float(weight.sum())
    sinusoids = []
    for wave, by in zip(estimated, smear, strict=True):
        left = min(power_around(residual * weight, wave.frequency) / max(by * total, 1e-300), 1.0)
        sinusoids.append(
            replace(wave, amplitude=wave.amplitude * left * (1 + _HELD) / (left + _HELD))
        )
    return tuple(sinusoids)


def solved(
    residual: Array,
    weight: Array,
    variances: Sequence[float],
    smear: Sequence[float],
    waves: Sequence[Wave],
) -> tuple[Sinusoid, ...]:
    """Amplitudes and phases for a clean image that contains no noise.

    Parameters
    ----------
    residual, weight : (Y, X) float64
        As in `wave_offsets`.
    variances : sequence of float
        Variances of the waves in the residual.
    smear : sequence of float
        Power of the noise at each frequency, relative to that of independent pixels.
    waves : sequence of Wave
        Their frequencies.
    """
    if not waves or not weight.any():
        return tuple(Sinusoid(wave.frequency, 0j) for wave in waves)
    shape = residual.shape[0], residual.shape[1]
    pairs = [carriers(wave.frequency, shape) for wave in waves]
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
    prior = np.repeat(np.asarray(smear) / np.asarray(variances), 2)
    solution = np.linalg.solve(normal + np.diag(prior), common)
    return tuple(
        Sinusoid(wave.frequency, complex(cosine, -sine))
        for wave, (cosine, sine) in zip(waves, solution.reshape(-1, 2), strict=True)
    )


def relative_power(kernel: Array, frequency: tuple[float, float]) -> float:
    """Power of noise at a frequency, relative to white noise of the same variance."""
    reach = len(kernel) // 2
    lag = np.arange(-reach, reach + 1)
    down, across = (np.exp(2j * np.pi * each * lag) for each in frequency)
    return float(max((down @ kernel @ across).real, _LEAST_POWER))


def power_around(values: Array, frequency: tuple[float, float]) -> float:
    """Power of a weighted field (Y, X) around a frequency, without that of the wave itself."""
    turns = np.arange(-_AWAY, _AWAY + 1)
    down, across = (
        each * np.exp(2j * np.pi * np.outer(turns, np.arange(len(each))) / len(each))
        for each in carriers(frequency, (values.shape[0], values.shape[1]))
    )
    power = np.abs(down @ (values @ across.T)) ** 2
    near = np.maximum(np.abs(turns)[:, None], np.abs(turns)) <= _NEAR
    return float(np.median(power[~near]) / np.log(2))
