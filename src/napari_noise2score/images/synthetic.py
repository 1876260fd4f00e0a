"""Synthetic microscope scenes with known noise and ground truth, generated from a seed.

Each scene is a function ``(shape, rng) -> clean image`` with values in 0 to 1, where 1 is the
brightest structure in focus. The clean image is what a camera would record with unlimited light:
it contains the blur of a high-NA objective, but no noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.errors import InputError
from napari_noise2score.images.drawing import (
    PIXEL_SIZE,
    PSF_SIGMA,
    Image,
    Shape,
    blur,
    deposit,
    persistent_walk,
    scattered,
    smooth_noise_1d,
    texture,
    to_unit_range,
)
from napari_noise2score.noise.families import NoiseFamily, Poisson, PoissonGaussian

__all__ = ['PIXEL_SIZE', 'PSF_SIGMA', 'SCENES', 'SyntheticStack', 'synthetic_stack']


def filaments(shape: Shape, rng: np.random.Generator) -> Image:
    """Curved filaments that leave an organising centre, like labelled microtubules.

    Parameters
    ----------
    shape : (int, int)
        Size ``(Y, X)``, pixels.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    (Y, X) float64
        Clean image, 0 to 1.
    """
    size = float(min(shape))
    centre = np.array(shape) * rng.uniform(0.35, 0.65, 2)
    count = max(12, round(np.prod(shape) ** 0.5 / 5))
    sharp, hazy = np.zeros(shape), np.zeros(shape)
    for _ in range(count):
        angle = rng.uniform(0, 2 * np.pi)
        start = centre + rng.normal(0, 0.05 * size, 2)
        path = persistent_walk(start, angle, length=rng.uniform(0.4, 1.1) * size, rng=rng)
        # Polymer of uneven label density that sometimes leaves the focal plane.
        label = 1 + 0.25 * smooth_noise_1d(len(path), 12, rng)
        height = np.cumsum(smooth_noise_1d(len(path), 60, rng)) * 0.02 + rng.normal(0, 0.6)
        focus = np.exp(-0.5 * height**2)
        brightness = rng.uniform(0.6, 1.2) * label
        deposit(sharp, path, brightness * focus)
        deposit(hazy, path, brightness * (1 - focus))
    image = blur(sharp, PSF_SIGMA) + 0.9 * blur(hazy, 2.6) + 0.25 * blur(sharp + hazy, 9)
    cell = 0.04 * np.exp(-0.5 * (_distance(shape, centre) / (0.4 * size)) ** 2)
    # Bundles near the centre saturate softly, so that single filaments are visible.
    image = image / np.quantile(image, 0.995)
    return to_unit_range(np.tanh(0.9 * image) + cell)


def nuclei(shape: Shape, rng: np.random.Generator) -> Image:
    """Stained nuclei with chromatin texture, dark nucleoli and out-of-focus neighbours.

    Parameters
    ----------
    shape : (int, int)
        Size ``(Y, X)``, pixels.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    (Y, X) float64
        Clean image, 0 to 1.
    """
    radius = float(np.clip(0.075 * min(shape), 5, 45))
    image = np.zeros(shape)
    haze = np.zeros(shape)
    for centre in scattered(shape, 2.2 * radius, rng):
        body = _nucleus(shape, centre, radius, rng)
        if body is None:
            continue
        window, values = body
        if rng.uniform() < 0.2:
            haze[window] += 0.6 * values
        else:
            image[window] = np.maximum(image[window], values)
            haze[window] += 0.15 * values
    image = blur(image, PSF_SIGMA) + blur(haze, 0.22 * radius) + 0.02
    return to_unit_range(image)


def puncta(shape: Shape, rng: np.random.Generator) -> Image:
    """Diffraction-limited spots of very different brightness, in cells with a dim cytoplasm.

    Parameters
    ----------
    shape : (int, int)
        Size ``(Y, X)``, pixels.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    (Y, X) float64
        Clean image, 0 to 1.
    """
    size = float(min(shape))
    cytoplasm = ndimage.gaussian_filter(rng.normal(size=shape), 0.11 * size, mode='wrap')
    cytoplasm = np.clip((cytoplasm - np.quantile(cytoplasm, 0.35)) / np.ptp(cytoplasm), 0, None)
    cytoplasm = np.tanh(5 * cytoplasm)
    mottle = ndimage.gaussian_filter(rng.normal(size=shape), 2.5, mode='wrap')
    cytoplasm *= 1 + 0.12 * mottle / mottle.std()

    count = max(6, round(np.prod(shape) / 400))
    candidates = rng.uniform(0, 1, (4 * count, 2)) * (np.array(shape) - 1)
    density = ndimage.map_coordinates(cytoplasm, candidates.T, order=1)
    spots_at = candidates[rng.uniform(size=len(candidates)) < np.clip(density, 0.03, 0.8)][:count]
    brightness = np.clip(rng.lognormal(-0.3, 0.6, len(spots_at)), 0.1, 1.5)

    sharp, wide = np.zeros(shape), np.zeros(shape)
    blurred = rng.uniform(size=len(spots_at)) < 0.2
    for target, chosen in ((sharp, ~blurred), (wide, blurred)):
        deposit(target, spots_at[chosen], brightness[chosen])
    spots = blur(sharp, PSF_SIGMA) * 2 * np.pi * PSF_SIGMA**2
    spots += blur(wide, 2.4) * 2 * np.pi * 2.4**2 * 0.35
    # The brightest spots saturate softly, so that the dim ones are visible.
    return to_unit_range(np.tanh(1.1 * spots + 0.22 * blur(cytoplasm, 2)) + 0.02)


SCENES: Mapping[str, Callable[[Shape, np.random.Generator], Image]] = {
    'filaments': filaments,
    'nuclei': nuclei,
    'puncta': puncta,
}
"""Every scene by its name."""


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticStack:
    """Repeated noisy frames of one scene, with their ground truth.

    Attributes
    ----------
    noisy : (T, Y, X) float32
        Frames with independent noise, grey levels.
    truth : (Y, X) float32
        The scene without noise, grey levels.
    noise : NoiseFamily
        The exact noise model of the frames.
    scene : str
        Name of the scene.
    seed : int
        Seed that generates the same stack again.
    """

    noisy: NDArray[np.float32]
    truth: NDArray[np.float32]
    noise: NoiseFamily
    scene: str
    seed: int


def synthetic_stack(
    scene: str,
    *,
    frames: int = 4,
    size: int | Shape = 512,
    photons: float = 30.0,
    noise: NoiseFamily | None = None,
    seed: int = 0,
) -> SyntheticStack:
    """Noisy frames of a synthetic scene and their ground truth.

    Parameters
    ----------
    scene : {'filaments', 'nuclei', 'puncta'}
        Name of the scene.
    frames : int
        Number of frames T, >= 1. They differ only by their noise.
    size : int or (int, int)
        Height and width ``(Y, X)``, pixels, >= 16 each; one number makes a square.
    photons : float
        Light at the brightest pixel, photons, > 0. With a noise family that does not count
        photons, the grey level of the brightest pixel.
    noise : NoiseFamily, optional
        Noise to add. By default Poisson-Gaussian with gain 4, offset 20 and read noise 3
        grey levels.
    seed : int
        Seed of scene and noise, >= 0; the same seed gives the same stack.

    Returns
    -------
    SyntheticStack

    Raises
    ------
    InputError
        If the scene is unknown or a number is out of its range.

    Examples
    --------
    >>> stack = synthetic_stack('nuclei', frames=2, size=64, seed=1)
    >>> stack.noisy.shape, stack.truth.shape
    ((2, 64, 64), (64, 64))
    >>> print(stack.noise)
    Poisson-Gaussian (gain 4, offset 20, read noise 3)
    """
    if scene not in SCENES:
        raise InputError(f'scene {scene!r} is unknown; accepted are {", ".join(SCENES)}')
    shape = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if min(shape) < 16:
        raise InputError(f'size is {shape[0]} x {shape[1]}; 16 x 16 pixels or more are needed')
    if frames < 1:
        raise InputError(f'frames is {frames}; it must be 1 or greater')
    if not (np.isfinite(photons) and photons > 0):
        raise InputError(f'photons is {photons:g}; it must be greater than 0')
    if seed < 0:
        raise InputError(f'seed is {seed}; it must be 0 or greater')
    if noise is None:
        noise = PoissonGaussian(gain=4.0, offset=20.0, read_noise=3.0)

    # Independent streams: the scene does not depend on the number of frames or the noise.
    scene_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    clean = photons * SCENES[scene](shape, scene_rng)
    if isinstance(noise, (Poisson, PoissonGaussian)):
        clean = noise.offset + noise.gain * clean
    noisy = noise.sample(np.broadcast_to(clean, (frames, *shape)), noise_rng)
    return SyntheticStack(
        noisy=noisy.astype(np.float32),
        truth=clean.astype(np.float32),
        noise=noise,
        scene=scene,
        seed=seed,
    )


def _distance(shape: Shape, centre: Image) -> Image:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(y - centre[0], x - centre[1]))


def _nucleus(
    shape: Shape, centre: Image, radius: float, rng: np.random.Generator
) -> tuple[tuple[slice, slice], Image] | None:
    """Window in the image and the values there of one textured, slightly irregular ellipse."""
    reach = 1.8 * radius
    top, left = (max(0, int(c - reach)) for c in centre)
    bottom, right = (min(n, int(c + reach) + 1) for c, n in zip(centre, shape, strict=True))
    if bottom <= top or right <= left:
        return None
    window = (slice(top, bottom), slice(left, right))
    y, x = np.ogrid[top:bottom, left:right]
    turn = rng.uniform(0, np.pi)
    long, short = radius * rng.uniform(1.0, 1.25), radius * rng.uniform(0.75, 0.95)
    u = ((y - centre[0]) * np.sin(turn) + (x - centre[1]) * np.cos(turn)) / long
    v = ((y - centre[0]) * np.cos(turn) - (x - centre[1]) * np.sin(turn)) / short
    theta = np.arctan2(v, u)
    wobble = sum(rng.normal(0, 0.03) * np.cos(k * theta + rng.uniform(0, 6)) for k in (2, 3, 4))
    depth = 1 - np.hypot(u, v) - wobble
    # The thickness increases from the rim to the centre, as that of a flattened ellipsoid.
    body = np.sqrt(np.clip(depth * 2.2, 0, 1))
    local = (bottom - top, right - left)
    fine = texture(local, 0.055 * radius, rng)
    coarse = texture(local, 0.17 * radius, rng)
    chromatin = np.clip(0.62 + 0.13 * fine + 0.12 * coarse, 0.15, 1.3)
    for _ in range(rng.integers(1, 4)):
        at, phi = rng.uniform(0, 0.5), rng.uniform(0, 2 * np.pi)
        gap = np.hypot(u - at * np.cos(phi), v - at * np.sin(phi)) / rng.uniform(0.1, 0.2)
        chromatin = chromatin * (1 - 0.7 * np.exp(-(gap**4)))
    return window, rng.uniform(0.55, 1.0) * body * chromatin
