"""A movie at one to three photons: vesicles that move, bleaching, and events at known places."""

from __future__ import annotations

import numpy as np

from napari_noise2score.images.drawing import (
    PIXEL_SIZE,
    PSF_SIGMA,
    Image,
    blur,
    deposit,
    texture,
)
from napari_noise2score.images.samples.detector import detected
from napari_noise2score.images.samples.sample import SIZE, Event, Sample
from napari_noise2score.noise.families import PoissonGaussian

FRAMES = 32
INTERVAL = 0.1
"""Time between frames, s."""
NOISE = PoissonGaussian(gain=2.2, offset=100.0, read_noise=2.0)
BLEACHED = 0.6
"""Light of the last frame, relative to the first."""

_CELLS = 1.2
"""Light of the cytoplasm, photons."""
_BACKGROUND = 0.15
_VESICLES = 50
_DIRECTED = 0.6
"""Share of the vesicles that are transported; the others diffuse."""
_FLASHES, _TRANSIENTS = 6, 2
_MARGIN = 16
"""Distance of events to the border of the image, pixels."""
_DISTANCE = 30
"""Least distance between two events, pixels."""
_FADING = 3.0
"""Time constant of a transient, frames."""
_SHOWN = 0.1
"""Light of an event, relative to its brightest frame, from which a frame counts as its own."""


def low_light(seed: int) -> Sample:
    """Cells with moving vesicles, six flashes and two transients."""
    streams = (np.random.default_rng([seed, stream]) for stream in range(4))
    scene_rng, motion_rng, event_rng, noise_rng = streams
    cells = _cells(scene_rng)
    still = _BACKGROUND + _CELLS * cells
    events = _events(event_rng)
    light = np.stack([still + plane for plane in _vesicles(cells, motion_rng)])
    for event in events:
        light += _light_of(event)
    light *= np.geomspace(1, BLEACHED, FRAMES)[:, None, None]
    clean = NOISE.offset + NOISE.gain * light
    return Sample(
        name='low-light',
        about=f'movie at 1 to 3 photons with moving vesicles, bleaching and {len(events)} events',
        noisy=detected(clean, NOISE, np.uint16, noise_rng),
        truth=clean.astype(np.float32),
        axes='TYX',
        noise=NOISE,
        seed=seed,
        spacing={'T': (INTERVAL, 's'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')},
        events=tuple(events),
    )


def _cells(rng: np.random.Generator) -> Image:
    """Cells with a mottled cytoplasm and dark nuclei, (Y, X), 0 to about 1."""
    field = texture((SIZE, SIZE), 26, rng)
    body = np.clip((field + 0.3) / 0.25, 0, 1)
    nucleus = np.clip((field - 1.3) / 0.2, 0, 1)
    mottle = 1 + 0.15 * texture((SIZE, SIZE), 2.5, rng)
    return blur(body * (1 - 0.7 * nucleus) * mottle, PSF_SIGMA)


def _vesicles(cells: Image, rng: np.random.Generator) -> list[Image]:
    """Light of vesicles in every frame, (Y, X), photons."""
    candidates = rng.uniform(0, SIZE - 1, (40 * _VESICLES, 2))
    inside = cells[tuple(candidates.round().astype(int).T)] > 0.5
    places = candidates[inside][:_VESICLES]
    brightness = rng.uniform(1.0, 2.2, len(places))
    angle = rng.uniform(0, 2 * np.pi, len(places))
    speed = np.where(rng.uniform(size=len(places)) < _DIRECTED, rng.uniform(0.5, 1.5), 0.0)
    frames = []
    for _ in range(FRAMES):
        points = np.zeros((SIZE, SIZE))
        deposit(points, places, brightness)
        frames.append(2 * np.pi * 1.4**2 * blur(points, 1.4))
        angle = angle + rng.normal(0, 0.15, len(places))
        way = speed[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        places = places + way + rng.normal(0, 0.35, places.shape)
    return frames


def _events(rng: np.random.Generator) -> list[Event]:
    """Events away from each other and from the border; light before bleaching."""
    places: list[Image] = []
    while len(places) < _FLASHES + _TRANSIENTS:
        place = rng.uniform(_MARGIN, SIZE - _MARGIN, 2)
        if all(np.hypot(*(place - other)) >= _DISTANCE for other in places):
            places.append(place)
    found = []
    for number, (row, column) in enumerate(places):
        at = {'row': round(float(row), 2), 'column': round(float(column), 2)}
        if number < _FLASHES:
            frames = int(rng.integers(1, 3))
            frame = int(rng.integers(2, FRAMES - 2 - frames))
            photons = round(float(rng.uniform(2.5, 4.0)), 2)
            found.append(Event('flash', frame, frames, **at, width=1.6, photons=photons))
        else:
            frames = int(np.floor(-_FADING * np.log(_SHOWN))) + 1
            frame = int(rng.integers(4, FRAMES - 4 - frames))
            photons = round(float(rng.uniform(1.5, 2.5)), 2)
            found.append(Event('transient', frame, frames, **at, width=6.0, photons=photons))
    return found


def _light_of(event: Event) -> Image:
    """Light of an event, (T, Y, X), photons."""
    time = np.arange(FRAMES) - event.frame
    if event.kind == 'flash':
        course = ((time >= 0) & (time < event.frames)).astype(np.float64)
    else:
        course = np.where(time >= 0, np.exp(-np.maximum(time, 0) / _FADING), 0.0)
    y, x = np.ogrid[:SIZE, :SIZE]
    squared = (y - event.row) ** 2 + (x - event.column) ** 2
    spot = np.exp(-0.5 * squared / event.width**2)
    return event.photons * course[:, None, None] * spot
