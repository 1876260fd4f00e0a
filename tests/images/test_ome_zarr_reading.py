"""OME-Zarr stores of other programs are read: both versions, layouts, damage, servers."""

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import Spacing
from napari_noise2score.images.formats import read_image
from napari_noise2score.images.ome_zarr import read_ome_zarr, write_ome_zarr
from napari_noise2score.images.ome_zarr.stored import ChunkedArray
from napari_noise2score.images.source import ImageSource

DATA = np.arange(2 * 2 * 3 * 40 * 50, dtype=np.uint16).reshape(2, 2, 3, 40, 50)
TYPES = {'t': 'time', 'c': 'channel', 'z': 'space', 'y': 'space', 'x': 'space'}


def multiscale(names='tczyx', version=None, path='0', **more):
    scale = [0.25 if name in 'yx' else 1.0 for name in names]
    axes = [
        {'name': name, 'type': TYPES[name], **({'unit': 'micrometer'} if name in 'zyx' else {})}
        for name in names
    ]
    transformations = [{'type': 'scale', 'scale': scale}]
    return {
        'axes': axes,
        'datasets': [{'path': path, 'coordinateTransformations': transformations}],
        **({} if version is None else {'version': version}),
        **more,
    }


def add_image(group, data=DATA, names='tczyx', **options):
    """Make a group an image, in the format that it has."""
    old = group.metadata.zarr_format == 2
    images = [multiscale(names, '0.4' if old else None)]
    inner = {'multiscales': images, 'omero': {'channels': [{'label': 'DAPI', 'color': '0000FF'}]}}
    group.attrs.update(inner if old else {'ome': {'version': '0.5', **inner}})
    options = {'chunks': (1,) * (data.ndim - 2) + (16, 16), 'fill_value': 0, **options}
    options.setdefault('config', {'write_empty_chunks': True})
    array = group.create_array('0', shape=data.shape, dtype=data.dtype, **options)
    array[...] = data
    return group


@pytest.fixture(params=['0.4', '0.5'])
def store(request, tmp_path) -> Path:
    path = tmp_path / 'in.ome.zarr'
    group = zarr.create_group(path, zarr_format=2 if request.param == '0.4' else 3)
    data = DATA.astype('>u2') if request.param == '0.4' else DATA
    add_image(group, data, chunks=(1, 2, 2, 16, 16))
    return path


def refused(*arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_ome_zarr(*arguments, **options)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_both_versions_are_read(store):
    image = read_ome_zarr(store)
    assert (image.axes, image.data.shape, image.data.dtype) == ('TCZYX', DATA.shape, np.uint16)
    assert image.acquisition.spacing == dict.fromkeys('YX', Spacing(0.25, 'µm')) | {
        'Z': Spacing(1.0, 'µm')
    }
    assert image.acquisition.channels[0].name == 'DAPI'
    assert image.notes == ()
    np.testing.assert_array_equal(np.asarray(image.data), DATA)


@pytest.mark.parametrize('remembered', [0, 20_000, 1 << 28])
@pytest.mark.parametrize(
    'index',
    [
        (0, 1, 2),
        (slice(None), 1, -1, slice(3, 39), slice(50)),
        (1, 0, 0, slice(39, 2, -5), slice(None, None, 7)),
        (..., 17),
        (slice(0, 0),),
        (-1, -1, -1, -1, -1),
    ],
)
def test_any_part_is_what_numpy_gives(store, index, remembered):
    data = read_ome_zarr(store, in_memory=remembered).data
    for _ in range(2):
        np.testing.assert_array_equal(data[index], DATA[index])


class Counted:
    """An array that notes how much is read of it."""

    def __init__(self, array) -> None:
        self._array, self.read = array, []
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks

    def __getitem__(self, index):
        found = self._array[index]
        self.read.append(found.size)
        return found


def test_only_chunks_that_are_looked_at_are_read_and_only_once(store):
    from napari_noise2score.images.ome_zarr.location import Location

    counted = Counted(zarr.open(store, mode='r')['0'])
    data = ChunkedArray(counted, Location.of(store), '0')
    assert counted.read == []
    source = ImageSource(data, 'TCZYX')
    assert counted.read == []
    first, second = source.channels()
    np.testing.assert_array_equal(first.raw_plane(0), DATA[0, 0, 0])
    np.testing.assert_array_equal(second.raw_plane(0), DATA[0, 1, 0])
    assert counted.read == [2 * 2 * 40 * 50]  # a chunk holds both channels and two slices
    data[0, 0, 2, :16, 20:30]
    assert counted.read[1:] == [2 * 1 * 16 * 16]


def test_chunks_are_forgotten_when_there_are_too_many(store):
    from napari_noise2score.images.ome_zarr.location import Location

    counted = Counted(zarr.open(store, mode='r')['0'])
    chunk = 2 * 2 * 16 * 16 * 2
    data = ChunkedArray(counted, Location.of(store), '0', remembered=2 * chunk)
    for column in (0, 16, 32, 32, 16, 0):
        data[0, 0, 0, :16, column : column + 10]
    assert len(counted.read) == 4


def test_axes_in_another_order_keep_their_places(tmp_path):
    turned = DATA[0, 0].transpose(2, 1, 0)
    add_image(zarr.create_group(tmp_path / 'x.zarr'), turned, 'xyz', chunks=(16, 16, 1))
    image = read_ome_zarr(tmp_path / 'x.zarr')
    assert image.axes == 'XYZ'
    (channel,) = ImageSource(image.data, image.axes).channels()
    np.testing.assert_array_equal(channel.raw_plane(2), DATA[0, 0, 2])


def test_axes_that_are_given_go_before_those_that_are_stated(store):
    image = read_ome_zarr(store, 'PCTYX')
    assert image.axes == 'PCTYX'
    assert 'T' not in image.acquisition.spacing
    text = refused(store, 'TYX')
    assert text.startswith(f"{store}: axes 'TYX' name 3 axes; the image has 5")
    assert text.endswith('its metadata name the axes TCZYX')


@pytest.fixture
def several(tmp_path) -> Path:
    """As bioformats2raw lays out a file with two images."""
    path = tmp_path / 'several.zarr'
    root = zarr.create_group(path, zarr_format=2, attributes={'bioformats2raw.layout': 3})
    root.create_group('OME', attributes={'series': ['0', '1']})
    add_image(root.create_group('0'))
    add_image(root.create_group('1'), DATA[0, 0, 0], 'yx')
    return path


def test_one_of_several_images_is_chosen_by_its_path_or_its_number(several):
    assert read_ome_zarr(several / '0').data.shape == DATA.shape
    for image in (read_ome_zarr(several / '1'), read_ome_zarr(several, scene=1)):
        np.testing.assert_array_equal(np.asarray(image.data), DATA[0, 0, 0])
    text = refused(several)
    assert 'contains 2 images; choose one by its path, such as' in text
    assert text.endswith('or with scene (--scene): 0: TCZYX 2x2x3x40x50; 1: YX 40x50')
    assert 'has no image number 2; numbers 0 to 1 are accepted' in refused(several, scene=2)


def test_a_single_image_need_not_be_chosen(several):
    shutil.rmtree(several / '1')
    shutil.rmtree(several / 'OME')
    assert read_ome_zarr(several).data.shape == DATA.shape
    shutil.rmtree(several / '0')
    assert 'contains no image' in refused(several)


def test_a_listed_image_that_is_missing_is_told(several):
    shutil.rmtree(several / '1')
    assert "its image '1' is missing" in refused(several, scene=1)


def test_of_several_multiscales_the_first_is_read_and_the_others_are_named(tmp_path):
    path = tmp_path / 'two.zarr'
    group = add_image(zarr.create_group(path), DATA[0, 0, 0], 'yx')
    group.create_array('sum', data=DATA[0, 0, 1], chunks=(40, 50))
    images = [multiscale('yx', name='raw'), multiscale('yx', path='sum', name='sum')]
    group.attrs['ome'] = {'version': '0.5', 'multiscales': images}
    first = read_ome_zarr(path)
    np.testing.assert_array_equal(np.asarray(first.data), DATA[0, 0, 0])
    assert first.notes == (
        'the group states 2 images; number 0 is read, the others are ignored (--scene chooses '
        'another): 0: raw; 1: sum',
    )
    second = read_ome_zarr(path, scene=1)
    np.testing.assert_array_equal(np.asarray(second.data), DATA[0, 0, 1])
    assert second.notes == ()
    assert 'numbers 0 to 1 are accepted' in refused(path, scene=5)


@pytest.mark.parametrize(
    ('attributes', 'words'),
    [
        ({}, "a Zarr group without 'multiscales' metadata"),
        ({'ome': {'multiscales': 'x'}}, "a Zarr group without 'multiscales' metadata"),
        ({'ome': {'plate': {}}}, 'is a plate; one of its images is needed, such as'),
        ({'ome': {'well': {}}}, 'is a well of a plate'),
        ({'ome': {'labels': ['cells']}}, 'holds labels; an OME-Zarr image is needed'),
        ({'ome': {'version': '0.7'}}, r'OME-Zarr of version 0.7; versions 0.4 and 0.5'),
    ],
)
def test_what_is_no_image_is_told(tmp_path, attributes, words):
    zarr.create_group(tmp_path / 'x.zarr', attributes=attributes)
    text = refused(tmp_path / 'x.zarr')
    assert text.startswith(f'{tmp_path / "x.zarr"}: ')
    assert words in text


def test_what_is_no_group_is_told(store, tmp_path):
    assert 'is a single Zarr array without axes' in refused(store / '0')
    assert 'no such folder' in refused(tmp_path / 'missing.zarr')
    (tmp_path / 'file.zarr').write_bytes(b'')
    assert 'is a file, but an OME-Zarr is a folder' in refused(tmp_path / 'file.zarr')
    (tmp_path / 'empty.zarr').mkdir()
    assert 'there is no Zarr store' in refused(tmp_path / 'empty.zarr')


def test_a_missing_array_is_told(store):
    shutil.rmtree(store / '0')
    assert "its array '0' in full resolution is missing" in refused(store)


@pytest.mark.parametrize('damage', ['{"zarr_format"', '[]', 'null'])
def test_damaged_metadata_are_one_line(store, damage):
    name = 'zarr.json' if (store / 'zarr.json').exists() else '.zgroup'
    (store / name).write_text(damage)
    assert 'cannot be read; it is damaged' in refused(store)


def test_a_damaged_array_is_named(store):
    folder = store / '0'
    file = folder / 'zarr.json' if (folder / 'zarr.json').exists() else folder / '.zarray'
    stated = json.loads(file.read_text())
    file.write_text(json.dumps({**stated, 'shape': 'wide'}))
    assert "array '0': cannot be read; it is damaged" in refused(store)


def chunks(store: Path) -> list[Path]:
    files = sorted(path for path in (store / '0').rglob('*') if path.is_file())
    return [path for path in files if path.name != 'zarr.json' and path.name[0] != '.']


def test_a_damaged_chunk_is_one_line_and_others_are_still_read(store):
    first = chunks(store)[0]
    first.write_bytes(b'nonsense')
    image = read_ome_zarr(store)
    np.testing.assert_array_equal(image.data[1], DATA[1])
    with pytest.raises(InputError, match=f"{store}, array '0': cannot be read; it is damaged"):
        image.data[0]


def test_chunks_that_are_not_stored_are_a_note(store):
    for path in chunks(store)[:2]:
        path.unlink()
    image = read_ome_zarr(store)
    count = len(chunks(store)) + 2
    assert image.notes == (
        f"2 of the {count} chunks of its array '0' are not stored; their pixels are read as 0",
    )
    assert not image.data[0, 0, 0, :16, :16].any()
    for path in chunks(store):
        path.unlink()
    assert f'none of the {count} chunks' in refused(store)


def test_a_result_of_this_program_has_all_chunks(tmp_path):
    path = tmp_path / 'x.zarr'
    write_ome_zarr(path, DATA[0, 0, 0], 'YX', record={'source': 'x'})
    assert read_ome_zarr(path).notes == ()
    group = zarr.open_group(path, mode='r+')
    options = {'chunks': (20, 50), 'dtype': DATA.dtype, 'overwrite': True}
    group.create_array('0', shape=(40, 50), **options)[:20] = DATA[0, 0, 0, :20]
    assert '1 of the 2 chunks' in refused(path)
    assert 'a result of this program has all chunks' in refused(path)


def test_shards_are_counted_as_they_are_stored(tmp_path):
    path = tmp_path / 'x.zarr'
    add_image(zarr.create_group(path), DATA[0, 0, 0], 'yx', chunks=(8, 8), shards=(32, 32))
    assert read_ome_zarr(path).notes == ()
    assert len(chunks(path)) == 4
    chunks(path)[0].unlink()
    assert '1 of the 4 chunks' in read_ome_zarr(path).notes[0]


def test_a_store_with_any_name_is_read_where_it_is_one(store):
    renamed = store.rename(store.parent / 'experiment 7')
    np.testing.assert_array_equal(np.asarray(read_image(renamed).data), DATA)


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server(store) -> Iterator[str]:
    handler = functools.partial(Silent, directory=store.parent)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{serving.server_port}'
        serving.shutdown()
        thread.join()


def test_a_server_is_read_as_a_folder_is(server, store):
    image = read_image(f'{server}/{store.name}')
    np.testing.assert_array_equal(image.data[1, 0], DATA[1, 0])
    assert image.axes == 'TCZYX'
    assert 'there is no Zarr store' in refused(f'{server}/missing.zarr')


def test_a_server_that_does_not_answer_is_told():
    assert 'it is damaged, or out of reach (ClientConnectorError' in refused(
        'http://127.0.0.1:1/in.zarr'
    )
