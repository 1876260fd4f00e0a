"""Whether the disks have space for what a command writes, before the work."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.errors import InputError
from napari_noise2score.files import real
from napari_noise2score.images.ome_zarr import is_ome_zarr, url_of
from napari_noise2score.images.unfinished import bytes_there
from napari_noise2score.memory import in_words
from napari_noise2score.settings import NetworkSettings, TrainSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

_HEADER = 1 << 16
"""Bytes of a file besides the values of an image, at most but for very many planes."""


def check_space(sizes: Sequence[tuple[Path, int]], *, resume: bool = False) -> None:
    """Raise if there is no space for files of so many bytes, written one after the other.

    Parameters
    ----------
    sizes : sequence of (Path, int)
        Files, and how many bytes of numbers each is to hold.
    resume : bool
        Whether they go on from the parts of an earlier run, which have their space already.

    Raises
    ------
    InputError
        If a disk has too little space, or a file would be larger than the system lets it be.
    """
    free: dict[int, int] = {}
    total: dict[int, int] = {}
    most = _largest_file()
    for path, values in sizes:
        if url_of(path) is not None:
            continue
        zarr = is_ome_zarr(path)
        size = (values * 4 // 3 if zarr else values) + _HEADER  # with the smaller levels
        size -= min(size, bytes_there(path)) if resume else 0
        if most is not None and size > most and not zarr:
            raise InputError(
                f'{path}: would have {in_words(size)}, but files may have at most '
                f'{in_words(most)} here (ulimit -f)'
            )
        folder = existing(real(path).parent)
        device = folder.stat().st_dev
        free.setdefault(device, shutil.disk_usage(folder).free)
        total[device] = total.get(device, 0) + size
        if size > free[device]:
            now = in_words(shutil.disk_usage(folder).free)
            raise InputError(
                f'{path}: not enough disk space: {folder} has {now} free, but the outputs up to '
                f'this one need {in_words(total[device])}; free some space there, or write to '
                'another disk'
            )
        # an earlier file stays until the new one is complete, and gives its space back then
        free[device] -= size - (path.stat().st_size if path.is_file() else 0)


def bytes_of_model(start: ScoreModel | None, training: TrainSettings) -> int:
    """Bytes of the weights of a model in a file, at most; ``start`` is what it begins with."""
    from napari_noise2score.score.network import ScoreNetwork

    size = training.network or NetworkSettings()
    network = ScoreNetwork(size) if start is None else start.network
    weights = sum(weight.numel() for weight in network.parameters())
    return 4 * weights * training.slices


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _largest_file() -> int | None:
    """Most bytes that a file may have by the limits of this process; None if it has none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if most == resource.RLIM_INFINITY else most
