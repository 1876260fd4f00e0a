"""Random training patches from planes that are read on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.blocks import Window
from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.score.context import (
    PLANES,
    mirrored,
    slab_places,
    with_context,
)
from napari_noise2score.score.orientation import ORIENTATIONS, turned
from napari_noise2score.score.plane_buffer import CACHE_BYTES, PlaneBuffer, PlaneChoice
from napari_noise2score.score.planes import Planes

_TRIES = 32
_LARGER = 0.5
"""Minimum share of valid pixels of a patch, if such a place exists."""

_BEFORE, _AFTER = slab_places('before 1', 'after 1')

Bools = NDArray[np.bool_]


class Box(NamedTuple):
    """A square of a plane; a plane smaller than a patch is mirrored up to it."""

    image: int
    plane: int
    top: int
    left: int
    size: int

    def inside(self, margin: int) -> Box:
        """The square without a margin of ``margin`` pixels."""
        top, left = self.top + margin, self.left + margin
        return self._replace(top=top, left=left, size=self.size - 2 * margin)


class Patches(NamedTuple):
    """A batch: ``values`` (B, P, Y, X) float32 in the unit-noise coordinate, the ``image`` (B,)
    and the ``orientation`` (B,) of each, int64, and ``weight`` (B, 1, Y, X) float32, 0 where
    pixels of the central plane are excluded from the training, or blank. What there is not of a
    context is NaN.
    """

    values: Tensor
    image: Tensor
    orientation: Tensor
    weight: Tensor


class SamplerState(NamedTuple):
    """State of the random numbers, number of choices from shelves, and planes and pairs of planes
    on the shelf of each image.
    """

    random: Tensor
    drawn: int
    shelves: dict[int, list[int]]
    pair_shelves: dict[int, list[int]]

    def to_dict(self) -> dict[str, Any]:
        """The same by name, with texts and lists only around the random numbers."""
        shelves = {'shelves': self.shelves, 'pair_shelves': self.pair_shelves}
        lists = {name: [list(one) for one in each.items()] for name, each in shelves.items()}
        return {**self._asdict(), **lists}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SamplerState:
        """From what `to_dict` returned."""
        shelves = (dict(values[name]) for name in ('shelves', 'pair_shelves'))
        return cls(values['random'], values['drawn'], *shelves)


class PatchSampler:
    """Draws patches, rotated and mirrored; each pixel of every image has the same probability.

    Blank places are filled from their surroundings and have the weight 0. Patches that are mostly
    blank are avoided.

    Parameters
    ----------
    images : sequence of Planes
        Images to draw from.
    size : int
        Height and width of a patch, pixels. Smaller planes are mirrored up to it.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    held : sequence of Box
        Pixels that are excluded from the training.
    most_held : float
        Share of a plane that a box may exclude: of a tiny plane it would be all of it, and such a
        box is ignored.
    context : bool
        Whether a patch is in the middle of its context, and not a plane alone.
    in_memory : int
        Size of the buffer of planes, bytes.
    buffer : PlaneBuffer, optional
        Buffer of the planes of these images that other samplers use too, instead of an own one.
    """

    def __init__(
        self,
        images: Sequence[Planes],
        size: int,
        generator: torch.Generator,
        held: Sequence[Box] = (),
        most_held: float = 1.0,
        in_memory: int = CACHE_BYTES,
        buffer: PlaneBuffer | None = None,
        context: bool = False,
    ) -> None:
        self._images, self._context = images, context
        self._buffer = buffer or PlaneBuffer(images, in_memory)
        planes = 1 + PLANES if context else 1
        self._choice = PlaneChoice(images, self._pairs, self._buffer, size, planes, self._whole)
        self.size, self.generator = size, generator
        self._weights = torch.tensor([float(np.prod(image.shape)) for image in images])
        self._held: dict[tuple[int, int], list[tuple[Bools, Bools]]] = {}
        for box in held:
            rows, columns = self._rows_and_columns(box)
            if rows.mean() * columns.mean() <= most_held:
                self._held.setdefault((box.image, box.plane), []).append((rows, columns))

    @property
    def state(self) -> SamplerState:
        """State on which the next draws depend."""
        choice = self._choice
        shelves = map(_copied, (choice.shelves, choice.pair_shelves))
        return SamplerState(self.generator.get_state(), choice.drawn, *shelves)

    def restore(self, state: SamplerState) -> None:
        """Return to a ``state``, so that the same patches are drawn again."""
        self.generator.set_state(state.random)
        self._choice.drawn = state.drawn
        self._choice.shelves = _copied(state.shelves)
        self._choice.pair_shelves = _copied(state.pair_shelves)

    def draw(self, count: int) -> Patches:
        """``count`` patches, rotated and mirrored at random."""
        return self.draw_of(self.images(count))

    def draw_of(self, chosen: Tensor) -> Patches:
        """A patch of each of these images, (B,) int64, rotated and mirrored at random."""
        orientations = torch.randint(ORIENTATIONS, (len(chosen),), generator=self.generator)
        drawn, weights = [], []
        for image, orientation in zip(chosen.tolist(), orientations.tolist(), strict=True):
            box = self.draw_box(image)
            drawn.append(turned(self.slab(box), orientation))
            weights.append(turned(self.weight(box), orientation))
        return Patches(torch.stack(drawn), chosen, orientations, torch.stack(weights)[:, None])

    def images(self, count: int) -> Tensor:
        """Numbers of ``count`` images, (count,) int64, with the same probability for each
        pixel.
        """
        return torch.multinomial(self._weights, count, True, generator=self.generator)

    def draw_box(self, image: int) -> Box:
        """A random place in a random plane, mostly with valid pixels if possible."""
        for _ in range(_TRIES):
            box = self.place(image, self._choice.plane(image))
            if self.image_share(box) > 0:
                return box
            self._choice.replace(image, box.plane)
        every = (self.place(image, plane) for plane in range(self._images[image].shape[0]))
        return next((candidate for candidate in every if self.image_share(candidate) > 0), box)

    def pair(self, image: int) -> PlanePair:
        """A random pair of planes of an image that has pairs."""
        return self._choice.pair(image)

    def place(self, image: int, plane: int) -> Box:
        """A random place in a plane, mostly with valid pixels if possible."""
        sides = self._images[image].shape[1:]
        best: tuple[float, Box] | None = None
        for _ in range(_TRIES):
            top, left = (self._whole(max(side - self.size, 0) + 1) for side in sides)
            box = Box(image, plane, top, left, self.size)
            share = self.image_share(box)
            if share >= _LARGER:
                return box
            if best is None or share > best[0]:
                best = share, box
        assert best is not None
        return best[1]

    def image_share(self, box: Box) -> float:
        """Share of valid pixels of a box."""
        there = self.there(box)
        return 1.0 if there is None else float(there.float().mean())

    def there(self, box: Box) -> Tensor | None:
        """Valid pixels of a box, (size, size) bool; None if all are valid."""
        blank = self._buffer.blank(box.image, box.plane, self.size)
        if blank is None:
            return None
        return ~blank[box.top : box.top + box.size, box.left : box.left + box.size]

    def cut(self, box: Box) -> Tensor:
        """The pixels of a box, upright, (size, size) float32."""
        plane = self._plane(box.image, box.plane)
        return plane[box.top : box.top + box.size, box.left : box.left + box.size]

    def slab(self, box: Box, without: int | None = None) -> Tensor:
        """The pixels of a box, alone or in the middle of their context, upright.

        (P, size, size) float32, NaN where there is nothing of a context. That is ``without`` the
        plane of this number.
        """
        if not self._context:
            return self.cut(box)[None]
        return torch.from_numpy(self._with_context(box, without))

    def slab_and_witness(self, box: Box) -> tuple[Tensor, Tensor]:
        """A slab as of `slab`, with a plane beside it left out of its context, and this plane.

        The plane that was left out, (size, size) float32, shows nearly the same scene with noise
        that is nowhere in the slab. NaN if there is none.
        """
        slab = self.slab(box)
        before, after = self._images[box.image].beside(box.plane)
        for other, place in ((after, _AFTER), (before, _BEFORE)):
            if other is None:
                continue
            without = self.slab(box, other)
            if not torch.equal(without[place].nan_to_num(), slab[place].nan_to_num()):
                return without, slab[place]
        return slab, torch.full((box.size, box.size), torch.nan)

    def _with_context(self, box: Box, without: int | None) -> NDArray[np.float32]:
        """The pixels of a box in the middle of their context; see `with_context`."""
        image = self._images[box.image]
        window = Window(
            *(
                slice(first, min(first + box.size, side))
                for first, side in zip((box.top, box.left), image.shape[1:], strict=True)
            )
        )
        context = image.patch_context(box.plane, window, without)
        context = mirrored(context, (box.size, box.size))
        return with_context(self.cut(box).numpy(), context)

    def weight(self, box: Box) -> Tensor:
        """(size, size) float32: 0 for pixels that are excluded or blank, else 1."""
        there = self.there(box)
        weight = torch.ones(box.size, box.size) if there is None else there.float()
        for rows, columns in self._held.get((box.image, box.plane), ()):
            down, across = rows[box.top :][: box.size], columns[box.left :][: box.size]
            if down.any() and across.any():
                weight[torch.from_numpy(np.outer(down, across))] = 0
        return weight

    def still(self, box: Box, pair: PlanePair) -> Tensor:
        """(size, size) float32: 1 where the planes of a pair show the same scene, else 0.

        It is 0 too where one of them is blank.
        """
        both = [self.there(box._replace(plane=plane)) for plane in (pair.first, pair.second)]
        weight = torch.ones(box.size, box.size)
        for there in both:
            weight = weight if there is None else weight * there
        if pair.still is None:
            return weight
        rows, columns = (
            origin[first : first + box.size]
            for origin, first in zip(self._origins(box.image), box[2:4], strict=True)
        )
        return weight * torch.from_numpy(pair.still.at(rows, columns))

    def _origins(self, image: int) -> list[NDArray[np.intp]]:
        """Original rows and columns of the pixels of a plane, mirrored copies included."""
        return [
            np.pad(np.arange(side), (0, max(0, self.size - side)), mode='symmetric')
            for side in self._images[image].shape[1:]
        ]

    def _rows_and_columns(self, box: Box) -> tuple[Bools, Bools]:
        """Rows and columns of the pixels of a box, mirrored copies included."""
        axes = []
        for origin, first in zip(self._origins(box.image), box[2:4], strict=True):
            axes.append(np.isin(origin, origin[first : first + box.size]))
        return axes[0], axes[1]

    def _pairs(self, image: int) -> Sequence[PlanePair]:
        return getattr(self._images[image], 'pairs', ())

    def _whole(self, stop: int) -> int:
        return int(torch.randint(stop, (), generator=self.generator))

    def _plane(self, image: int, index: int) -> Tensor:
        return self._buffer.plane(image, index, self.size)


def some_patches(
    images: Sequence[Planes], size: int, seed: int, buffer: PlaneBuffer | None = None
) -> Tensor:
    """Patches (64, 1, Y, X), from which the level of the images is measured.

    ``buffer`` has planes of the images that were read already.
    """
    generator = torch.Generator().manual_seed(seed)
    return PatchSampler(images, size, generator, buffer=buffer).draw(64).values


def _copied(shelves: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    return {image: list(shelf) for image, shelf in shelves.items()}
