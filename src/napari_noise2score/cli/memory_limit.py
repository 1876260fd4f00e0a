"""How much memory a call may need, and which images are computed part by part to keep to it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_noise2score.cli.console import note
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import is_ome_zarr
from napari_noise2score.memory import in_words, total

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike

    from napari_noise2score.images.source import ImageSource

_SHARE = 4
"""Part of the memory of the machine, one in so many, that a call may need."""
_SMALL = 2 << 30
"""A quarter of a small machine is not enough for any large image: up to so much, half of it."""
_LEAST = 1 << 30
"""Smallest limit: Python, PyTorch and a small image need about so much."""
_UNITS = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}


def add_max_memory(group: argparse._ActionsContainer, *, in_parts: bool = True) -> None:
    """The option of the limit.

    With ``in_parts`` it decides which images are computed in parts.
    """
    if in_parts:
        usual = '(default: a quarter of the memory of the machine, or half of it up to 2 GiB)'
        more = (
            'An image that needs more is computed plane by plane, and large planes block by '
            'block; its result is written part by part. The values are the same. '
        )
    else:
        usual, more = '(default: no limit)', 'What is needed is told before the work. '
    group.add_argument(
        '--max-memory',
        type=size_named,
        metavar='SIZE',
        help=f'memory that the call may need, such as 2G or 1500M {usual}. {more}If SIZE is given '
        'and the call uses 10 %% more, it stops',
    )


def check_learning(
    options: argparse.Namespace, sources: Iterable[ImageSource], *, trains: bool
) -> None:
    """Say what a noise estimate or a training needs, if a limit is given.

    Raises
    ------
    InputError
        If it is more than the limit.
    """
    from napari_noise2score.images.footprint import peak_of_learning

    most: int | None = options.max_memory
    if most is None:
        return
    needed = peak_of_learning(sources, trains=trains)
    what = 'the training' if trains else 'the noise estimate'
    if needed > most:
        raise InputError(
            f'{what} needs about {in_words(needed)} of memory, but --max-memory is '
            f'{in_words(most)}; give --max-memory {-(-needed // (1 << 30))}G, or choose a region '
            '(--region, such as Y0:2048,X0:2048)'
        )
    note(f'memory: at most about {in_words(needed)} of {in_words(most)} (--max-memory)')


def size_named(text: str) -> int:
    """The bytes that a text on the command line names.

    Raises
    ------
    ArgumentTypeError
        If it names no size, or one below the smallest limit.
    """
    found = re.fullmatch(r'(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?', text.strip(), re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f'{text!r} is no size; one such as 2G or 1500M is needed')
    size = int(float(found[1]) * _UNITS[found[2].upper()])
    if size < _LEAST:
        raise argparse.ArgumentTypeError(
            f'{text} is {in_words(size)}; {in_words(_LEAST)} or more is needed'
        )
    return size


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The memory that a call may need.

    Attributes
    ----------
    most : int
        Bytes.
    trains : bool
        Whether the call trains.
    """

    most: int
    trains: bool

    @classmethod
    def of(cls, options: argparse.Namespace, *, trains: bool) -> MemoryLimit:
        """The limit of the options; a quarter of the memory of the machine if none is given."""
        given: int | None = options.max_memory
        machine = total()
        usual = max(_LEAST, machine // _SHARE, min(_SMALL, machine // 2))
        return cls(given or usual, trains)

    def on_demand(self, source: ImageSource, dtype: DTypeLike) -> bool:
        """Whether an image needs more at once, so that it is computed plane by plane."""
        from napari_noise2score.images.footprint import peak_at_once

        return peak_at_once(source, dtype, trains=self.trains) > self.most

    def needed(self, source: ImageSource, dtype: DTypeLike, output: Path) -> int:
        """Bytes that an image needs: at most if it is computed plane by plane, else at least."""
        from napari_noise2score.images.footprint import footprint, peak_on_demand

        if self.on_demand(source, dtype):
            sharded = is_ome_zarr(output)
            return peak_on_demand(source, dtype, trains=self.trains, sharded=sharded)
        return footprint(source, dtype)[0]

    def check(self, source: ImageSource, dtype: DTypeLike, outputs: list[Path]) -> str:
        """What an image that is computed plane by plane needs, in words.

        Raises
        ------
        InputError
            If that is more than the limit, or not all ``outputs`` can be made plane by plane.
        """
        from napari_noise2score.images.blocks import is_large
        from napari_noise2score.images.footprint import peak_at_once

        if len(outputs) > 1:
            needed = peak_at_once(source, dtype, trains=self.trains, differences=True)
            raise InputError(
                f'{source.name}: --difference holds the whole image and needs '
                f'{in_words(needed)} of memory, but --max-memory is {in_words(self.most)}; leave '
                'it out, choose a region (--region), or give --max-memory more'
            )
        needed = self.needed(source, dtype, outputs[0])
        if needed > self.most:
            rows, columns = source.channels()[0].shape[1:]
            raise InputError(
                f'{source.name}: planes of {rows} x {columns} need about {in_words(needed)} of '
                f'memory, but --max-memory is {in_words(self.most)}; give --max-memory '
                f'{-(-needed // (1 << 30))}G, or choose regions (--region, such as '
                'Y0:4096,X0:4096)'
            )
        large = is_large(source.channels()[0].shape)
        planes = 'in blocks' if large else 'one after another'
        parts = 'in strips' if large else 'page by page'
        if is_ome_zarr(outputs[0]):
            parts = 'shard by shard'
        return (
            f'memory: at most about {in_words(needed)} of {in_words(self.most)} (--max-memory); '
            f'planes are computed {planes}, and the result is written {parts}'
        )
