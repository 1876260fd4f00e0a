"""Drawing of synthetic scenes: points, curved lines, smooth noise, blur; in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float64]
Shape = tuple[int, int]

PIXEL_SIZE = 0.1
"""Width of a pixel of every scene, micrometres."""

PSF_SIGMA = 1.15
"""Standard deviation of the in-focus point spread function, pixels (0.27 um full width)."""


def to_unit_range(image: Image) -> Image:
    """The image divided by its largest value; negative rounding errors become 0."""
    image = np.maximum(image, 0)
    return np.asarray(image / image.max())


def blur(image: Image, sigma: float | Sequence[float]) -> Image:
    """The image convolved with a Gaussian, of one width or of one for each axis."""
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode='reflect'), dtype=np.float64)


def smooth_noise_1d(length: int, scale: float, rng: np.random.Generator) -> Image:
    """Correlated noise of unit variance along a line."""
    values = ndimage.gaussian_filter1d(rng.normal(size=length), scale, mode='wrap')
    return np.asarray(values * (2 * np.pi**0.5 * scale) ** 0.5)


def texture(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Image:
    """Smooth noise of unit variance."""
    values = ndimage.gaussian_filter(rng.normal(size=shape), max(sigma, 0.6), mode='reflect')
    return np.asarray(values / values.std())


def persistent_walk(
    start: Image, angle: float, *, length: float, rng: np.random.Generator
) -> Image:
    """Points ``(K, 2)`` every half pixel along a stiff, slightly curved line."""
    step = 0.5
    count = max(2, round(length / step))
    bend = rng.normal(0, 0.35) / length + smooth_noise_1d(count, 60, rng) * 0.9 / length
    direction = angle + np.cumsum(bend * step * 2.2)
    steps = step * np.stack([np.sin(direction), np.cos(direction)], axis=1)
    return np.asarray(start + np.cumsum(steps, axis=0))


def deposit(image: Image, points: Image, weights: Image) -> None:
    """Add weights at fractional points ``(K, N)`` to the pixels around each, in place.

    ``image`` has N axes; each point is shared by the 2^N pixels around it.
    """
    base = np.floor(points).astype(np.intp)
    fraction = points - base
    for corner in product((0, 1), repeat=image.ndim):
        place = base + corner
        share = np.prod(np.abs(1 - np.array(corner) - fraction), axis=1)
        inside = ((place >= 0) & (place < image.shape)).all(axis=1)
        np.add.at(image, tuple(place[inside].T), (weights * share)[inside])


def scattered(shape: Shape, spacing: float, rng: np.random.Generator) -> list[Image]:
    """Random points with a minimum distance of ``spacing``, some of them beyond the border."""
    margin = spacing / 3
    tries = 20 * round(np.prod(np.array(shape) + spacing) / spacing**2)
    points: list[Image] = []
    for candidate in rng.uniform(-margin, np.array(shape) + margin, (tries, 2)):
        if all(np.hypot(*(candidate - point)) >= spacing for point in points):
            points.append(candidate)
    return points
