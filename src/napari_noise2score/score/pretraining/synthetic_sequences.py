"""Synthetic planes with their context, for the pretraining of a `ContextNetwork`.

The noise is that of `SyntheticPairs`, drawn anew for every plane of a scene (`scenes`). What the
product would get wrong is wrong here too: the gain, the correlation, common offsets of rows, the
light of the other planes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.score.context import REACH, context_of, with_context
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.pretraining.scenes import draw_events, draw_scene
from napari_noise2score.score.pretraining.synthetic_pairs import (
    CONTRAST,
    LIGHT,
    PHOTONS,
    Drawn,
    SyntheticPairs,
)

ALONE = 0.33
"""Share of planes without context: what single images look like."""

_FEW = 0.35
"""Share of the scenes with few planes."""
_EVENTS = 0.65
_WRONG = 0.4
_EVENT = 0.6, 8.0
"""Height of events, noise standard deviations."""
_ONCE = 7.0
"""By how much more a pixel counts where something happens in the plane and not beside it, or
beside it and not in the plane."""
_BESIDE = 2
_GAIN = 0.9, 1.12
"""Noise standard deviation where the gain is 0.8 to 1.25 times the one that is given."""


Planes = NDArray[np.float32]


class SyntheticSequences(SyntheticPairs):
    """Draws noisy planes, their contexts, and the clean planes, without end.

    As `SyntheticPairs`; the noisy planes of a batch are (B, 1 + `PLANES`, S, S), the plane itself
    in the middle.
    """

    def _times(self) -> NDArray[np.intp]:
        """Times of the planes of a scene, the plane itself at 0."""
        if self._often(_FEW):
            most = int(self._rng.integers(1, 5))
            before = int(self._rng.integers(0, most + 1))
            after = most - before
        else:
            before = after = REACH
            if self._often(0.3):
                short = int(self._rng.integers(0, REACH))
                before, after = (short, after) if self._often(0.5) else (before, short)
        return np.arange(-before, after + 1, dtype=np.intp)

    def _scene(self) -> tuple[NDArray[np.intp], Planes, float, Planes]:
        """Times, clean planes 0 to 1, median of the image, and events."""
        at = np.zeros(1, np.intp) if self._often(ALONE) else self._times()
        median = 0.0

        def image() -> Planes:
            nonlocal median
            chosen = self._images[self._rng.integers(len(self._images))]
            median = float(np.median(chosen))
            return self._turned(chosen).astype(np.float32)

        planes = draw_scene(image, self._size, at, self._rng)
        events = np.zeros_like(planes)
        if self._often(_EVENTS):
            events = draw_events(self._size, at, self._rng)
        return at, planes, median, events

    def _gaussian(self) -> Drawn:
        at, planes, median, events = self._scene()
        contrast = self._between(*CONTRAST)
        events = np.asarray(self._between(*_EVENT) * events, np.float32)
        clean = np.asarray(contrast * planes + events, np.float32)
        own = int(np.argmin(np.abs(at)))
        sigma_a = self._sigma_a()
        noise = self._rng.standard_normal(clean.shape, dtype=np.float32)
        near = np.zeros(len(NEAREST))
        if self._often(0.5):
            root, near = self._correlated()
            spectrum = fft.rfft2(noise) * root.astype(np.float32)
            noise = fft.irfft2(spectrum, s=clean.shape[1:])
        noise[own] *= (1 + sigma_a**2) ** 0.5
        if self._often(_WRONG):
            noise *= self._between(*_GAIN)
            near = near + self._rng.normal(0, 0.04, len(NEAREST))
        if self._often(0.15):
            rows = self._rng.normal(0, self._between(0.02, 0.15), noise.shape[:2])
            noise += rows[..., None].astype(np.float32)
        if self._often(0.15):  # pixels with noise of their own, of which only the mean is known
            pixels = self._rng.lognormal(0, self._between(0.05, 0.5), clean.shape[1:])
            noise *= (pixels / (pixels**2).mean() ** 0.5).astype(np.float32)
        light = self._light(len(at), own)
        z = clean * light[:, None, None] + noise
        zero = self._zero(contrast * median)
        seen = self._seen(np.asarray(z - zero, np.float32), own)
        once = self.weight_of(events, own)
        return seen, clean[own] - zero, np.ones(z.shape[1:]), near, sigma_a, once

    def _photons(self) -> Drawn:
        which = int(self._rng.integers(len(self._cameras)))
        camera, table = self._cameras[which], self._tables[which]
        at, planes, median, events = self._scene()
        own = int(np.argmin(np.abs(at)))
        dark, bright = self._between(*PHOTONS), self._between(*LIGHT)
        height = self._between(*_EVENT) * (dark + 0.3 * bright + 0.5) ** 0.5
        usual = dark + bright * planes
        rate = np.maximum(usual + height * events, 0.5 * dark)
        once = (
            1.0
            if not events.any()
            else self.weight_of(table.mean_of(rate) - table.mean_of(usual), own)
        )
        rate = np.minimum(rate * self._light(len(at), own)[:, None, None], 0.98 * table.top)
        t = camera.coordinate(table.top).forward(camera.sample(rate, self._rng))
        t = np.asarray(t, np.float32)
        sigma_a = self._sigma_a()
        t[own] += sigma_a * self._rng.standard_normal(t.shape[1:], dtype=np.float32)
        zero = self._zero(float(table.mean_of(np.array([dark + bright * median]))[0]))
        mean = local_mean(torch.from_numpy(t[own])[None, None])[0, 0].numpy()
        noise = table.variance_at(mean)

        def variance(level: Planes) -> Planes:
            return table.variance_at(level + zero).astype(np.float32)

        z = np.asarray(t - zero, np.float32)
        clean = table.mean_of(rate[own]) - zero
        return self._seen(z, own, variance), clean, noise, np.zeros(len(NEAREST)), sigma_a, once

    @staticmethod
    def weight_of(events: NDArray[np.floating], own: int) -> Planes:
        """How much each pixel counts, from events (N, S, S) in noise standard deviations."""
        beside = events[max(0, own - _BESIDE) : own + _BESIDE + 1]
        apart = np.abs(beside - events[own]).max(axis=0)
        return np.asarray(1 + _ONCE * np.minimum(apart, 1), np.float32)

    def _light(self, count: int, own: int) -> Planes:
        """Light of the planes relative to their own, as far as it was not corrected."""
        light = np.ones(count)
        if self._often(0.3):
            light += self._rng.normal(0, self._between(0.002, 0.05), count)
        if self._often(0.15):
            light *= np.exp(-self._between(0.001, 0.03) * np.arange(count))
        return np.asarray(light / light[own], np.float32)

    @staticmethod
    def _seen(
        z: Planes,
        own: int,
        variance: Callable[[Planes], Planes] | None = None,
    ) -> Planes:
        """A plane with its context, (1 + `PLANES`, S, S), in the order of the network."""
        if len(z) == 1:
            return with_context(z[own], None)
        return with_context(z[own], context_of(own, len(z), z.__getitem__, variance))
