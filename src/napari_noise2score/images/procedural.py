"""Synthetic clean images for the pretraining, with the kinds of structure that microscopes show.

They contain no real images. Each is a mixture of a few layers: dead leaves (overlapping shapes of
power-law sizes, which have the statistics of natural scenes), curved lines, spots of light,
textured blobs, scale-free textures and gratings. The mixture is blurred as by an objective,
changed by a gamma curve, and lit unevenly.

References
----------
Lee, Mumford & Huang, "Occlusion models for natural images", IJCV 2001 (dead leaves).
Achddou, Gousseau & Ladjal, "Synthetic images as a regularity prior for image restoration neural
networks", SSVM 2021.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float64]

_SMALLEST = 1.2, 12.0
"""Range of the radius of an image's smallest leaf, pixels."""

_STEEPNESS = 3.0
"""Exponent of the power law of the radii of leaves: it gives the same statistics at every
scale."""


def procedural_image(size: int, rng: np.random.Generator) -> Image:
    """One clean image.

    Parameters
    ----------
    size : int
        Height and width, pixels, >= 32.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    (Y, X) float64
        0 to 1, both reached.
    """
    count = int(rng.integers(1, 4))
    image = np.zeros((size, size))
    for _ in range(count):
        layer = _LAYERS[rng.choice(len(_LAYERS), p=_SHARES)](size, rng)
        image = image + rng.uniform(0.2, 1) * _stretched(layer)
    image = _stretched(ndimage.gaussian_filter(image, _blur_width(rng), mode='reflect'))
    image = image ** rng.uniform(0.5, 2.5)
    if rng.uniform() < 0.4:
        image = image * (1 - rng.uniform(0.1, 0.9) * _slope(size, rng))
    if rng.uniform() < 0.2:
        image = 1 - image
    return _stretched(image)


def _blur_width(rng: np.random.Generator) -> float:
    """Width of the blur, pixels: 0, or that of an objective with correct sampling."""
    return 0.0 if rng.uniform() < 0.25 else float(rng.uniform(0.4, 2.2))


def _leaves(size: int, rng: np.random.Generator) -> Image:
    """Overlapping discs, ellipses and rectangles, the last drawn on top; some are textured."""
    smallest = float(np.exp(rng.uniform(*np.log(_SMALLEST))))
    largest = max(size * rng.uniform(0.1, 0.6), 2 * smallest)
    image = np.full((size, size), rng.uniform())
    cloth = _unit(_texture(size, rng) if rng.uniform() < 0.5 else _stripes(size, rng))
    roughness = rng.choice([0.0, 0.05, 0.2])
    # radii by inverting the power law between the smallest and the largest
    low, high = smallest ** (1 - _STEEPNESS), largest ** (1 - _STEEPNESS)
    cover, drawn = 0.0, 0
    while cover < 2.5 * size**2 and drawn < 1500:
        radius = (low + rng.uniform() * (high - low)) ** (1 / (1 - _STEEPNESS))
        long, short = radius * rng.uniform(0.8, 1.6), radius * rng.uniform(0.4, 1)
        centre = rng.uniform(-radius / 2, size + radius / 2, 2)
        window, u, v = _frame(size, centre, rng.uniform(0, np.pi), long, short)
        shape = np.maximum(np.abs(u), np.abs(v)) if rng.uniform() < 0.3 else np.hypot(u, v)
        value = rng.uniform() + rng.normal(0, 0.15) * u
        if roughness:
            value = value + roughness * rng.uniform() * cloth[window]
        image[window] = np.where(shape <= 1, value, image[window])
        cover += np.pi * long * short
        drawn += 1
    return image


def _stripes(size: int, rng: np.random.Generator) -> Image:
    """A fine to coarse grating, sinusoidal or sharp, deformed by a smooth field."""
    y, x = np.mgrid[:size, :size]
    turn = rng.uniform(0, np.pi)
    period = float(np.exp(rng.uniform(np.log(3), np.log(24))))
    bend = ndimage.gaussian_filter(rng.normal(size=(size, size)), size * rng.uniform(0.05, 0.3))
    phase = (y * np.sin(turn) + x * np.cos(turn)) / period + rng.uniform(0, 1.5) * _unit(bend)
    wave = np.sin(2 * np.pi * phase)
    return np.asarray(np.tanh(wave * rng.uniform(0.3, 4)))


def _lines(size: int, rng: np.random.Generator) -> Image:
    """Curved filaments of uneven brightness, some of them parallel."""
    image = np.zeros((size, size))
    common, spread = rng.uniform(0, 2 * np.pi), rng.choice([0.2, 3.0])
    for _ in range(int(rng.integers(4, 60))):
        length = int(size * rng.uniform(0.2, 2.0)) + 8
        stiffness = rng.uniform(20, 200)
        turn = np.cumsum(rng.normal(0, 1 / stiffness, length))
        angle = common + rng.normal(0, spread) + turn
        steps = 0.5 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        path = rng.uniform(0, size, 2) + np.cumsum(steps, axis=0)
        light = rng.uniform(0.2, 1) * (1 + 0.3 * np.sin(np.arange(length) / rng.uniform(5, 50)))
        _deposit(image, path, light)
    return np.tanh(image * rng.uniform(0.3, 1.5))


def _spots(size: int, rng: np.random.Generator) -> Image:
    """Points of light of very different brightness, all of one width."""
    count = int(rng.integers(5, max(6, size**2 // 60)))
    image = np.zeros((size, size))
    _deposit(image, rng.uniform(0, size - 1, (count, 2)), rng.lognormal(0, 0.8, count))
    width = rng.uniform(0.6, 2.5)
    return np.asarray(np.tanh(ndimage.gaussian_filter(image, width) * 2 * np.pi * width**2))


def _blobs(size: int, rng: np.random.Generator) -> Image:
    """Cells or nuclei: patches of a smooth field above a threshold, with texture inside."""
    width = size * rng.uniform(0.02, 0.12)
    field = _unit(ndimage.gaussian_filter(rng.normal(size=(size, size)), width, mode='wrap'))
    edge = rng.uniform(0.02, 0.5)
    body = np.clip((field - rng.uniform(-0.3, 1.2)) / edge, 0, 1)
    texture = _unit(ndimage.gaussian_filter(rng.normal(size=(size, size)), rng.uniform(0.7, 4)))
    return np.asarray(body * np.clip(1 + rng.uniform(0, 0.4) * texture, 0.05, None))


def _texture(size: int, rng: np.random.Generator) -> Image:
    """Scale-free texture: the amplitude decreases as a power of the frequency."""
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    stretch = 1.0 if rng.uniform() < 0.6 else rng.uniform(1, 6)
    turn = rng.uniform(0, np.pi)
    along = fy * np.cos(turn) + fx * np.sin(turn)
    across = -fy * np.sin(turn) + fx * np.cos(turn)
    frequency = np.hypot(along * stretch, across)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) * frequency ** -rng.uniform(1, 2.5)
    return np.asarray(np.fft.irfft2(spectrum, s=(size, size)))


_LAYERS: list[Callable[[int, np.random.Generator], Image]] = [
    _leaves,
    _lines,
    _spots,
    _blobs,
    _texture,
    _stripes,
]
_SHARES = [0.38, 0.18, 0.12, 0.16, 0.1, 0.06]
"""Probability of each kind of layer."""


def _frame(
    size: int, centre: Image, turn: float, long: float, short: float
) -> tuple[tuple[slice, slice], Image, Image]:
    """Window of the image around a shape, and coordinates there in units of its half axes."""
    reach = 1.5 * max(long, short) + 1
    top, left = (int(np.clip(c - reach, 0, size)) for c in centre)
    bottom, right = (int(np.clip(c + reach + 1, 0, size)) for c in centre)
    y, x = np.ogrid[top:bottom, left:right]
    dy, dx = y - centre[0], x - centre[1]
    u = (dy * np.sin(turn) + dx * np.cos(turn)) / long
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / short
    return (slice(top, bottom), slice(left, right)), u, v


def _slope(size: int, rng: np.random.Generator) -> Image:
    """Uneven light: a smooth field from 0 to 1."""
    small = rng.uniform(size=(4, 4))
    return _stretched(ndimage.zoom(small, size / 4, order=3)[:size, :size])


def _deposit(image: Image, points: Image, weights: Image) -> None:
    """Add weights at the pixels nearest to points (K, 2), in place."""
    place = np.round(points).astype(np.intp)
    inside = ((place >= 0) & (place < image.shape[0])).all(axis=1)
    np.add.at(image, (place[inside, 0], place[inside, 1]), weights[inside])


def _unit(image: Image) -> Image:
    """The image with mean 0 and variance 1."""
    return np.asarray((image - image.mean()) / max(float(image.std()), 1e-12))


def _stretched(image: Image) -> Image:
    """The image scaled to 0 to 1; a constant image becomes 0."""
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) / max(high - low, 1e-12))
