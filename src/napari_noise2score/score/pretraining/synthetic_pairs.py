"""Synthetic pairs for the pretraining: procedural images with noise of every kind.

All in the unit-noise coordinate, where every microscope looks alike. Half of the Gaussian noise is
correlated between pixels; a third of all is photons, down to a fiftieth of one a pixel, seen
through the coordinate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.errors import InputError
from napari_noise2score.images.procedural import procedural_image
from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.pretraining.scenes import between

Array = NDArray[np.float64]

Source: TypeAlias = Callable[[int, np.random.Generator], Array]
"""Draws a clean image of a height and width in pixels, 0 to 1."""

Drawn: TypeAlias = tuple[
    NDArray[Any], NDArray[Any], NDArray[Any], Array, float, NDArray[Any] | float
]
"""A pair: noisy planes, the clean plane, its noise variance, correlation, perturbation, weight."""

CONTRAST = 1.0, 100.0
"""Range of the difference between the brightest and darkest pixel, noise standard deviations."""

PHOTONS = 0.02, 5.0
"""Photons at the darkest pixel."""

LIGHT = 0.5, 300.0
"""Photons by which the brightest pixel exceeds it."""

READ_NOISES = 0.0, 0.5, 1.0, 2.0
"""Read noise, photons."""

BLUR = 0.25, 1.2
"""Width of the kernel that correlates noise, pixels."""

SIGMA_A = 0.3, 2.0
"""Perturbation, noise standard deviations, in some of the pairs; none in the others."""

_SIZE = 160
_JITTER = 3.0
_PERTURBED_SHARE = 0.4
_BATCHES_AN_IMAGE = 4
_PHOTON_SHARE, _CORRELATED_SHARE = 0.35, 0.5


class Places:
    """Random places of given images (Y, X), stretched to 0 to 1 and bent by a gamma curve.

    Raises
    ------
    InputError
        If there is none, or one that is smaller than a place.
    """

    def __init__(self, images: Sequence[NDArray[np.floating]]) -> None:
        for image in images:
            if image.ndim != 2 or min(image.shape) < _SIZE:
                raise InputError(
                    f'an image to learn from has shape {image.shape}; '
                    f'grey images of {_SIZE} x {_SIZE} pixels or more are needed'
                )
        if not images:
            raise InputError('no image to learn from is given; at least one is needed')
        self._images = images

    def __call__(self, size: int, rng: np.random.Generator) -> Array:
        """A place of that height and width, pixels."""
        image = self._images[int(rng.integers(len(self._images)))]
        top, left = (int(rng.integers(side - size + 1)) for side in image.shape)
        place = np.asarray(image[top : top + size, left : left + size], np.float64)
        low, high = float(place.min()), float(place.max())
        return ((place - low) / max(high - low, 1e-12)) ** rng.uniform(0.5, 2.5)


class Batch(NamedTuple):
    """Pairs: noisy and clean (B, 1, S, S), noise variance (B, 1, S, S) at the level of the local
    mean of the noisy image, correlation (B, 6), perturbation (B, 1, 1, 1), and how much each
    pixel counts (B, 1, S, S).
    """

    z: Tensor
    clean: Tensor
    variance: Tensor
    correlation: Tensor
    sigma_a: Tensor
    weight: Tensor


class SyntheticPairs:
    """Draws noisy synthetic images with their clean ones, without end.

    Parameters
    ----------
    size : int
        Height and width of a patch, pixels.
    rng : numpy.random.Generator
        Source of every random choice.
    source : callable, optional
        Draws a clean image, square, 0 to 1; procedural ones if not given.
    images : int
        Images that are kept; one is replaced by a new one with every fourth batch.
    """

    def __init__(
        self,
        size: int,
        rng: np.random.Generator,
        source: Source = procedural_image,
        images: int = 200,
    ) -> None:
        self._size, self._rng, self._source, self._most = size, rng, source, images
        self._images: list[Array] = []
        self._batches = 0
        self._cameras = [PoissonGaussian(1.0, 0.0, read_noise) for read_noise in READ_NOISES]
        self._tables = [camera.level_table(PHOTONS[1] + LIGHT[1]) for camera in self._cameras]

    def draw(self, count: int) -> Batch:
        """``count`` pairs."""
        if len(self._images) < self._most:
            self._images.append(self._source(_SIZE, self._rng))
        elif self._batches % _BATCHES_AN_IMAGE == 0:
            self._images[self._rng.integers(self._most)] = self._source(_SIZE, self._rng)
        self._batches += 1
        made = [
            self._photons() if self._often(_PHOTON_SHARE) else self._gaussian()
            for _ in range(count)
        ]
        *parts, weight = zip(*made, strict=True)
        z, clean, variance, near, sigma_a = (np.stack(part).astype(np.float32) for part in parts)
        size = (self._size, self._size)
        weights = np.stack([np.broadcast_to(np.float32(each), size) for each in weight])
        return Batch(
            torch.from_numpy(z).reshape(count, -1, self._size, self._size),
            torch.from_numpy(clean)[:, None],
            torch.from_numpy(variance)[:, None],
            torch.from_numpy(near),
            torch.from_numpy(sigma_a)[:, None, None, None],
            torch.from_numpy(weights)[:, None],
        )

    def _often(self, share: float) -> bool:
        return bool(self._rng.uniform() < share)

    def _between(self, low: float, high: float) -> float:
        return between(low, high, self._rng)

    def _sigma_a(self) -> float:
        return self._between(*SIGMA_A) if self._often(_PERTURBED_SHARE) else 0.0

    def _patch(self) -> tuple[Array, float]:
        """A patch, and the median of the image that it is from."""
        image = self._images[self._rng.integers(len(self._images))]
        top, left = self._rng.integers(_SIZE - self._size + 1, size=2)
        patch = image[top : top + self._size, left : left + self._size]
        return self._turned(patch), float(np.median(image))

    def _turned(self, image: Array) -> Array:
        """An image in one of its eight orientations."""
        turned = np.asarray(np.rot90(image, int(self._rng.integers(4))))
        return turned[:, ::-1] if self._often(0.5) else turned

    def _zero(self, median: float) -> float:
        """What the network will take for its zero: about the median of the image."""
        return median + float(self._rng.normal(0, _JITTER))

    def _gaussian(self) -> Drawn:
        patch, median = self._patch()
        contrast = self._between(*CONTRAST)
        clean = contrast * patch
        if self._often(_CORRELATED_SHARE):
            root, near = self._correlated()
        else:
            root, near = np.ones((self._size, self._size // 2 + 1)), np.zeros(len(NEAREST))
        sigma_a = self._sigma_a()
        # perturbation and noise have one covariance, so they are drawn as one
        white = self._rng.normal(size=clean.shape)
        noise = np.fft.irfft2(np.fft.rfft2(white) * root, s=clean.shape)
        z = clean + (1 + sigma_a**2) ** 0.5 * noise
        zero = self._zero(contrast * median)
        return z - zero, clean - zero, np.ones_like(z), near, sigma_a, 1.0

    def _correlated(self) -> tuple[Array, Array]:
        """Root of a power spectrum of mean one, and its correlations at `NEAREST`."""
        size = self._size
        fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
        down = across = self._between(*BLUR)
        if self._often(0.3):
            across = self._between(*BLUR)
        power = np.exp(-((2 * np.pi) ** 2) * ((down * fy) ** 2 + (across * fx) ** 2))
        if self._often(0.3):  # sharpened: what a camera does after it has interpolated
            power = power * (1 + self._rng.uniform(0, 3) * (fy**2 + fx**2)) ** 2
        correlation = np.fft.irfft2(power, s=(size, size))
        white = self._rng.uniform(0, 0.1) * correlation[0, 0]
        scale = correlation[0, 0] + white
        near = np.array([correlation[row, column] for row, column in NEAREST]) / scale
        return np.sqrt((power + white) / scale), near

    def _photons(self) -> Drawn:
        which = int(self._rng.integers(len(self._cameras)))
        camera, table = self._cameras[which], self._tables[which]
        patch, median = self._patch()
        dark, light = self._between(*PHOTONS), self._between(*LIGHT)
        rate = dark + light * patch
        t = camera.coordinate(table.top).forward(camera.sample(rate, self._rng))
        sigma_a = self._sigma_a()
        z = t + sigma_a * self._rng.normal(size=t.shape)
        mean = local_mean(torch.from_numpy(z)[None, None])[0, 0].numpy()
        zero = self._zero(float(table.mean_of(np.array([dark + light * median]))[0]))
        variance = table.variance_at(mean)
        return z - zero, table.mean_of(rate) - zero, variance, np.zeros(len(NEAREST)), sigma_a, 1.0
