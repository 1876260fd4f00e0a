"""Memory and disk space that an image needs, checked before the work."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from napari_noise2score.errors import InputError
from napari_noise2score.images.blocks import LARGE, is_large
from napari_noise2score.images.region import held_bytes
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.storage import IN_MEMORY
from napari_noise2score.memory import address_space, available, in_words

PLANE = 40
"""Bytes of memory per pixel of a plane during the correction; 53 were measured for 9 Mpx."""


_PLANE_AT_MOST = 60
"""The same at most, with the planes that are kept."""
PROGRAM = 600 << 20
"""Bytes of Python, PyTorch, a network, its tiles, and parts of the file that are kept."""
SAMPLE_PIXELS = 1 << 24
"""Maximum number of pixels from which the noise is estimated."""
SAMPLE_PLANE = 1 << 22
"""Maximum number of them in one plane."""
SAMPLE_BLOCKS, SAMPLE_SIDE = 8, 512
"""Number of the blocks of large planes from which it is estimated, and their rows and columns."""
_ESTIMATE = 38
"""Bytes of memory per pixel of this sample; 35 were measured."""
_SINGLE = 115
"""Bytes of memory per pixel of planes that are also measured alone, two at most; 110 were
measured."""
_TRAINING = 300 << 20
"""Bytes of a training besides its planes."""
_PATCHES = 1 << 29
"""Bytes of the planes from which a training draws its patches."""
BESIDE = 160 << 20
"""Bytes of the planes that a network sees beside each other, if they are not large."""
FEWEST_BESIDE = 2
"""Minimum number of them on each side."""
PART = 1 << 26
"""Bytes of a part of a page that is written at once, about."""
_ESTIMATED = 8
"""Bytes of a file per pixel of a plane that is computed in blocks."""
_SHARDS = 300 << 20
"""Bytes of the shards that are written, of their codecs, and of the smaller levels."""


class Free(NamedTuple):
    """Bytes that are free.

    Attributes
    ----------
    memory : int
        Memory of this process.
    addresses : int or None
        Addresses that ``ulimit -v`` leaves; None without such a limit.
    disk : int
        Space for temporary files.
    """

    memory: int
    addresses: int | None
    disk: int

    @classmethod
    def now(cls) -> Free:
        """What is free on this machine."""
        return cls(available(), address_space(), shutil.disk_usage(tempfile.gettempdir()).free)


def check_footprint(
    source: ImageSource,
    dtype: DTypeLike,
    *,
    differences: bool = False,
    free: Free | None = None,
) -> None:
    """Raise an error if there is not enough space for the results of an image.

    The estimate is rather too low, so that no possible work is refused.

    Parameters
    ----------
    source : ImageSource
        The image.
    dtype : dtype
        Dtype of the result.
    differences : bool
        Whether maps of the effect of the training are requested too.
    free : Free, optional
        What is free; measured if not given.

    Raises
    ------
    InputError
        With the sizes and a remedy.
    """
    needed, filed = footprint(source, dtype, differences=differences)
    free = free or Free.now()
    _compare(source, needed, free.memory, 'memory')
    if free.addresses is not None:
        _compare(source, needed + filed, free.addresses, 'memory by ulimit -v')
    if filed:
        _compare(source, filed, free.disk, f'space in {tempfile.gettempdir()} (TMPDIR)')


def footprint(
    source: ImageSource, dtype: DTypeLike, *, differences: bool = False
) -> tuple[int, int]:
    """Bytes of memory, and of temporary files, that an image needs at least.

    Parameters
    ----------
    source, dtype, differences
        As of `check_footprint`.
    """
    channels = source.channels()
    count, rows, columns = channels[0].shape
    result, level = source.size * np.dtype(dtype).itemsize, 4 * count * rows * columns
    arrays = [result, *[level] * len(channels)]
    arrays += [4 * source.size, level] if differences else []
    filed = sum(size for size in arrays if size > IN_MEMORY)
    return PLANE * rows * columns + sum(arrays) - filed, filed


def peak_at_once(
    source: ImageSource, dtype: DTypeLike, *, trains: bool, differences: bool = False
) -> int:
    """Bytes of memory of the whole program, at most, if all results of an image are held.

    Temporary files count as well: what is written to them is in memory.

    Parameters
    ----------
    source, dtype, differences
        As of `check_footprint`.
    trains : bool
        Whether a model is trained on the image.
    """
    needed, filed = footprint(source, dtype, differences=differences)
    needed += (_PLANE_AT_MOST - PLANE) * math.prod(source.channels()[0].shape[1:])
    needed += _beside(source)
    before = _before_the_result(source, trains=trains)
    return PROGRAM + held_bytes(source.data) + max(before, needed + filed)


def peak_on_demand(source: ImageSource, dtype: DTypeLike, *, trains: bool, sharded: bool) -> int:
    """Bytes of memory of the whole program, at most, if planes are computed one after another.

    Large planes are computed in blocks, with no more memory than planes that just fit.

    Parameters
    ----------
    source, dtype, trains
        As of `peak_at_once`.
    sharded : bool
        Whether the result is written shard by shard, not in pages.
    """
    rows, columns = source.channels()[0].shape[1:]
    written = _SHARDS if sharded else min(PART, rows * columns * np.dtype(dtype).itemsize)
    before = _before_the_result(source, trains=trains)
    plane = plane_at_most((rows, min(columns, -(-LARGE // rows))))
    return PROGRAM + held_bytes(source.data) + max(before, plane + written + _beside(source))


def peak_of_learning(sources: Iterable[ImageSource], *, trains: bool) -> int:
    """Bytes of memory of the whole program, at most, for noise estimates or for a training.

    Parameters
    ----------
    sources : iterable of ImageSource
        The images; a training draws from all of them.
    trains : bool
        Whether a model is trained on them.
    """
    estimate, planes, size, held = 0, 0, 0, 0
    for source in sources:
        shape = source.channels()[0].shape
        estimate = max(estimate, _before_the_result(source, trains=False))
        planes = max(planes, PLANE * min(LARGE, math.prod(shape[1:])))
        size += source.size
        held += held_bytes(source.data)
    training = trains * (_TRAINING + min(_PATCHES, 4 * size) + planes)
    return PROGRAM + held + max(estimate, training)


def plane_at_most(shape: Sequence[int]) -> int:
    """Bytes of memory of the correction of a plane (..., Y, X) that is computed at once."""
    return _PLANE_AT_MOST * math.prod(shape[-2:])


def in_files(source: ImageSource) -> int:
    """Bytes of the files of the estimates of large planes, while these are computed in blocks."""
    shape = source.channels()[0].shape
    return _ESTIMATED * len(source.channels()) * math.prod(shape[1:]) * is_large(shape)


def _beside(source: ImageSource) -> int:
    """Bytes of the planes that a network sees beside each other, at most."""
    channel = source.channels()[0]
    count, plane = channel.shape[0], 4 * min(LARGE, math.prod(channel.shape[1:]))
    return min(count * plane, max(BESIDE, (2 * FEWEST_BESIDE + 1) * plane)) * (count > 1)


def _before_the_result(source: ImageSource, *, trains: bool) -> int:
    """Bytes of the noise estimate, or of the training, whichever needs more."""
    channel = source.channels()[0]
    plane = min(SAMPLE_PLANE, math.prod(channel.shape[1:]))
    pixels = min(SAMPLE_PIXELS, channel.shape[0] * plane)
    if is_large(channel.shape) and channel.frames == 1:
        pixels = plane = SAMPLE_BLOCKS * SAMPLE_SIDE**2
    estimate = max(_ESTIMATE * pixels, _SINGLE * min(pixels, 2 * plane))
    training = trains * (_TRAINING + min(_PATCHES, 4 * source.size))
    return max(estimate, training)


def _compare(source: ImageSource, needed: int, there: int, what: str) -> None:
    if needed > there:
        raise InputError(
            f'{source.name}: shape {source.shape} needs {in_words(needed)} of {what} at least, '
            f'but only {in_words(there)} are free; choose a region of it (on the command line '
            '--region, such as Y0:2048,X0:2048)'
        )
