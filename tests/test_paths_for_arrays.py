"""A path, or an image that was read, in the place of an array is refused with what to write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_noise2score as n2s

CALLS = {
    'denoise': ('image', lambda given: n2s.denoise(given, axes='YX', seconds=0)),
    'denoise without axes': ('image', lambda given: n2s.denoise(given)),
    'prepare': ('image', lambda given: n2s.prepare(given, 'YX')),
    'prepare with a name': ('cells', lambda given: n2s.prepare(given, 'YX', name='cells')),
    'several': ('image', lambda given: n2s.denoise([given, given], 'TYX', seconds=0)),
    'ImageSource': ('image', lambda given: n2s.ImageSource(given, 'YX')),
    'estimate_noise': ('image', lambda given: n2s.estimate_noise(given)),
    'estimate_noise of several': ('image', lambda given: n2s.estimate_noise([given, given])),
    'dark': ('dark frames', lambda given: n2s.calibrate(given)),
    'flat': ('flat field', lambda given: n2s.calibrate(flat=given)),
    'write_image': ('data', lambda given: n2s.write_image('out.tif', given, 'YX')),
    'write_image as OME-Zarr': ('data', lambda given: n2s.write_image('out.zarr', given, 'YX')),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    n2s.write_image('cell.tif', np.zeros((16, 16), np.uint16), 'YX')


@pytest.mark.parametrize('kind', [str, Path])
@pytest.mark.parametrize(('name', 'call'), CALLS.values(), ids=CALLS)
def test_a_path_is_told_how_to_read_the_file(name, call, kind):
    with pytest.raises(n2s.InputError) as caught:
        call(kind('cell.tif'))
    assert str(caught.value) == (
        f"{name}: a path was got, 'cell.tif'; an array is needed: image = read_image('cell.tif') "
        'reads the file; give image.data, and image.axes as the axes'
    )
    assert [path.name for path in Path().iterdir()] == ['cell.tif']


@pytest.mark.parametrize(('name', 'call'), CALLS.values(), ids=CALLS)
def test_an_image_that_was_read_is_told_its_data(name, call):
    with pytest.raises(n2s.InputError) as caught:
        call(n2s.read_image('cell.tif'))
    assert str(caught.value) == (
        f'{name}: TiffImage was got, which is an image with its axes; an array is needed: give '
        'image.data, and image.axes as the axes'
    )
