"""Clean images from a folder, the same with synthetic noise, and what is known of that noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.io import imread

from napari_noise2score import InputError, estimate_noise
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared

Image = NDArray[np.float32]

SUFFIXES = ('.png', '.tif', '.tiff')
TRAIN, TEST = 0, 1
"""Roles of images: the same image has other noise in another role."""


def read(folder: Path, most: int = 0) -> list[Image]:
    """Grey images of 0 to 1, (Y, X) float32, in the order of their names; the first ``most``."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f'{folder}: no image ({", ".join(SUFFIXES)})')
    images = [imread(path) for path in paths[: most or None]]
    for path, image in zip(paths, images, strict=False):
        if image.ndim != 2 or image.dtype != np.uint8:
            raise SystemExit(f'{path}: is {image.dtype} {image.shape}; 8 bit (Y, X) is needed')
    return [image.astype(np.float32) / 255 for image in images]


def add_noise(
    images: Iterable[Image], noise: NoiseFamily, seed: int, role: int, realisations: int = 1
) -> list[Image]:
    """Noisy images, not rounded, not clipped; each one has its own random numbers."""
    return [
        noise.sample(image, np.random.default_rng([seed, role, number, again])).astype(np.float32)
        for number, image in enumerate(images)
        for again in range(realisations)
    ]


@dataclass(frozen=True, slots=True)
class Blind:
    """Noise parameters from noisy images; the family is known, as in the paper.

    Each colour of an image has its own. Where a single image does not show them, those of the
    training set stand in.
    """

    family: str
    set_estimate: NoiseFamily

    @classmethod
    def of(cls, noisy: Sequence[Image], noise: NoiseFamily) -> Blind:
        """From training images of this kind of noise."""
        return cls(noise.name, NoiseRequest(noise.name).resolve(estimate_noise(list(noisy))))

    def of_set(self, image: Image) -> Prepared:
        """With the estimate of the training images."""
        return prepare_exactly(image, self.set_estimate)

    def of_image(self, image: Image) -> Prepared:
        """With the estimate of the image itself."""
        try:
            request = NoiseRequest(self.family, correlation='none')
            return model_noise(_source(image), request)
        except InputError:
            return self.of_set(image)


def prepare_exactly(image: Image, noise: NoiseFamily) -> Prepared:
    """With known noise."""
    request = NoiseRequest(noise.name, noise.parameters(), 'none')
    return model_noise(_source(image), request)


def _source(image: Image) -> ImageSource:
    """A grey image, or one whose colours have a noise model each."""
    return ImageSource(image, 'YX' if image.ndim == 2 else 'YXS')
