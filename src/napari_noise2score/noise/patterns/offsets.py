"""Offsets that pixels have in common, of all kinds: found in noise, and estimated in a plane.

Waves are found first and taken off: rows are told by what is white from row to row, which a wave
hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.patterns.rows import row_noise, row_offsets
from napari_noise2score.noise.patterns.shared import Offsets, RowNoise, Sinusoid, Wave
from napari_noise2score.noise.patterns.sinusoids import beside, smeared, solved, wave_offsets
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
"""Variance of a mean over that for independent pixels, of which no less is believed."""
_STANDING = 2.0
"""Rows of a mean of frames have to be so many times what is left of those of single frames."""


def shared_noise(
    fields: Sequence[Array], weights: Sequence[Array], levels: Sequence[Array], noise: float
) -> RowNoise:
    """What differences of frames have in common along rows, columns and waves.

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
        found = RowNoise(noise=noise, waves=waves)
        pairs = zip(fields, weights, strict=True)
        fields = [field - offsets_of(field, weight, found).plane for field, weight in pairs]
    return replace(row_noise(fields, weights, noise), waves=waves)


def shared_noise_of_images(
    images: Sequence[Array], weights: Sequence[Array], noise: float
) -> RowNoise:
    """The same in images, whose structure is left out of it.

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
    waves, images = waves_taken_off(images, weights, noise)
    return replace(row_noise(images, weights, noise), waves=waves)


def waves_taken_off(
    images: Sequence[Array], weights: Sequence[Array], noise: float
) -> tuple[tuple[Wave, ...], list[Array]]:
    """The waves of images, and these without them; see `shared_noise_of_images`."""
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
    """Images without waves that were found, by what their rest has of them; see `flattened`."""
    rest = []
    for image, weight in zip(images, weights, strict=True):
        plane = np.zeros_like(image)
        for wave in first_waves(image, weight, waves):
            plane += wave.on((image.shape[0], image.shape[1]))
        rest.append(image - plane)
    return rest


def first_waves(image: Array, weight: Array, waves: Sequence[Wave]) -> tuple[Sinusoid, ...]:
    """Waves of an image whose structure is not known, by what `flattened` leaves of it.

    What else it leaves next to their frequencies, structure too, counts as noise.
    """
    field, kept, _ = flattened(image, weight)
    passed = [response(wave.frequency) for wave in waves]
    total = max(float(kept.sum()), 1e-300)
    noise = [beside(field * kept, wave.frequency) / total for wave in waves]
    variances = [wave.variance * by**2 for wave, by in zip(waves, passed, strict=True)]
    found = solved(field, kept, variances, noise, waves)
    return tuple(
        replace(wave, amplitude=wave.amplitude / by)
        for wave, by in zip(found, passed, strict=True)
    )


def measured_in_frames(
    found: RowNoise, runs: Sequence[Sequence[Array]], weights: Sequence[Array]
) -> RowNoise:
    """Waves as large as they are in single frames: phases may be much the same in those compared.

    Parameters
    ----------
    found : RowNoise
        What differs between frames.
    runs : sequence of sequence of (Y, X) float64
        Frames of one scene each.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel of the frames of a scene.
    """
    if not found.waves:
        return found
    powers = [
        wave_powers(*flattened(frame, weight)[:2], found.waves)
        for frames, weight in zip(runs, weights, strict=True)
        for frame in frames
    ]
    waves = tuple(
        replace(wave, variance=max(wave.variance / 2, variance))
        for wave, variance in zip(found.waves, np.mean(powers, axis=0), strict=True)
    )
    return replace(found, waves=waves)


def standing(
    images: Sequence[Array], weights: Sequence[Array], changing: RowNoise, frames: float
) -> RowNoise:
    """What differs between frames, and what is the same in all of them, by the mean of frames.

    Parameters
    ----------
    images : sequence of (Y, X) float64
        Means of frames of one scene.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel of a mean, but for a factor.
    changing : RowNoise
        What differs between frames.
    frames : float
        Of how many frames the images are the mean.
    """
    found = shared_noise_of_images(images, weights, changing.noise)
    rows = _standing(found.rows, changing.rows / frames)
    columns = _standing(found.columns, changing.columns / frames)
    known = [wave.frequency for wave in changing.waves]
    sides = images[0].shape
    waves = [
        replace(wave, fixed=True)
        for wave in found.waves
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


def _standing(found: float, left: float) -> float:
    """Variance that is the same in every frame, of that in a mean and what others left of it."""
    return found - left if found > _STANDING * left else 0.0


def _same(one: tuple[float, float], other: tuple[float, float], sides: Sequence[int]) -> bool:
    """Whether two frequencies are the same within two waves across the plane."""
    return all(abs(a - b) * side < 2 for a, b, side in zip(one, other, sides, strict=True))


def offsets_of(residual: Array, weight: Array, noise: RowNoise, kernel: Array = _WHITE) -> Offsets:
    """Offsets of the rows, columns and waves of a plane, given what it is without noise.

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
        Rows and columns have a weighted mean of 0: the light of the plane stays.
    """
    shape = residual.shape[0], residual.shape[1]
    waves = wave_offsets(residual, weight, noise.waves, kernel)
    left = residual - sum(wave.on(shape) for wave in waves) if waves else residual
    down, across = smear_of(kernel)
    rows = row_offsets(left, weight, noise.rows, down)
    left = left - rows[:, None]
    return Offsets(rows, row_offsets(left.T, weight.T, noise.columns, across), waves)


def first_offsets(image: Array, weight: Array, noise: RowNoise) -> Offsets:
    """Waves of a plane alone, before it is known what the plane is without noise.

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


def smear_of(kernel: Array) -> tuple[float, float]:
    """Variance of the mean of a row, and of a column, over that for independent pixels."""
    middle = len(kernel) // 2
    along, down = float(kernel[middle].sum()), float(kernel[:, middle].sum())
    return max(along, _LEAST_SMEAR), max(down, _LEAST_SMEAR)


def unknown_of(noise: RowNoise, kernel: Array, shape: tuple[int, int]) -> float:
    """Variance of the offsets of a pixel about their estimate: what chance leaves of them."""
    height, width = shape
    along, down = smear_of(kernel)
    left = _left(noise.rows, noise.noise * along / width)
    left += _left(noise.columns, noise.noise * down / height)
    for wave in noise.waves:
        chance = 2 * noise.noise * smeared(kernel, wave.frequency) / (height * width)
        left += _left(wave.variance, chance)
    return left


def _left(variance: float, chance: float) -> float:
    return variance * chance / (variance + chance)


def levelled_pair(
    first: Array, second: Array, mask: NDArray[np.bool_], noise: RowNoise
) -> tuple[Array, Array]:
    """Two frames of one scene under one light, without what their rows and columns differ by.

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
