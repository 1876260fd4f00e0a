"""Small files of every format that is read here, ways to damage them, and what reading them gives.

Used by the tests, and by `benchmarks/fuzz.py` for many more files.
"""

from __future__ import annotations

import io
import re
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import imagecodecs
import numpy as np
import tifffile
import torch
import zarr

from napari_noise2score._widget import stored_run
from napari_noise2score._widget.stored_run import StoredLayer, StoredRun, interrupted_runs
from napari_noise2score.cli.table import Table
from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.formats import read_image
from napari_noise2score.images.ome_zarr import write_ome_zarr
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.score.training_state import TrainingState
from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings

RNG = np.random.default_rng(0)
FRAMES = RNG.poisson(50, (3, 48, 48)).astype(np.uint16)
COLOURS = RNG.integers(0, 255, (48, 48, 3), dtype=np.uint8)
OME = {'axes': 'TYX', 'PhysicalSizeX': 0.1, 'Channel': {'Name': 'a'}}
IMAGEJ = {'axes': 'TYX', 'unit': 'um', 'spacing': 0.3, 'Labels': ['a', 'b', 'c']}
GREY = {'photometric': 'minisblack'}
TIFFS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    'plain': (FRAMES, 'TYX', GREY | {'metadata': {'axes': 'TYX'}}),
    'no description': (FRAMES, 'TYX', GREY | {'metadata': None}),
    'deflate': (FRAMES, 'TYX', GREY | {'compression': 'zlib', 'predictor': True}),
    'lzw': (FRAMES, 'TYX', GREY | {'compression': 'lzw'}),
    'zstd': (FRAMES, 'TYX', GREY | {'compression': 'zstd'}),
    'jpeg': (COLOURS[..., 0], 'YX', GREY | {'compression': 'jpeg'}),
    'tiles': (FRAMES, 'TYX', GREY | {'tile': (32, 32)}),
    'packed tiles': (FRAMES, 'TYX', GREY | {'tile': (32, 32), 'compression': 'zlib'}),
    '12 bits': (FRAMES[0], 'YX', GREY | {'bitspersample': 12}),
    'imagej': (FRAMES, 'TYX', {'imagej': True, 'resolution': (10, 10), 'metadata': IMAGEJ}),
    'ome': (FRAMES, 'TYX', GREY | {'ome': True, 'metadata': OME}),
    'bigtiff': (FRAMES, 'TYX', GREY | {'bigtiff': True, 'metadata': {'axes': 'TYX'}}),
    'colours': (COLOURS, 'YXS', {'photometric': 'rgb', 'metadata': {'axes': 'YXS'}}),
}
"""Values, axes and options of tifffile, by kind."""

_READ_WHOLE = 1 << 24
"""Bytes up to which all values of an image are read; of a larger one, a corner of a plane."""
_SIZES = (
    0,
    1,
    2,
    3,
    7,
    47,
    49,
    255,
    4096,
    65535,
    1 << 20,
    1 << 31,
    (1 << 32) - 1,
    1 << 40,
    1 << 62,
)
"""Numbers to put in the place of lengths."""
_VALUES = (*map(str, _SIZES), '-1', '1e999', 'NaN', 'null', '"x"', '[]', '{}', '[[]]')
"""Values to put in the place of those of texts."""


def tiff_bytes(kind: str) -> bytes:
    """A TIFF file of one of the kinds."""
    data, _, options = TIFFS[kind]
    made = io.BytesIO()
    tifffile.imwrite(made, data, **options)
    return made.getvalue()


class Way(StrEnum):
    """What is done to a file."""

    CUT = 'cut off'
    BITS = 'bits changed'
    SWAP = 'blocks swapped'
    VALUE = 'number or text replaced'
    LENGTH = 'binary length changed'


@dataclass(frozen=True, slots=True)
class Edit:
    """A damage.

    Attributes
    ----------
    way : Way
        What is done.
    place : int
        Where; taken modulo the number of places that there are.
    more : int
        What is put there, or with what it is swapped.
    near : bool
        Whether only the first 900 bytes count, where most formats have their metadata.
    """

    way: Way
    place: int
    more: int
    near: bool = False

    def made(self, raw: bytes) -> bytes:
        """The damaged content of a file."""
        if not raw:
            return raw
        content = bytearray(raw)
        at = self.place % min(len(raw), 900 if self.near else len(raw))
        size = _SIZES[self.more % len(_SIZES)]
        match self.way:
            case Way.CUT:
                return raw[:at]
            case Way.BITS:
                content[at] ^= self.more % 255 + 1
            case Way.SWAP:
                length = 1 + self.more % 64
                other = self.more // 64 % len(raw)
                one, two = raw[at : at + length], raw[other : other + length]
                content[at : at + length], content[other : other + length] = two, one
            case Way.VALUE:
                found = list(re.finditer(rb'\d+|"[^"]*"', raw))
                if found:
                    span = found[self.place % len(found)].span()
                    content[slice(*span)] = _VALUES[self.more % len(_VALUES)].encode()
            case Way.LENGTH:
                width = (2, 4, 8)[self.more // len(_SIZES) % 3]
                order = ('little', 'big')[self.more // (3 * len(_SIZES)) % 2]
                value = size % (1 << 8 * width)
                content[at : at + width] = value.to_bytes(width, order)[: len(raw) - at]
        return bytes(content)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A file, or the files of a folder, and how it is read.

    Attributes
    ----------
    name : str
        Name of the file or folder.
    files : mapping of str to bytes
        Contents by the path within the folder; of a file, by ``''``.
    read : callable
        Reads it.
    """

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]

    def outcome(self, edits: Sequence[Edit], folder: Path, which: int = 0) -> str:
        """What reading gives after a damage of one of the files: a word of `OUTCOMES`.

        Raises
        ------
        AssertionError
            If the error is not one line that names the file.
        Exception
            If the error is none of the package.
        """
        inner = sorted(self.files)[which % len(self.files)]
        top = folder / self.name
        for name, content in self.files.items():
            path = top / name if name else top
            path.parent.mkdir(parents=True, exist_ok=True)
            for edit in edits if name == inner else ():
                content = edit.made(content)
            path.write_bytes(content)
        try:
            self.read(top)
        except (InputError, CheckpointError) as error:
            text = str(error)
            assert text.splitlines() == [text], f'not one line: {text!r}'
            assert self.name in text or text.startswith('image'), f'names no file: {text!r}'
            return 'refused'
        return 'read'


def read_values(path: Path) -> None:
    """Read an image and its values, in one of several ways that follows from its content."""
    kind = zlib.crc32(path.read_bytes()) if path.is_file() else 1
    given = 'TYX' if path.suffix == '.npy' or kind % 4 == 0 else None
    image = read_image(path, given, in_memory=0 if kind % 2 else 1 << 24)
    data = image.data
    if data.size * np.dtype(data.dtype).itemsize <= _READ_WHOLE:
        ImageSource(data, image.axes).checksum()
    else:
        np.asarray(data[(0,) * (len(data.shape) - 2) + (slice(8), slice(8))])


@cache
def samples() -> tuple[Sample, ...]:
    """One of each kind."""
    images = {f'{kind.replace(" ", "-")}.tif': {'': tiff_bytes(kind)} for kind in TIFFS}
    images |= {
        'grey.png': {'': imagecodecs.png_encode(FRAMES[0])},
        'colours.png': {'': imagecodecs.png_encode(COLOURS)},
        'stack.npy': {'': _npy(FRAMES)},
        'turned.npy': {'': _npy(np.asfortranarray(FRAMES.astype('>f4')))},
        'old.zarr': _store(2, None),
        'sharded.zarr': _store(3, (2, 32, 32)),
        'whole.zarr': _store(3, None),
        'result.zarr': _result(),
    }
    others = {
        'model.safetensors': ({'': _model()}, ScoreModel.load),
        'state.safetensors': ({'': _state()}, TrainingState.load),
        'table.json': ({'': _table('.json')}, _read_table),
        'table.csv': ({'': _table('.csv')}, _read_table),
        'x.tif.unfinished': ({'parts.jsonl': _parts()}, _read_parts),
        'run': ({'run.json': _run()}, _read_run),
    }
    return (
        *(Sample(name, files, read_values) for name, files in images.items()),
        *(Sample(name, *files_and_reader) for name, files_and_reader in others.items()),
    )


def _npy(data: Any) -> bytes:
    made = io.BytesIO()
    np.save(made, data)
    return made.getvalue()


def _store(version: int, shards: tuple[int, ...] | None) -> dict[str, bytes]:
    """The files of an OME-Zarr of version 0.4 (Zarr 2) or 0.5 (Zarr 3)."""
    kinds = {'t': 'time', 'y': 'space', 'x': 'space'}
    scale = {'type': 'scale', 'scale': [1.0, 0.1, 0.1]}
    transformations = {'coordinateTransformations': [scale]}
    multiscale: dict[str, Any] = {
        'version': '0.4' if version == 2 else None,
        'axes': [{'name': name, 'type': kind} for name, kind in kinds.items()],
        'datasets': [{'path': '0', **transformations}],
    }
    omero = {'channels': [{'label': 'a', 'color': '00FF00'}]}
    ome = {'multiscales': [multiscale], 'omero': omero}
    attributes = ome if version == 2 else {'ome': {'version': '0.5', **ome}}
    with tempfile.TemporaryDirectory() as folder:
        group = zarr.create_group(folder, zarr_format=version, attributes=attributes)  # type: ignore[arg-type]
        array = group.create_array(
            '0', shape=FRAMES.shape, dtype=FRAMES.dtype, chunks=(1, 32, 32), shards=shards
        )
        array[...] = FRAMES
        return _files(Path(folder))


def _result() -> dict[str, bytes]:
    """The files of an OME-Zarr that this program wrote: chunks of Blosc in shards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'result.zarr')
        write_ome_zarr(path, FRAMES, 'TYX', record={'source': 'cells'})
        return _files(path)


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob('*') if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _model() -> bytes:
    torch.manual_seed(0)
    network = ScoreNetwork(NetworkSettings(8, 2, 1))
    return _saved(ScoreModel(network, 'preconditioned', {'seed': 3}, {'images': []}).save)


def _state() -> bytes:
    image = {
        'name': 'a.tif',
        'axes': 'YX',
        'shape': [48, 48],
        'region': '',
        'places': [{}],
        'crc32': 1,
        'noise': [{'family': 'gaussian', 'sigma': 2.0}],
        'coordinate': [2],
    }
    origin = TrainingOrigin({'torch': '2.5'}, TrainSettings().decisive, None, [image])
    parts = {'learner': {'weights': [torch.ones(8, 3)]}, 'losses': [np.ones(5), float('nan')]}
    return _saved(TrainingState(7, 1.5, origin, parts).save)


def _saved(save: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'saved'
        save(path)
        return path.read_bytes()


def _table(suffix: str) -> bytes:
    def save(folder: Path) -> None:
        folder.mkdir()
        table = Table([folder / f'table{suffix}'])
        table.put(Path('/a.tif'), folder / 'b.tif', 'done', axes='TYX', shape=[3, 48, 48])
        table.write()

    with tempfile.TemporaryDirectory() as top:
        save(Path(top, 'x'))
        return Path(top, 'x', f'table{suffix}').read_bytes()


def _read_table(path: Path) -> None:
    table = Table([path])
    table.put(Path('/c.tif'), None, 'failed')
    table.write()


def _parts() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        unfinished = _unfinished(Path(folder, 'x.tif'))
        unfinished.begin()
        for number, frame in enumerate(FRAMES):
            unfinished.add(number, frame)
        unfinished.close()
        return (unfinished.folder / 'parts.jsonl').read_bytes()


def _read_parts(folder: Path) -> None:
    unfinished = _unfinished(folder.with_name(folder.name.removesuffix('.unfinished')))
    try:
        unfinished.begin()
        for number, frame in enumerate(FRAMES):
            unfinished.holds(number, partial(np.asarray, frame))
    finally:
        unfinished.close()


def _unfinished(path: Path) -> UnfinishedImage:
    origin = {'input': {'input_bytes': 7}, 'settings': 'abc'}
    return UnfinishedImage(path, origin, resume=True, state=lambda: {'checks': [1.5, None]})


def _run() -> bytes:
    layer = StoredLayer('a', 'YX', (48, 48), '', (), 1)
    with tempfile.TemporaryDirectory() as folder:
        StoredRun(Path(folder), (layer,), DenoiseSettings()).claim()
        return Path(folder, 'run.json').read_bytes()


def _read_run(folder: Path) -> None:
    (folder / 'states').mkdir(exist_ok=True)
    with patch.object(stored_run, 'default_folder', lambda: folder.parent):
        interrupted_runs()
