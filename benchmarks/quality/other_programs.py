"""What becomes of the metadata of images that are denoised, by the word of independent readers.

    xvfb-run -a python benchmarks/quality/other_programs.py --readers OTHER_ENVIRONMENT/bin/python

Small images with pixel sizes, slice distance, frame interval, names, colours and wavelengths of
channels are written in each format by other libraries, denoised with ``--seconds 0`` into each
format, and read by tifffile, zarr, napari, and those of `readers`. OME-Zarr is also validated by
yaozarrs. A result of the panel is saved with napari's own Save and opened again.

The table has for each format and reader what it does not state, or otherwise than it went in.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import tifffile
import yaozarrs
import zarr
from results import Record, Results, add_output, settings_of, table

from napari_noise2score.cli import main as command
from napari_noise2score.images.synthetic import synthetic_stack

Facts = dict[str, Any]
"""By name: shape, sizes, names, colours, waves; None or missing where nothing is stated."""

SIDES = {'T': 2, 'Z': 3, 'C': 2, 'Y': 48, 'X': 64}
SIZES = {'T': 1.5, 'Z': 0.5, 'Y': 0.2, 'X': 0.1}
TRUTH: Facts = {
    'shape': SIDES,
    'sizes': SIZES,
    'names': ['DAPI', 'GFP'],
    'colours': [[0, 0, 255], [0, 255, 0]],
    'waves': [[461.0, 358.0], [509.0, 488.0]],
}
IN_FORMAT = {
    'plain.tif': ('shape', 'sizes', 'names', 'colours', 'waves'),
    'imagej.tif': ('shape', 'sizes', 'names', 'colours'),
    'image.ome.tif': tuple(TRUTH),
    'image.ome.zarr': tuple(TRUTH),
    'old.ome.zarr': tuple(TRUTH),
}
"""What each input states."""
OUT_FORMAT = {
    'clean.tif': ('shape', 'sizes', 'names', 'colours'),
    'clean.ome.tif': tuple(TRUTH),
    'clean.ome.zarr': tuple(TRUTH),
}
"""What each output can hold: a hyperstack of ImageJ has no wavelengths."""


def noisy() -> np.ndarray:
    """(T, Z, C, Y, X) uint16."""
    frames = math.prod(SIDES[axis] for axis in 'TZC')
    stack = synthetic_stack('nuclei', frames=frames, size=SIDES['X']).noisy[:, : SIDES['Y']]
    return stack.astype(np.uint16).reshape(list(SIDES.values()))


def write_inputs(folder: Path, data: np.ndarray) -> None:
    """Images in each format, by tifffile and by zarr."""
    channels = [
        {'Name': name, 'Color': _packed(colour)}
        | {'EmissionWavelength': emission, 'ExcitationWavelength': excitation}
        for name, colour, (emission, excitation) in zip(
            TRUTH['names'], TRUTH['colours'], TRUTH['waves'], strict=True
        )
    ]
    words = {'axes': 'TZCYX', 'Channel': channels, 'TimeIncrement': SIZES['T']}
    words |= {f'PhysicalSize{axis}': SIZES[axis] for axis in 'ZYX'}
    tifffile.imwrite(folder / 'plain.tif', data, photometric='minisblack', metadata=words)
    tifffile.imwrite(folder / 'image.ome.tif', data, photometric='minisblack', metadata=words)
    grey = np.arange(256) / 255
    ramps = [np.outer(colour, grey).astype(np.uint8) for colour in TRUTH['colours']]
    tifffile.imwrite(
        folder / 'imagej.tif',
        data,
        imagej=True,
        resolution=(1 / SIZES['X'], 1 / SIZES['Y']),
        metadata={
            'axes': 'TZCYX',
            'unit': 'micron',
            'spacing': SIZES['Z'],
            'finterval': SIZES['T'],
            'mode': 'composite',
            'LUTs': ramps,
            'Labels': TRUTH['names'] * (SIDES['T'] * SIDES['Z']),
        },
    )
    for name, version in (('image.ome.zarr', '0.5'), ('old.ome.zarr', '0.4')):
        _write_zarr(folder / name, data.transpose(0, 2, 1, 3, 4), version)


def _write_zarr(path: Path, data: np.ndarray, version: str) -> None:
    kinds = {'t': 'time', 'c': 'channel'}
    units = {'t': 'second', 'z': 'micrometer', 'y': 'micrometer', 'x': 'micrometer'}
    axes = [
        {'name': name, 'type': kinds.get(name, 'space')}
        | ({'unit': units[name]} if name in units else {})
        for name in 'tczyx'
    ]
    scale = [SIZES.get(name.upper(), 1.0) for name in 'tczyx']
    steps = [{'type': 'scale', 'scale': scale}]
    images = [{'axes': axes, 'datasets': [{'path': '0', 'coordinateTransformations': steps}]}]
    channels = [
        {'label': name, 'color': bytes(colour).hex().upper(), 'active': True}
        | {'emissionWave': emission, 'excitationWave': excitation}
        | {'window': {'min': 0, 'max': 900, 'start': 20, 'end': 800}}
        for name, colour, (emission, excitation) in zip(
            TRUTH['names'], TRUTH['colours'], TRUTH['waves'], strict=True
        )
    ]
    inner: dict[str, Any] = {'multiscales': images, 'omero': {'channels': channels}}
    old = version == '0.4'
    if old:
        images[0]['version'] = version
    group = zarr.create_group(path, zarr_format=2 if old else 3)
    group.attrs.update(inner if old else {'ome': {'version': version, **inner}})
    more = {'chunk_key_encoding': {'name': 'v2', 'separator': '/'}} if old else {}
    array = group.create_array(
        '0', shape=data.shape, dtype=data.dtype, chunks=(1, 1, 1, 48, 64), **more
    )
    array[...] = data


def _packed(colour: list[int]) -> int:
    red, green, blue = colour
    return int.from_bytes(bytes((red, green, blue, 255)), signed=True)


def by_tifffile(path: Path) -> Facts:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sides = zip(series.axes, series.shape, strict=True)
        facts: Facts = {'shape': {axis: n for axis, n in sides if n > 1}}
        if file.is_ome:
            return facts | _of_xml(file.ome_metadata or '')
        words = file.imagej_metadata or {}
        page = file.pages.first
        steps = {
            axis: page.tags[f'{axis}Resolution'].value[1] / page.tags[f'{axis}Resolution'].value[0]
            for axis in 'XY'
        }
        steps |= {'Z': words.get('spacing'), 'T': words.get('finterval')}
        labels, ramps = words.get('Labels', []), words.get('LUTs', [])
        return facts | {
            'sizes': steps,
            'names': [_name(label) for label in labels[: SIDES['C']]],
            'colours': [ramp[:, -1].tolist() for ramp in ramps],
        }


def _name(label: str) -> str:
    return label.rpartition(' - ')[2]


def _of_xml(text: str) -> Facts:
    root = ET.fromstring(text)
    space = root.tag.partition('}')[0] + '}'
    pixels = root.find(f'{space}Image/{space}Pixels')
    if pixels is None:
        return {}
    channels = pixels.findall(f'{space}Channel')
    sizes = {axis: float(pixels.get(f'PhysicalSize{axis}', 'nan')) for axis in 'ZYX'}
    waves = ('EmissionWavelength', 'ExcitationWavelength')
    colours = [int(one.get('Color', '-1')) & 0xFFFFFFFF for one in channels]
    return {
        'sizes': sizes | {'T': float(pixels.get('TimeIncrement', 'nan'))},
        'names': [one.get('Name') for one in channels],
        'colours': [list(colour.to_bytes(4)[:3]) for colour in colours],
        'waves': [[float(one.get(wave, 'nan')) for wave in waves] for one in channels],
    }


def by_zarr(path: Path) -> Facts:
    yaozarrs.validate_zarr_store(path)
    group = zarr.open_group(path, mode='r')
    ome = group.attrs.asdict()['ome']
    image = ome['multiscales'][0]
    axes = [axis['name'].upper() for axis in image['axes']]
    first = image['datasets'][0]
    steps = dict(zip(axes, first['coordinateTransformations'][0]['scale'], strict=True))
    units = {axis['name'].upper(): axis.get('unit') for axis in image['axes']}
    right = {'T': 'second', **dict.fromkeys('ZYX', 'micrometer')}
    sizes = {
        axis: steps[axis] if units[axis] == unit else f'{steps[axis]} {units[axis]}'
        for axis, unit in right.items()
        if axis in steps
    }
    channels = ome.get('omero', {}).get('channels', [])
    shape = zip(axes, group[first['path']].shape, strict=True)
    return {
        'shape': {axis: n for axis, n in shape if n > 1},
        'sizes': sizes,
        'names': [one.get('label') for one in channels],
        'colours': [list(bytes.fromhex(one['color'])) for one in channels],
        'waves': [[one.get('emissionWave'), one.get('excitationWave')] for one in channels],
    }


def by_napari(path: Path) -> Facts:
    """As napari opens it; what its layers do not have is not stated."""
    from napari import Viewer

    viewer = Viewer(show=False)
    try:
        (layer, *_) = viewer.open(path, plugin='napari')
        data = layer.data[0] if layer.multiscale else layer.data
        shape = [n for n in data.shape if n > 1]
        scale = {a: float(s) for a, s in zip('TZYX', layer.scale, strict=False)}
        names = [str(one.name) for one in viewer.layers]
        return {
            'shape': SIDES if sorted(shape) == sorted(SIDES.values()) else {'all': shape},
            'sizes': None if (layer.scale == 1).all() else scale,
            'names': names if len(names) > 1 else None,
            'colours': None,  # as it does not split channels
        }
    finally:
        viewer.close()


def _equal(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            _equal(value, found.get(key)) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(_equal, expected, found))
    if isinstance(expected, float):
        return isinstance(found, int | float) and math.isclose(expected, found, rel_tol=1e-6)
    return bool(expected == found)


def through_napari(folder: Path, data: np.ndarray) -> Iterator[Record]:
    """Results of the panel, in memory and in a file, saved with napari's own Save."""
    from qtpy.QtTest import QTest

    from napari import Viewer

    viewer = Viewer(show=False)
    sizes = [SIZES[axis] for axis in 'TYX']
    viewer.add_image(data[:, 0, 0], name='cells', scale=sizes, units=('s', 'um', 'um'))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    panel = getattr(panel, '__wrapped__', panel)
    panel.form.seconds.value = 0
    for place in ('', str(folder / 'panel.ome.zarr')):
        panel.save.path.value = place
        panel.train.native.click()
        while not panel.controller.run.idle:
            QTest.qWait(50)
    saved, in_memory = viewer.layers[1:3]
    for what, layer in (('layer in memory', in_memory), ('multiscale layer', saved)):
        kept = _saved(viewer, layer, folder / f'{what.replace(" ", "_")}.tif')
        yield {'input': 'panel', 'output': what, 'reader': _napari('Save as TIFF'), **kept}
    viewer.close()


def _napari(what: str) -> str:
    return f'napari {metadata.version("napari")}, {what}'


def _saved(viewer: Any, result: Any, path: Path) -> Record:
    """What napari's own Save and Open keep of a layer."""
    try:
        result.save(str(path))
    except Exception as error:  # noqa: BLE001 (what napari raises is a finding)
        return {'error': type(error).__name__}
    (again,) = viewer.open(path, plugin='napari')
    kept = {
        'values': np.array_equal(np.asarray(again.data), np.asarray(result.data)),
        'sizes': np.allclose(again.scale, result.scale),
    }
    return {
        'same': [name for name, good in kept.items() if good],
        'different': [],
        'not stated': [name for name, good in kept.items() if not good],
    }


def compared(facts: Facts, names: Sequence[str]) -> Record:
    """Which facts a reader states as they went in, otherwise, or not."""
    if 'error' in facts:
        return {'error': facts['error']}
    names = [name for name in names if name in facts]  # what a reader can be asked for
    stated = [name for name in names if facts[name] is not None]
    partly = [
        f'size along {axis}'
        for axis, size in (facts.get('sizes') or {}).items()
        if size is None or size != size  # not a number
    ]
    known = {axis: SIZES[axis] for axis in SIZES if f'size along {axis}' not in partly}
    expected = {**TRUTH, 'sizes': known}
    good = [name for name in stated if _equal(expected[name], facts[name])]
    return {
        'same': good,
        'different': [name for name in stated if name not in good],
        'not stated': [name for name in names if name not in stated] + partly,
    }


def findings(folder: Path, python: str | None) -> Iterator[Record]:
    """Denoise each input into each format, and compare what the readers find in it."""
    outputs = {}
    for source in IN_FORMAT:
        for target in OUT_FORMAT:
            path = folder / f'{source.replace(".", "_")}_{target}'
            call = [str(folder / source), '--output', str(path), '--seconds', '0']
            if command(['denoise', *call, '--device', 'cpu']):
                raise SystemExit(f'{source} could not be denoised into {target}')
            outputs[path] = source, target
    others = by_others(python, list(outputs)) if python else {}
    for path, (source, target) in outputs.items():
        names = [one for one in IN_FORMAT[source] if one in OUT_FORMAT[target]]
        library, reader = (
            ('zarr', by_zarr) if target.endswith('.zarr') else ('tifffile', by_tifffile)
        )
        found = {
            f'{library} {metadata.version(library)}': reader(path),
            **others.get(str(path), {}),
            _napari('Open'): by_napari(path),
        }
        for by, facts in found.items():
            yield {
                'input': source,
                'output': target.removeprefix('clean.'),
                'reader': by,
                **compared(facts, names),
            }


def by_others(python: str, paths: list[Path]) -> dict[str, dict[str, Facts]]:
    """What bioio and ome-zarr-py state, in their own environment."""
    script = Path(__file__).with_name('readers.py')
    done = subprocess.run(
        [python, script, *paths], capture_output=True, text=True, check=True, env={}
    )
    found: dict[str, dict[str, Facts]] = json.loads(done.stdout.splitlines()[-1])
    return found


def render(records: Sequence[Record]) -> str:
    """A row for each reader and format."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for one in records:
        groups.setdefault((one['reader'], one['output']), []).append(one)
    rows = [
        [reader, output, len(of), *(_all(of, key) for key in ('not stated', 'different'))]
        for (reader, output), of in groups.items()
    ]
    return table(['program', 'format', 'images', 'does not state', 'states otherwise'], rows)


def _all(records: Sequence[Record], key: str) -> str:
    names = dict.fromkeys(name for one in records for name in one.get(key, [one.get('error')]))
    return ', '.join(name for name in names if name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--readers', help='a Python with bioio and ome-zarr')
    parser.add_argument('--folder', type=Path, help='keep all images here')
    add_output(parser)
    options = parser.parse_args()
    results = Results(render, settings_of(options), 'cpu', options.output)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        data = noisy()
        write_inputs(folder, data)
        for finding in findings(folder, options.readers):
            results.add(finding)
        for finding in through_napari(folder, data):
            results.add(finding)
    results.show()


if __name__ == '__main__':
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        main()
