"""The fields of a plate."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_noise2score.images.ome_zarr import fields_of, write_ome_zarr


@pytest.fixture(params=['0.4', '0.5'])
def plate(tmp_path, request) -> Path:
    """A plate of two wells, with two fields and with one, of which one has no images yet."""
    path = tmp_path / 'plate.zarr'

    def group(where: Path, **ome: dict) -> None:
        attributes = {'ome': {'version': '0.5', **ome}} if request.param == '0.5' else ome
        form = 3 if request.param == '0.5' else 2
        zarr.create_group(where, attributes=attributes, zarr_format=form)

    group(path, plate={'wells': [{'path': 'A/1'}, {'path': 'B/2'}]})
    group(path / 'A' / '1', well={'images': [{'path': '0'}, {'path': '1'}]})
    return path


def test_all_fields_of_all_wells_are_listed(plate):
    first = [plate / 'A' / '1' / '0', plate / 'A' / '1' / '1']
    assert fields_of(plate) == [*first, plate / 'B' / '2']
    assert fields_of(plate / 'A' / '1') == first


def test_other_things_have_no_fields(tmp_path):
    write_ome_zarr(tmp_path / 'a.zarr', np.zeros((8, 8), np.uint8), 'YX')
    assert fields_of(tmp_path / 'a.zarr') is None
    assert fields_of(tmp_path / 'missing.zarr') is None
    assert fields_of(tmp_path) is None
