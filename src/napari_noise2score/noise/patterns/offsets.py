"""Offsets of rows, columns and waves together: detected in noise, and estimated in a plane.

Waves are detected and subtracted first: row noise is detected because it is white from row to row,
and a wave would hide this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.patterns.rows import row_noise, row_offsets
from napari_noise2score.noise.patterns.shared import Offsets, RowNoise, Sinusoid, Wave
from napari_noise2score.noise.patterns.sinusoids import (
    power_around,
    relative_power,
    solved,
    wave_offsets,
)
from napari_noise2score.noise.patterns.waves import (
    LEAST,
    flattened,
    response,
    wave_powers,
    waves_in,
)

Array = NDArray[np.float64]

_WHITE = np.ones((1, 1))
_LEAST_SMEAR = 0.1
"""Lower limit of the variance of a mean, relative to that for independent pixels."""
_FIXED = 2.0
"""Row noise counts as fixed if its variance in a mean of frames is at least this many times the
variance that row noise of single frames leaves there."""


def shared_noise(
    fields: Sequence[Array], weights: Sequence[Array], levels: Sequence[Array], noise: float
) -> RowNoise:
    """Row noise, column noise and waves of differences of frames.

    Parameters
    ----------
    fields : sequence of (Y, X) float64
        Noise alone, such as differences of frames over the root of 2.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel, but for a factor; 0 where it does not count.
    levels : sequence of (Y, X) float64
        Intensities without noise, roughly.
    noise : float
        Mean variance of the noise.

    Returns
    -------
    RowNoise
        In the unit of the fields.
    """
    waves = waves_in(fields, weights, levels)
    if waves:
        detected = RowNoise(noise=noise, waves=waves)
        pairs = zip(fields, weights, strict=True)
        fields = [field - offsets_of(field, weight, detected).plane for field, weight in pairs]
    return replace(row_noise(fields, weights, noise), waves=waves)


def shared_noise_of_images(
    images: Sequence[Array], weights: Sequence[Array], noise: float
) -> RowNoise:
    """Row noise, column noise and waves of images; their structure does not count.

    Parameters
    ----------
    images : sequence of (Y, X) float64
        Noise on an image.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel, but for a factor; 0 where it does not count.
    noise : float
        Mean variance of the noise of one frame.

    Returns
    -------
    RowNoise
        In the unit of the images.
    """
    waves, images = separate_waves(images, weights, noise)
    return replace(row_noise(images, weights, noise), waves=waves)


def separate_waves(
    images: Sequence[Array], weights: Sequence[Array], noise: float
) -> tuple[tuple[Wave, ...], list[Array]]:
    """The waves of images, and the images without these waves; see `shared_noise_of_images`."""
    flat = [flattened(*pair) for pair in zip(images, weights, strict=True)]
    waves = waves_in(
        [each.field for each in flat],
        [each.weight for each in flat],
        [each.level for each in flat],
        most=noise,
    )
    return waves, without_waves(images, weights, waves) if waves else list(images)


def without_waves(
    images: Sequence[Array], weights: Sequence[Array], waves: Sequence[Wave]
) -> list[Array]:
    """Images without the given waves, whose phases come from `flattened` images."""
    rest = []
    for image, weight in zip(images, weights, strict=True):
        plane = np.zeros_like(image)
        for wave in first_waves(image, weight, waves):
            plane += wave.on((image.shape[0], image.shape[1]))
        rest.append(image - plane)
    return rest


def first_waves(image: Array, weight: Array, waves: Sequence[Wave]) -> tuple[Sinusoid, ...]:
    """Waves of an image whose structure is not known, estimated from the `flattened` image.

    All other power next to their frequencies, structure included, counts as noise.
    """
    field, counted, _ = flattened(image, weight)
    passed = [response(wave.frequency) for wave in waves]
    total = max(float(counted.sum()), 1e-300)
    noise = [power_around(field * counted, wave.frequency) / total for wave in waves]
    variances = [wave.variance * by**2 for wave, by in zip(waves, passed, strict=True)]
    sinusoids = solved(field, counted, variances, noise, waves)
    return tuple(
        replace(wave, amplitude=wave.amplitude / by)
        for wave, by in zip(sinusoids, passed, strict=True)
    )


def waves_of_single_frames(
    row_noise: RowNoise, runs: Sequence[Sequence[Array]], weights: Sequence[Array]
) -> RowNoise:
    """Waves with their variance in single frames: frames that were compared may have similar
    phases.

    Parameters
    ----------
    row_noise : RowNoise
        What differs between frames.
    runs : sequence of sequence of (Y, X) float64
        Frames of one scene each.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel of the frames of a scene.
    """
    if not row_noise.waves:
        return row_noise
    powers = [
        wave_powers(*flattened(frame, weight)[:2], row_noise.waves)
        for frames, weight in zip(runs, weights, strict=True)
        for frame in frames
    ]
    waves = tuple(
        replace(wave, variance=max(wave.variance / 2, variance))
        for wave, variance in zip(row_noise.waves, np.mean(powers, axis=0), strict=True)
    )
    return replace(row_noise, waves=waves)


def with_fixed_part(
    images: Sequence[Array], weights: Sequence[Array], changing: RowNoise, frames: float
) -> RowNoise:
    """Row noise that differs between frames, and the fixed part, measured in means of frames.

    Parameters
    ----------
    images : sequence of (Y, X) float64
        Means of frames of one scene.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel of a mean, but for a factor.
    changing : RowNoise
        Row noise that differs between frames.
    frames : float
        Number of frames in each mean.
    """
    measured = shared_noise_of_images(images, weights, changing.noise)
    rows = _fixed_part(measured.rows, changing.rows / frames)
    columns = _fixed_part(measured.columns, changing.columns / frames)
    known = [wave.frequency for wave in changing.waves]
    sides = images[0].shape
    waves = [
        replace(wave, fixed=True)
        for wave in measured.waves
        if wave.variance >= LEAST * changing.noise
        and not any(_same(wave.frequency, other, sides) for other in known)
    ]
    return replace(
        changing,
        rows=changing.rows + rows,
        columns=changing.columns + columns,
        waves=(*changing.waves, *waves),
        fixed_rows=rows,
        fixed_columns=columns,
    )


def _fixed_part(variance: float, left: float) -> float:
    """Fixed part of the variance in a mean; ``left`` is what the changing part leaves there."""
    return variance - left if variance > _FIXED * left else 0.0


def _same(one: tuple[float, float], other: tuple[float, float], sides: Sequence[int]) -> bool:
    """Whether two frequencies are the same within two waves across the plane."""
    return all(abs(a - b) * side < 2 for a, b, side in zip(one, other, sides, strict=True))


def offsets_of(residual: Array, weight: Array, noise: RowNoise, kernel: Array = _WHITE) -> Offsets:
    """Offsets of the rows, columns and waves of a plane, given its clean image.

    Parameters
    ----------
    residual : (Y, X) float64
        Noisy minus clean, grey levels.
    weight : (Y, X) float64
        One over the noise variance of each pixel; 0 where it does not count.
    noise : RowNoise
        Variances of the offsets.
    kernel : (2 R + 1, 2 R + 1) float64
        Correlation of the noise between pixels.

    Returns
    -------
    Offsets
        Rows and columns have a weighted mean of 0, so the mean of the plane does not change.
    """
    shape = residual.shape[0], residual.shape[1]
    waves = wave_offsets(residual, weight, noise.waves, kernel)
    left = residual - sum(wave.on(shape) for wave in waves) if waves else residual
    down, across = variance_of_means(kernel)
    rows = row_offsets(left, weight, noise.rows, down)
    left = left - rows[:, None]
    return Offsets(rows, row_offsets(left.T, weight.T, noise.columns, across), waves)


def first_offsets(image: Array, weight: Array, noise: RowNoise) -> Offsets:
    """Waves of a plane, before its clean image is known.

    Parameters
    ----------
    image, weight : (Y, X) float64
        Grey levels, and one over their noise variance, 0 where there are none.
    noise : RowNoise
        Frequencies and variances of the waves.
    """
    rows, columns = image.shape
    waves = first_waves(image, weight, noise.waves) if noise.waves else ()
    return Offsets(np.zeros(rows), np.zeros(columns), waves)


def variance_of_means(kernel: Array) -> tuple[float, float]:
    """Variance of the mean of a row, and of a column, relative to that for independent pixels."""
    centre = len(kernel) // 2
    along, down = float(kernel[centre].sum()), float(kernel[:, centre].sum())
    return max(along, _LEAST_SMEAR), max(down, _LEAST_SMEAR)


def unknown_of(noise: RowNoise, kernel: Array, shape: tuple[int, int]) -> float:
    """Variance of the error of the estimated offsets of a pixel."""
    height, width = shape
    along, down = variance_of_means(kernel)
    left = _left(noise.rows, noise.noise * along / width)
    left += _left(noise.columns, noise.noise * down / height)
    for wave in noise.waves:
        chance = 2 * noise.noise * relative_power(kernel, wave.frequency) / (height * width)
        left += _left(wave.variance, chance)
    return left


def _left(variance: float, chance: float) -> float:
    return variance * chance / (variance + chance)


def levelled_pair(
    first: Array, second: Array, mask: NDArray[np.bool_], noise: RowNoise
) -> tuple[Array, Array]:
    """Two frames of one scene under one light, without the offsets that differ between them.

    Parameters
    ----------
    first, second : (Y, X) float64
        Grey levels.
    mask : (Y, X) bool
        Where they show one scene.
    noise : RowNoise
        Variance of the offsets that differ between frames.
    """
    difference = np.where(mask, first - second, 0.0) / 2**0.5
    half = offsets_of(difference, mask / noise.noise, noise).plane / 2**0.5
    return first - half, second + half
