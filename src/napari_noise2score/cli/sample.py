"""The command ``sample``: a noisy image with known noise, and its ground truth, as files."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.outputs import Place, outputs_of, tried
from napari_noise2score.errors import InputError
from napari_noise2score.files import moved_aside
from napari_noise2score.images.ome_zarr.location import is_ome_zarr, named, url_of

if TYPE_CHECKING:
    from napari_noise2score.images.samples import Sample


def add_sample(commands: Any) -> None:
    """The command ``sample``."""
    sample = commands.add_parser(
        'sample', help='write a synthetic noisy image with known noise, and its ground truth'
    )
    sample.add_argument(
        'name',
        metavar='NAME',
        help='confocal, low-light (a movie), z-stack, wide-field (noise correlated between '
        'pixels), speckle, filaments, nuclei or puncta',
    )
    sample.add_argument(
        '--output',
        type=Place.parse,
        required=True,
        metavar='OUT',
        help='TIFF (.tif) or OME-Zarr (.ome.zarr) to write; the ground truth of OUT.tif is '
        'OUT_truth.tif',
    )
    sample.add_argument(
        '--seed',
        type=int,
        default=0,
        metavar='N',
        help='another seed makes another image of the same kind (default: 0)',
    )
    sample.add_argument(
        '--overwrite',
        action='store_true',
        help='replace the files if they exist; without it, they are not replaced',
    )
    sample.set_defaults(command=write_sample)


def write_sample(options: argparse.Namespace) -> int:
    """Write a sample and its ground truth, and say what it is."""
    from napari_noise2score.images.formats import check_writable_as
    from napari_noise2score.images.samples import make_sample

    if options.output.folder:
        raise InputError(f'{options.output.path}: is a folder; a file name is needed')
    paths = [options.output.path, truth_name(options.output.path)]
    sample = make_sample(options.name, seed=options.seed)
    images = [sample.noisy, sample.truth]
    for path, image in zip(paths, images, strict=True):
        if not options.overwrite and url_of(path) is None and os.path.lexists(path):
            raise InputError(
                f'{named(path)}: exists already; --overwrite replaces it, or give another name'
            )
        for text in check_writable_as(path, sample.axes, image.dtype, image.shape):
            note(text)
    with tried(outputs_of(output=paths, replaced=paths if options.overwrite else ()), []):
        for path, image in zip(paths, images, strict=True):
            _write(path, image, sample)
    say(_words(sample, *paths))
    return 0


def truth_name(path: Path) -> Path:
    """Where the ground truth of a sample goes: ``cells_truth.tif`` for ``cells.tif``."""
    return path.with_name(
        re.sub(r'((\.ome)?\.[^.]*)?$', r'_truth\1', path.name, count=1, flags=re.I)
    )


def _write(path: Path, image: NDArray[Any], sample: Sample) -> None:
    from napari_noise2score.images.formats import write_image

    is_store = is_ome_zarr(path)
    # a TIFF with a record would pass for a result; an OME-Zarr without one is never overwritten
    record = {'sample': sample.to_dict()} if is_store else None
    old = is_store and url_of(path) is None and path.is_dir()
    with moved_aside(path) if old else nullcontext():
        write_image(path, image, sample.axes, sample.acquisition, record=record)


def _words(sample: Sample, path: Path, truth: Path) -> str:
    size = ' x '.join(map(str, sample.noisy.shape))
    return (
        f'{named(path)}: {sample.about}; axes {sample.axes}, {size}, {sample.noisy.dtype}; '
        f'noise {sample.noise_words}; ground truth in {named(truth)}'
    )
