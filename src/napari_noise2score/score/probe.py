r"""Trials from which a risk is estimated, without ground truth.

Three kinds of trials. Two have an input and a target of the same scene and uncorrelated noise, so
that ``E (x(input) - target)^2`` is the risk plus the noise of the target:

- *two frames*: planes of one scene. The only assumption is that the noise is independent between
  frames (Lehtinen et al., "Noise2Noise", ICML 2018).
- *recorrupted*: ``t + a L u`` and ``t - L u / a`` with ``L u`` like the noise (Pang et al.,
  "Recorrupted-to-Recorrupted", CVPR 2021), and the same with ``-u``. Valid for Gaussian noise of
  known covariance; the risk is that at a slightly noisier input. The mean of the two is Stein's
  unbiased risk estimate for small ``a``, its divergence by a central difference (Ramani et al.,
  IEEE TIP 2008), so ``a`` may be small.

The third does not need Gaussian noise, but independent pixels and a good initial estimate:

- *resampled*: the image itself, and the same with the noise of some pixels resampled, which shows
how much noise remains in an estimate (`napari_noise2score.score.resampling`).

If a network sees a context, the inputs are slabs: planes in the middle of their context, which is
never recorrupted. The target is the central plane.

For a network that was trained on the noise of a trial the risk is too low, because it may have
memorised these pixels. So they are excluded from the training (`Probe.held`).

The unit is the noise variance in the unit-noise coordinate: 1 is the noisy image itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.noise.pairs import LevelChange
from napari_noise2score.score.context import PLANES
from napari_noise2score.score.perturbation import is_normal, noise_source
from napari_noise2score.score.plane_buffer import PlaneBuffer
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.resampling import Resampled
from napari_noise2score.score.risk import Risk
from napari_noise2score.score.sampler import Box, PatchSampler
from napari_noise2score.score.two_frames import two_frames

Array = NDArray[np.float64]

Resample = Callable[[Tensor, Tensor, torch.Generator], Resampled]
"""`napari_noise2score.score.resampling.NoiseResampler.draw`."""

STRENGTH = 0.25
"""``a`` of the recorruption, noise standard deviations."""

PLACES = 64
"""Number of places of a probe."""

_SMALLEST, _LARGEST = 16, 128
"""Height and width of a place that is not held back; a smaller image is mirrored up to 16."""
_HELD = 1 / 16
"""Maximum share of the pixels that are excluded from a training."""
_FEWEST = 4
"""Minimum number of places."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Trials at fixed places, two at each, the same for every evaluated estimate.

    Attributes
    ----------
    slabs : (2 K, P, S, S) float32
        Inputs, in the unit-noise coordinate: planes alone, or in the middle of their context.
    target : (2 K, S, S) float32
        Targets, there too.
    image : (2 K,) int64
        Number of the image of each trial.
    change : (K, S, S) float32
        In resampled trials the scaled difference of the two inputs, 0 where they are equal; 0
        everywhere in other trials.
    weight : (K, S, S) float32
        0 for pixels that are not compared, because two frames do not show the same scene there, or
        there is no image; else 1.
    light : tuple of LevelChange or None
        For each place the change of the light between its two frames: estimates of the first are
        converted to the light of the second; None if there is no change.
    slope : (K, S, S) float32
        Derivative of the second level with respect to the first; 1 if there is no change.
    known : (K,) float64
        Noise variance of the targets, which is subtracted from the squared distance.
    doubt : float
        Standard error that the noise variance of all targets has in common.
    noise : float
        Mean noise variance of the images at the places.
    pixels : int
        Number of different pixels of the images at the places.
    paired : (K,) bool
        Whether a place has two frames.
    normal : (K,) bool
        Whether a training takes the noise at a place for normal: it is not resampled, it was not
        measured, and there is no other frame of the scene.
    margin : int
        Width of the border that is not compared, pixels.
    held : tuple of Box
        Compared places, which are excluded from an evaluated training.
    witness : (K, S, S) float32
        A plane beside that of each place, whose noise is nowhere in its input; NaN if there is
        none.
    """

    slabs: NDArray[np.float32]
    target: NDArray[np.float32]
    image: NDArray[np.int64]
    change: NDArray[np.float32]
    weight: NDArray[np.float32]
    light: tuple[LevelChange | None, ...]
    slope: NDArray[np.float32]
    known: Array
    doubt: float
    noise: float
    pixels: int
    paired: NDArray[np.bool_]
    normal: NDArray[np.bool_]
    margin: int
    held: tuple[Box, ...]
    witness: NDArray[np.float32]

    @property
    def two_frames(self) -> float:
        """Share of places with two frames."""
        return float(self.paired.mean())

    @property
    def noisy(self) -> NDArray[np.float32]:
        """Central planes of the inputs, (2 K, S, S) float32."""
        return self.slabs[:, self.slabs.shape[1] // 2]

    def risk(self, clean: NDArray[np.floating]) -> Risk:
        """Risk of estimates (2 K, S, S) of the mean coordinate of the clean image.

        If the light of two frames differs, both distances are measured in that of the second. The
        sum of the squared errors of the two, in their own lights ``r_1`` and ``r_2``, is
        ``slope^2 r_1 + r_2``.
        """
        inner = slice(self.margin, clean.shape[-1] - self.margin)
        clean = clean[:, inner, inner].astype(np.float64)
        for number, change in enumerate(self.light):
            if change is not None:
                clean[2 * number] = change(clean[2 * number])
        square = (clean - self.target[:, inner, inner]) ** 2
        weight = self.weight[:, inner, inner]
        drawn = weight * self.change[:, inner, inner]
        count = np.count_nonzero(drawn, axis=(1, 2))
        penalty = ((clean[::2] - clean[1::2]) * drawn).sum((1, 2)) / np.maximum(count, 1)
        two = (weight * (square[::2] + square[1::2])).sum((1, 2))
        two /= (weight * (1 + self.slope[:, inner, inner].astype(np.float64) ** 2)).sum((1, 2))
        apparent = (weight * square[::2]).sum((1, 2)) / weight.sum((1, 2))
        mean = np.where(count > 0, apparent + penalty, two)
        doubt = self.doubt
        if (resampled := count > 0).any():  # places overlap and share the noise of their pixels
            doubt = math.hypot(doubt, float(square[::2][resampled].std()) / self.pixels**0.5)
        return Risk(mean - self.known, self.two_frames, doubt, self.noise)


def places_to_hold(images: Sequence[NoisyPlanes], size: int, most: int = PLACES) -> int:
    """Number of places of ``size`` pixels to exclude from a training: a sixteenth of all
    pixels.
    """
    pixels = sum(math.prod(image.shape) / (2 if image.pairs else 1) for image in images)
    return min(most, max(_FEWEST, int(_HELD * pixels / size**2)))


def place_size(shape: Sequence[int], multiple: int) -> int:
    """Height and width of a place of an image (..., Y, X), pixels; a multiple of a number."""
    return min(_LARGEST, max(_SMALLEST, min(shape[-2:]))) // multiple * multiple


def draw_probe(
    images: Sequence[NoisyPlanes],
    size: int,
    generator: torch.Generator,
    places: int = PLACES,
    margin: int = 0,
    strength: float = STRENGTH,
    resample: Resample | None = None,
    buffer: PlaneBuffer | None = None,
    context: bool = False,
    witnessed: bool = False,
) -> Probe:
    """Trials at random places: two frames if an image has such, else resampled or recorrupted.

    Resampled if ``resample`` is given and the noise of an image is white.

    Noise with few discrete values differs from a perturbation; a recorrupted risk would be wrong
    there, and is NaN.

    Parameters
    ----------
    images : sequence of NoisyPlanes
        Images on which estimates will be evaluated.
    size : int
        Height and width of a place, pixels.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    places : int
        Number of places.
    margin : int
        Width of the border that is not compared, pixels.
    strength : float
        ``a`` of the recorruption, noise standard deviations.
    resample : callable, optional
        Resamples noise.
    buffer : PlaneBuffer, optional
        Planes of the images that were read already.
    context : bool
        Whether an input has a context. It is never perturbed, and two frames are not compared:
        each would be in the context of the other.
    witnessed : bool
        Whether one of the planes beside is left out of the context, as a witness.
    """
    sampler = PatchSampler(images, size, generator, buffer=buffer, context=context)
    sources = [noise_source(image.correlation) for image in images]
    chosen = sampler.images(places)
    trials: list[tuple[Tensor, Tensor]] = []
    held: list[Box] = []
    known: list[float] = []
    doubts: list[float] = []
    own: list[float] = []
    alone: dict[int, int] = {}
    half = PLANES // 2 if context else 0
    weights, slopes = torch.ones(2, places, size, size)
    witness = torch.full((places, size, size), torch.nan)
    light: list[LevelChange | None] = [None] * places
    paired, normal = np.zeros(places, bool), np.zeros(places, bool)
    for number in chosen.tolist():
        image = images[number]
        pair = two_frames(sampler, number, margin) if image.pairs and not context else None
        if pair is not None:
            at, (one, other) = len(known), pair.patches
            held += [box.inside(margin) for box in pair.boxes]
            trials += [(one[None], other), (other[None], pair.brought)]
            weights[at], slopes[at], light[at] = pair.weight, pair.slope, pair.light
            known.append(pair.noise)
            paired[at] = True
            doubts.append(0.0)
            own.append(pair.noise)
            continue
        place = sampler.draw_box(number)
        held.append(place.inside(margin))
        at = len(known)
        if witnessed:
            one, witness[at] = sampler.slab_and_witness(place)
        else:
            one = sampler.slab(place)
        weights[at] = _image_weight(sampler, place, margin)
        variance = _variance(image, one[half])
        own.append(_mean_inside(variance, weights[at], margin))
        doubts.append(image.curve.doubt * own[-1])
        if resample is not None and image.correlation.is_white:
            alone[len(known)] = number
            trials += [(one, one[half])] * 2
            known.append(own[-1])
            continue
        normal[at] = not image.pairs and is_normal(image.correlation)
        noise = variance**0.5 * sources[number].draw((size, size), generator)
        for a in (strength, -strength):
            put = one.clone()
            put[half] += a * noise
            trials.append((put, one[half] - noise / a))
        both = _mean_inside(variance + (noise / strength) ** 2, weights[at], margin)
        known.append(both if image.recorruptible else math.nan)
    slabs, target = (torch.stack(part) for part in zip(*trials, strict=True))
    change = torch.zeros(len(known), size, size)
    if resample is not None and alone:
        _resample(resample, alone, slabs, change, generator)
    return Probe(
        slabs.numpy(),
        target.numpy(),
        np.repeat(chosen.numpy(), 2),
        change.numpy(),
        weights.numpy(),
        tuple(light),
        slopes.numpy(),
        np.array(known),
        float(np.mean(doubts)),
        float(np.mean(own)) or 1.0,
        _pixels(images, chosen, size - 2 * margin),
        paired,
        normal,
        margin,
        tuple(held),
        witness.numpy(),
    )


def _resample(
    resample: Resample,
    alone: Mapping[int, int],
    slabs: Tensor,
    change: Tensor,
    generator: torch.Generator,
) -> None:
    """Resample noise in the second inputs of the places ``alone``, given the image of each."""
    places, image = (torch.tensor(list(part)) for part in (alone, alone.values()))
    drawn = resample(slabs[2 * places], image, generator)
    slabs[2 * places + 1], change[places] = drawn.slabs, drawn.change[:, 0]


def _pixels(images: Sequence[NoisyPlanes], chosen: Tensor, size: int) -> int:
    """Number of different pixels of the ``chosen`` images in squares of ``size`` pixels."""
    count = torch.bincount(chosen, minlength=len(images)).tolist()
    return sum(
        min(math.prod(image.shape), places * size**2)
        for image, places in zip(images, count, strict=True)
    )


def _image_weight(sampler: PatchSampler, box: Box, margin: int) -> Tensor:
    """(S, S) float32: 0 where a box is blank, unless it is blank everywhere inside the margin."""
    there = sampler.there(box)
    inner = slice(margin, box.size - margin)
    if there is None or not bool(there[inner, inner].any()):
        return torch.ones(box.size, box.size)
    return there.float()


def _mean_inside(patch: Tensor, weight: Tensor, margin: int) -> float:
    inner = slice(margin, patch.shape[-1] - margin)
    return float((patch * weight)[inner, inner].sum() / weight[inner, inner].sum())


def _variance(image: NoisyPlanes, patch: Tensor) -> Tensor:
    """Noise variance at the local mean of a patch (Y, X)."""
    curve = image.curve
    level = torch.nn.functional.avg_pool2d(patch[None, None], 5, 1, 2, count_include_pad=False)
    grid = np.linspace(curve.start, curve.stop, len(curve.values))
    return torch.from_numpy(np.interp(level[0, 0].numpy(), grid, curve.values)).float()
