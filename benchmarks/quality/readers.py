"""What bioio and ome-zarr-py state of images, as JSON; for `other_programs.py`.

    python benchmarks/quality/readers.py IMAGE ...

It needs bioio, bioio-ome-tiff, bioio-ome-zarr, bioio-tifffile and ome-zarr, which may be in an
environment of their own, because some of them need other versions of zarr and NumPy than napari.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any


def by_bioio(path: str) -> dict[str, Any]:
    from bioio import BioImage

    image = BioImage(path)
    sizes = image.physical_pixel_sizes
    interval = image.time_interval
    seconds = interval.total_seconds() if hasattr(interval, 'total_seconds') else interval
    return {
        'shape': {axis: length for axis, length in image.dims.items() if length > 1},
        'sizes': {axis: getattr(sizes, axis) for axis in 'ZYX'} | {'T': seconds},
        'names': image.channel_names,
    }


def by_ome_zarr(path: str) -> dict[str, Any]:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node, *_) = Reader(parse_url(path))()
    axes = [axis['name'].upper() for axis in node.metadata['axes']]
    (scale, *_) = node.metadata['coordinateTransformations'][0]
    steps = dict(zip(axes, scale['scale'], strict=True))
    colours = [
        [round(255 * part) for part in ramp[-1][:3]] for ramp in node.metadata.get('colormap', ())
    ]
    return {
        'shape': {a: n for a, n in zip(axes, node.data[0].shape, strict=True) if n > 1},
        'sizes': {axis: steps[axis] for axis in axes if axis in 'TZYX'},
        'names': node.metadata.get('channel_names'),
        'colours': colours or None,
    }


def plugin_of(path: str) -> str:
    """The package by which bioio reads an image."""
    if path.endswith('.zarr'):
        return 'bioio-ome-zarr'
    return 'bioio-ome-tiff' if path.endswith('.ome.tif') else 'bioio-tifffile'


def _named(package: str) -> str:
    return f'{package} {version(package)}'


def main() -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter('ignore')
    found: dict[str, dict[str, Any]] = {}
    for path in sys.argv[1:]:
        readers = {_named(plugin_of(path)): by_bioio}
        if Path(path).suffix == '.zarr':
            readers[_named('ome-zarr')] = by_ome_zarr
        found[path] = {}
        for name, reader in readers.items():
            try:
                found[path][name] = reader(path)
            except Exception as error:  # noqa: BLE001 (what others raise is a finding)
                found[path][name] = {'error': f'{type(error).__name__}: {error}'}
    print(json.dumps(found))


if __name__ == '__main__':
    main()
