"""OME-Zarr is written: valid, sharded, whole or not at all, and never over anything."""

import errno
import json
import secrets
from contextlib import closing
from pathlib import Path

import fsspec
import numpy as np
import pytest
import yaozarrs
import zarr

from napari_noise2score.errors import InputError
from napari_noise2score.files import recorded
from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing
from napari_noise2score.images.formats import read_image, write_image
from napari_noise2score.images.ome_zarr import (
    check_writable_as,
    layout,
    read_ome_zarr,
    write_ome_zarr,
    writer,
)
from napari_noise2score.images.ome_zarr.layout import Sizes
from napari_noise2score.images.ome_zarr.pyramid import reduced
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.progress import finish

ACQUISITION = Acquisition(
    {'T': Spacing(2, 's'), 'Z': Spacing(0.5, 'µm'), 'Y': Spacing(0.1, 'µm')},
    (ChannelInfo('DAPI', (0, 0, 255)), ChannelInfo('GFP', (0, 255, 0))),
)


def noisy(*shape, dtype=np.uint16):
    values = np.random.default_rng(0).uniform(0, 200, shape)
    return values.astype(dtype)


@pytest.fixture(params=['local', 'remote'])
def place(request, tmp_path) -> str:
    if request.param == 'local':
        return str(tmp_path / 'out.ome.zarr')
    return f'memory://{secrets.token_hex(4)}/out.ome.zarr'


def test_what_is_written_is_read_again(place):
    data = noisy(2, 3, 2, 40, 50)
    write_image(place, data, 'TZCYX', ACQUISITION, record={'seed': 7})
    image = read_image(place)
    assert image.axes == 'TCZYX'
    np.testing.assert_array_equal(np.asarray(image.data), data.transpose(0, 2, 1, 3, 4))
    assert image.acquisition == ACQUISITION
    assert image.notes == ()


def test_the_store_is_valid_and_holds_the_record(tmp_path):
    path = tmp_path / 'out.ome.zarr'
    write_ome_zarr(path, noisy(2, 600, 300), 'CYX', ACQUISITION, record={'seed': 7, 'risk': None})
    yaozarrs.validate_zarr_store(path)
    attributes = json.loads((path / 'zarr.json').read_text())['attributes']
    assert attributes['noise2score'] == {'seed': 7, 'risk': None}
    assert attributes['ome']['omero']['channels'][0]['label'] == 'DAPI'


@pytest.mark.parametrize(
    'dtype', ['bool', 'int8', 'uint8', 'int16', 'uint32', 'float16', 'float32', 'float64']
)
def test_every_dtype_is_kept(tmp_path, dtype):
    data = noisy(30, 40, dtype=dtype)
    write_ome_zarr(tmp_path / 'o.zarr', data, 'YX')
    found = read_ome_zarr(tmp_path / 'o.zarr').data
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.asarray(found), data)


def test_smaller_levels_are_means_of_the_larger_ones(tmp_path):
    data = noisy(3, 530, 300)
    write_ome_zarr(tmp_path / 'o.zarr', data, 'ZYX')
    group = zarr.open(tmp_path / 'o.zarr', mode='r')
    assert sorted(group.array_keys()) == ['0', '1', '2']
    first = np.stack([reduced(plane) for plane in data])
    np.testing.assert_array_equal(group['1'][...], first)
    np.testing.assert_array_equal(group['2'][...], np.stack([reduced(one) for one in first]))
    assert group['0'].metadata.dimension_names == ('z', 'y', 'x')


def grid(shape, axes, dtype='uint16'):
    return layout.layout_for('o.zarr', axes, dtype, shape).grid(0)


def test_chunks_are_parts_of_planes_and_shards_are_of_about_one_size():
    assert grid((5000, 512, 512), 'TYX') == ((1, 512, 512), (128, 512, 512))
    chunk, shard = grid((10, 2, 60, 2048, 2048), 'TCZYX')
    assert chunk == (1, 1, 1, 512, 512)
    assert shard == (1, 1, 8, 2048, 2048)
    chunk, shard = grid((30_000, 40_000), 'YX')
    assert chunk == (512, 512)
    assert shard[0] * shard[1] * 2 <= layout.USUAL.shard
    assert min(shard) >= 4096
    assert grid((100, 120), 'YX', 'float32') == ((100, 120), (100, 120))


def test_shards_hold_many_chunks_in_few_files(tmp_path):
    data = noisy(3, 2, 40, 50)
    path = tmp_path / 'o.zarr'
    write_ome_zarr(path, data, 'TCYX', sizes=Sizes(chunk=16, shard=8 * 16 * 16 * 2))
    array = zarr.open(path, mode='r')['0']
    assert array.chunks == (1, 1, 16, 16)
    assert array.shards == (1, 1, 48, 32)
    files = [file for file in (path / '0' / 'c').rglob('*') if file.is_file()]
    assert len(files) == 3 * 2 * 2
    np.testing.assert_array_equal(array[...], data)


def test_an_image_is_written_shard_by_shard(tmp_path):
    sizes = Sizes(chunk=16, shard=16 * 16 * 2)
    lies = layout.layout_for(tmp_path / 'o.zarr', 'ZYX', 'uint16', (4, 40, 50), sizes)
    data = noisy(4, 40, 50)
    with writer.writer(tmp_path / 'o.zarr', lies) as target:
        parts = list(target.windows())
        for window in parts:
            target.write(window, data[window])
        target.finish()
    assert len(parts) == 4 * 3 * 4
    np.testing.assert_array_equal(np.asarray(read_ome_zarr(tmp_path / 'o.zarr').data), data)


def test_blank_images_have_all_their_chunks(tmp_path):
    write_ome_zarr(tmp_path / 'o.zarr', np.zeros((2, 30, 30), np.float32), 'TYX')
    assert read_ome_zarr(tmp_path / 'o.zarr').notes == ()


def test_limits_of_displays_leave_out_what_is_not_a_number(tmp_path):
    data = noisy(2, 30, 30, dtype=np.float32)
    data[0, 3:5], data[1, :, 7] = np.nan, -3.5
    write_ome_zarr(tmp_path / 'o.zarr', data, 'CYX', ACQUISITION)
    channels = json.loads((tmp_path / 'o.zarr' / 'zarr.json').read_text())['attributes']['ome'][
        'omero'
    ]['channels']
    assert channels[0]['window']['max'] == np.nanmax(data[0])
    assert channels[1]['window']['start'] == -3.5


def test_colours_are_written_as_channels(tmp_path):
    data = noisy(30, 40, 3, dtype=np.uint8)
    (note,) = check_writable_as(tmp_path / 'o.zarr', 'YXS', data.dtype, data.shape)
    assert 'written as channels' in note
    write_ome_zarr(tmp_path / 'o.zarr', data, 'YXS')
    image = read_ome_zarr(tmp_path / 'o.zarr')
    assert image.axes == 'CYX'
    assert [channel.name for channel in image.acquisition.channels] == ['Red', 'Green', 'Blue']
    np.testing.assert_array_equal(np.asarray(image.data), data.transpose(2, 0, 1))


def test_positions_take_the_place_of_channels(tmp_path):
    data = noisy(4, 2, 30, 40)
    write_ome_zarr(tmp_path / 'o.zarr', data, 'PTYX')
    image = read_ome_zarr(tmp_path / 'o.zarr')
    assert image.axes == 'TPYX'
    np.testing.assert_array_equal(np.asarray(image.data), data.swapaxes(0, 1))


@pytest.mark.parametrize('axes', ['PCYX', 'CYXS', 'PTCZYX'])
def test_axes_that_there_is_no_room_for_are_refused(axes):
    with pytest.raises(InputError, match='there is room for one axis; choose one position'):
        check_writable_as('o.zarr', axes, 'uint8', (2,) * len(axes))


def test_another_name_is_refused():
    with pytest.raises(InputError, match=r'ends in \.zarr, such as out\.ome\.zarr'):
        check_writable_as('in.zarr/0', 'YX', 'uint8', (4, 4))


def test_what_exists_is_left_as_it_is(place):
    write_ome_zarr(place, noisy(20, 20), 'YX')
    with pytest.raises(InputError, match='exists already; an OME-Zarr is not overwritten'):
        write_ome_zarr(place, noisy(30, 30), 'YX')
    assert read_ome_zarr(place).data.shape == (20, 20)


def test_nothing_is_written_into_another_store(tmp_path):
    write_ome_zarr(tmp_path / 'o.zarr', noisy(20, 20), 'YX')
    for inner in ('new.zarr', '0/new.zarr', 'labels/new.zarr'):
        with pytest.raises(InputError, match='lies inside the Zarr store'):
            write_ome_zarr(tmp_path / 'o.zarr' / inner, noisy(20, 20), 'YX')


def test_nothing_is_written_over_http():
    with pytest.raises(InputError, match='nothing can be written over http'):
        write_ome_zarr('http://host/o.zarr', noisy(20, 20), 'YX')


class Failing(np.ndarray):
    """An image whose second part cannot be had."""

    def __getitem__(self, index):
        if isinstance(index, tuple) and index[0] == slice(1, 2):
            raise KeyboardInterrupt
        return super().__getitem__(index)


def names(place: str) -> list[str]:
    if '://' not in place:
        return [path.name for path in Path(place).parent.iterdir()]
    return fsspec.filesystem('memory').find(place.removeprefix('memory:/').rpartition('/')[0])


def test_after_an_interruption_nothing_is_left(place):
    data = noisy(2, 20, 20).view(Failing)
    with pytest.raises(KeyboardInterrupt), recorded() as complete:
        write_ome_zarr(place, data, 'ZYX', sizes=Sizes(shard=1))
    assert names(place) == complete == []


def test_a_failure_names_the_place_and_leaves_nothing(place, monkeypatch):
    def fail(self, window, values) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device', f'{self._location}/0/c/0')

    monkeypatch.setattr(writer.Writer, 'write', fail)
    with pytest.raises((OSError, InputError)) as caught:
        write_ome_zarr(place, noisy(20, 20), 'YX')
    assert place in str(caught.value)
    assert 'No space left on device' in str(caught.value)
    assert names(place) == []


def test_the_metadata_of_the_group_come_last(place, monkeypatch):
    seen = []

    def finish(self, *arguments):
        seen.extend(names(place))
        original(self, *arguments)

    original = writer.Writer.finish
    monkeypatch.setattr(writer.Writer, 'finish', finish)
    with recorded() as complete:
        write_ome_zarr(place, noisy(20, 20), 'YX')
    assert seen
    assert not any(name.endswith(('out.ome.zarr', 'out.ome.zarr/zarr.json')) for name in seen)
    assert [path.name for path in complete] == ['out.ome.zarr']
    assert len(names(place)) >= 1


def test_a_place_that_is_taken_during_the_work_is_left_as_it_is(tmp_path):
    lies = layout.layout_for(tmp_path / 'o.zarr', 'YX', 'uint16', (20, 20))
    taken = tmp_path / 'o.zarr'

    def interfere() -> None:
        with writer.writer(taken, lies) as target:
            target.finish()
            taken.mkdir()

    with pytest.raises(FileExistsError):
        interfere()
    assert list(tmp_path.rglob('*')) == [taken]


def test_chunks_that_are_missing_are_counted_at_a_url_too():
    place = f'memory://{secrets.token_hex(4)}/o.zarr'
    write_ome_zarr(place, noisy(3, 20, 20), 'ZYX', sizes=Sizes(shard=1))
    assert read_ome_zarr(place).notes == ()
    fsspec.filesystem('memory').rm_file(f'{place.removeprefix("memory:/")}/0/c/1/0/0')
    (note,) = read_ome_zarr(place).notes
    assert note.startswith('1 of the 3 chunks')


def test_python_reads_denoises_and_writes(tmp_path):
    import napari_noise2score as n2s

    source, result = tmp_path / 'in.zarr', tmp_path / 'out.zarr'
    n2s.write_image(source, noisy(2, 48, 48), 'TYX', ACQUISITION)
    image = n2s.read_image(source)
    training = n2s.TrainSettings(seconds=0, device='cpu')
    clean = n2s.denoise(image.data, image.axes, n2s.DenoiseSettings(training=training))
    n2s.write_image(
        result,
        clean.image,
        image.axes,
        image.acquisition,
        inherited=image.inherited,
        record=clean.report,
    )
    found = read_image(result)
    np.testing.assert_array_equal(np.asarray(found.data), clean.image)
    assert found.acquisition.spacing['T'] == Spacing(2, 's')
    stored = json.loads((result / 'zarr.json').read_text())['attributes']['noise2score']
    assert stored['shape'] == [2, 48, 48]


def in_steps(place, data, until=1.0):
    """Write plane by plane; the progress up to a share."""
    lies = layout.layout_for(place, 'TYX', data.dtype, data.shape)

    def read(window):
        for number in range(data.shape[0]):
            yield (number + 1) / data.shape[0]
        return data[window]

    steps = writer.write_steps(place, read, 'TYX', lies, record=lambda: {'planes': len(data)})
    shares = []
    for share in steps:
        shares.append(share)
        if share >= until:
            steps.close()
    return shares


def test_an_image_that_is_computed_is_written_in_steps(place):
    data = noisy(4, 300, 20)
    shares = in_steps(place, data, until=2)
    assert shares == sorted(shares)
    assert len(shares) == 4 + 1
    assert shares[-1] == pytest.approx(1)
    assert ome_zarr_attributes(place)['noise2score'] == {'planes': 4}
    np.testing.assert_array_equal(np.asarray(read_image(place).data), data)


def test_a_damaged_shard_of_an_unfinished_image_is_made_again(tmp_path):
    path, data = tmp_path / 'out.zarr', noisy(2, 40, 50)
    lies = layout.layout_for(path, 'ZYX', data.dtype, data.shape, Sizes(chunk=16, shard=6 * 512))

    def written() -> UnfinishedImage:
        unfinished = UnfinishedImage(path, {}, resume=True)
        unfinished.begin()
        with closing(unfinished):
            read = writer.reading(data)
            finish(writer.write_steps(path, read, 'ZYX', lies, unfinished=unfinished))
        return unfinished

    parts = [file for file in (written().image / '0' / 'c').rglob('*') if file.is_file()]
    assert len(parts) == 2 * 2
    parts[3].write_bytes(b'damaged')
    unfinished = written()
    assert unfinished.held == len(parts) - 1
    unfinished.finish()
    np.testing.assert_array_equal(np.asarray(read_image(path).data), data)


def test_nothing_is_left_of_steps_that_are_not_taken_to_the_end(place, tmp_path):
    in_steps(place, noisy(4, 300, 20), until=0.4)
    system, path = fsspec.url_to_fs(place)
    assert not system.exists(path)
    assert list(tmp_path.iterdir()) == []


def ome_zarr_attributes(place):
    return zarr.open_group(place, mode='r').attrs.asdict()
