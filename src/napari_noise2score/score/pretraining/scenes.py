"""Scenes for the pretraining with context: what a patch looks like in the planes beside it.

Movies that stand still, drift, or show an object that moves; the slices of a volume; a cut after
which nothing is the same; and on top of them what happens once: flashes, transients, steps and
blinking. All from clean images, by the rules of chance alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array: TypeAlias = NDArray[np.float32]
Image: TypeAlias = Callable[[], Array]
"""Draws a clean image, larger than a patch, 0 to 1."""

_FASTEST = 4.0
"""Pixels per frame."""
_DEFOCUS = 0.8
"""Width of the blur per slice out of focus, pixels."""
_MOST_EVENTS = 12


def draw_scene(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Clean planes of one scene.

    Parameters
    ----------
    images : callable
        Draws an image.
    size : int
        Height and width of a patch, pixels.
    at : (N,) int
        Times or depths of the planes, one of them 0.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    (N, size, size) float32
        0 to about 1.
    """
    kinds = [_still, _drift, _object, _volume, _cut]
    kind = kinds[int(rng.choice(len(kinds), p=[0.3, 0.17, 0.17, 0.3, 0.06]))]
    return kind(images, size, at, rng)


def draw_events(size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """What happens once in a scene, (N, size, size) float32, amplitudes of about one."""
    total = np.zeros((len(at), size, size), np.float32)
    y, x = np.ogrid[:size, :size]
    for _ in range(int(rng.integers(1, _MOST_EVENTS + 1))):
        radius = between(0.6, 9, rng)
        centre = rng.uniform(0, size, 2)
        place = np.hypot(y - centre[0], x - centre[1])
        if rng.uniform() < 0.5:  # a place with an edge, else one that fades
            shape = np.clip(radius + 0.5 - place, 0, 1)
        else:
            shape = np.exp(-0.5 * (place / radius) ** 2)
        sign = 1 if rng.uniform() < 0.8 else -1
        course = sign * between(0.3, 1.5, rng) * _course(at, rng)
        total += course[:, None, None].astype(np.float32) * shape.astype(np.float32)
    return total


def _course(at: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.floating]:
    """Course of an event over time, 0 to 1; most begin in the plane 0 or in one beside it."""
    near = [0, 0, 0, 0, -1, 1, -2, 2]
    begin = int(rng.choice(near)) if rng.uniform() < 0.7 else int(rng.choice(at))
    after = at - begin
    kind = rng.uniform()
    if kind < 0.45:  # a flash
        return 1.0 * ((after >= 0) & (after < int(rng.choice([1, 1, 1, 2, 3]))))
    if kind < 0.75:  # a transient
        rise, decay = rng.uniform(0.05, 2), between(0.7, 10, rng)
        late = np.maximum(after + 1, 0)
        course = (1 - np.exp(-late / rise)) * np.exp(-late / decay)
        return np.asarray(course / max(float(course.max()), 1e-6))
    if kind < 0.87:  # a step
        return 1.0 * (after >= 0)
    return 1.0 * (rng.uniform(size=len(at)) < rng.uniform(0.1, 0.9))  # blinking


def _still(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    image = images()
    place = rng.integers(image.shape[0] - size + 1, size=2).astype(float)
    return np.repeat(_cut_out(image, place, size)[None], len(at), axis=0)


def _drift(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """The whole scene moves, evenly or by jumps; it stops at the border of the image."""
    image = images()
    place = rng.uniform(0, image.shape[0] - size, 2)
    if rng.uniform() < 0.7:
        path = at[:, None] * _velocity(rng)
    else:
        path = rng.normal(0, between(0.2, 4, rng), (len(at), 2))
    path = path + place
    if rng.uniform() < 0.4:
        path = path.round()
    return np.stack([_cut_out(image, where, size) for where in path])


def _object(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Objects that move before a background."""
    planes = _still(images, size, at, rng)
    y, x = np.mgrid[:size, :size]
    for _ in range(int(rng.integers(1, 4))):
        image, radius = images(), between(2, 20, rng)
        soft = rng.uniform(0.5, 2.5)
        bright = rng.uniform(0.3, 1.0), rng.uniform(0, 0.7)
        velocity, start = _velocity(rng), rng.uniform(0, size, 2)
        stretch = rng.uniform(0.6, 1)
        corner = rng.uniform(0, image.shape[0] - size, 2)
        for number, time in enumerate(at):
            centre = start + time * velocity
            apart = np.hypot((y - centre[0]) * stretch, x - centre[1])
            mask = 1 / (1 + np.exp(np.clip((apart - radius) / (0.4 * soft), -30, 30)))
            if mask.max() < 1e-3:
                continue
            texture = bright[0] + bright[1] * _cut_out(image, corner - time * velocity, size)
            planes[number] += mask.astype(np.float32) * (texture - planes[number])
    return planes


def _volume(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Slices: layers in several depths, blurred out of focus, with light that fades in depth."""
    total = np.zeros((len(at), size, size), np.float32)
    tilt = _velocity(rng) * 0.3 * (rng.uniform() < 0.5)
    width = between(0.6, 6, rng)
    for number in range(int(rng.integers(2, 7))):
        image = images()
        depth = rng.uniform(-1, 1) if number == 0 else rng.uniform(-8, 8)
        place = rng.uniform(0, image.shape[0] - size, 2)
        share = rng.uniform(0.3, 1)
        sharp = _cut_out(image, place, size)
        # the levels of blur that slices need are computed once
        defocus = _DEFOCUS * np.abs(at - depth) / width * rng.uniform(0.5, 3)
        blurs = [0.0, 0.7, 1.5, 3.0, 6.0]
        versions = [sharp if b == 0 else ndimage.gaussian_filter(sharp, b) for b in blurs]
        for slice_, (z, blur) in enumerate(zip(at, defocus, strict=True)):
            weight = share * np.exp(-0.5 * ((z - depth) / width) ** 2)
            if weight < 0.005:
                continue
            level = int(np.argmin(np.abs(np.subtract(blurs, blur))))
            shifted = versions[level]
            if tilt.any():
                shifted = np.roll(shifted, np.round(tilt * (z - depth)).astype(int), (0, 1))
            total[slice_] += np.float32(weight) * shifted
    peak = float(total[np.argmin(np.abs(at))].max())
    return total / max(peak, 0.05 * float(total.max()), 1e-6)


def _cut(images: Image, size: int, at: NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Another scene before or after a plane."""
    one, other = (_still(images, size, at, rng) for _ in range(2))
    cut = int(rng.choice([0, 1, 0, 1, *at]))
    return np.where((at >= cut)[:, None, None], one, other)


def _velocity(rng: np.random.Generator) -> NDArray[np.float64]:
    turn = rng.uniform(0, 2 * np.pi)
    return between(0.05, _FASTEST, rng) * np.array([np.sin(turn), np.cos(turn)])


def _cut_out(image: Array, place: NDArray[np.float64], size: int) -> Array:
    """A patch of an image at any place, by linear interpolation; inside of the image."""
    place = np.clip(place, 0, image.shape[0] - size)
    top, left = np.minimum(place.astype(int), image.shape[0] - size - 1).clip(0)
    down, right = (place - (top, left)).astype(np.float32)
    patch = image[top : top + size, left : left + size]
    if down:
        below = image[top + 1 : top + 1 + size, left : left + size]
        patch = patch + down * (below - patch)
    if right:
        beside = image[top : top + size, left + 1 : left + 1 + size]
        if down:
            corner = image[top + 1 : top + 1 + size, left + 1 : left + 1 + size]
            beside = beside + down * (corner - beside)
        patch = patch + right * (beside - patch)
    return np.asarray(patch, np.float32)


def between(low: float, high: float, rng: np.random.Generator) -> float:
    """A number from an even distribution of its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
