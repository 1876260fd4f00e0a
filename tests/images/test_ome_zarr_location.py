"""Which paths are meant as an OME-Zarr, and what is said where a package is missing."""

import importlib
import sys
from pathlib import Path

import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.formats import image_name
from napari_noise2score.images.ome_zarr.location import (
    Location,
    is_ome_zarr,
    load_zarr,
    named,
    root_of,
    url_of,
)


@pytest.mark.parametrize(
    ('path', 'url'),
    [
        ('s3://bucket/in.ome.zarr', 's3://bucket/in.ome.zarr'),
        ('http://host:8000/in.zarr/0', 'http://host:8000/in.zarr/0'),
        ('file:///data/in.zarr', 'file:///data/in.zarr'),
        ('data/in.zarr', None),
        ('/data/in.zarr', None),
        ('C:/data/in.zarr', None),
        ('s3:', None),
    ],
)
def test_a_url_survives_as_a_path(path, url):
    assert url_of(path) == url_of(Path(path)) == url
    assert named(Path(path)) == (url or str(Path(path)))
    assert Location.of(path).remote == (url is not None)


@pytest.mark.parametrize(
    ('path', 'root'),
    [
        ('data/in.ome.zarr', 'data/in.ome.zarr'),
        ('in.ZARR', 'in.ZARR'),
        ('plate.zarr/A/1/0', 'plate.zarr'),
        ('s3://bucket/in.zarr/0', 's3:/bucket/in.zarr'),
    ],
)
def test_names_and_places_inside_are_meant_as_ome_zarr(path, root):
    assert is_ome_zarr(path)
    assert root_of(path) == Path(root)


def test_other_names_are_not(tmp_path):
    for name in ('a.tif', 'zarr', 'a.zarr.tif', 'zarr/a.tif'):
        assert not is_ome_zarr(name)
    inside = tmp_path / 'in.zarr' / 'notes.tif'
    inside.parent.mkdir()
    inside.write_bytes(b'')
    assert not is_ome_zarr(inside)


def test_an_image_is_called_by_its_place_in_the_store():
    assert image_name('data/in.zarr/0') == 'in.zarr/0'
    assert image_name('s3://bucket/in.ome.zarr') == 'in.ome.zarr'
    assert image_name('data/cells.tif') == 'cells.tif'


def test_without_zarr_the_message_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'zarr', None)
    with pytest.raises(InputError, match=r"pip install 'napari-noise2score\[zarr\]'"):
        load_zarr()


def test_an_old_zarr_is_named(monkeypatch):
    monkeypatch.setattr(importlib.import_module('zarr'), '__version__', '2.18.7')
    with pytest.raises(InputError, match=r'zarr 3\.1 or newer, but 2\.18\.7 is installed'):
        load_zarr()


@pytest.mark.parametrize(
    ('url', 'missing', 'words'),
    [
        ('s3://bucket/in.zarr', 's3fs', 's3:// needs a package .* pip install s3fs'),
        ('gs://bucket/in.zarr', 'gcsfs', 'pip install gcsfs'),
        ('http://host/in.zarr', 'aiohttp', 'pip install aiohttp'),
        ('s3://bucket/in.zarr', 'fsspec', 'pip install fsspec'),
    ],
)
def test_what_a_url_needs_is_named(monkeypatch, url, missing, words):
    for name in list(sys.modules):
        if name.startswith(('fsspec.implementations', 's3fs', 'gcsfs')):
            monkeypatch.delitem(sys.modules, name)
    loaded = importlib.import_module('fsspec.registry')._registry
    for protocol in list(loaded):
        monkeypatch.delitem(loaded, protocol)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=words):
        Location.of(url).filesystem()


def test_an_unknown_protocol_is_named():
    with pytest.raises(InputError, match=r's3://, http:// or https:// is accepted'):
        Location.of('gopher://host/in.zarr').filesystem()
