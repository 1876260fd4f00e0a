import numpy as np
import pytest
import tifffile

from napari_noise2score.errors import InputError
from napari_noise2score.images.tiff import check_writable_as, read_tiff, write_tiff

ORDERS = ['YX', 'TYX', 'ZYX', 'CYX', 'TCZYX', 'TZCYX', 'CZYX', 'ZTYX', 'PTZCYX', 'RTZCYX', 'PYX']
COLOURS = ['YXS', 'TYXS', 'TZCYXS', 'SYX', 'TSYX', 'CSYX', 'SCYX', 'STYX', 'XYS', 'PYXS']
TURNED = ['XY', 'YXC', 'YXZ', 'YXT', 'TYXC', 'XYZT', 'YTX']
SIDES = {'T': 4, 'C': 2, 'Z': 5, 'Y': 6, 'X': 7, 'S': 3, 'P': 2, 'R': 2}
WHOLE = ['uint8', 'uint16', 'uint32', 'int8', 'int16', 'int32', 'uint64', 'int64', 'bool']
REAL = ['float16', 'float32', 'float64']


@pytest.mark.parametrize('name', ['a.tif', 'a.ome.tif'])
@pytest.mark.parametrize('dtype', WHOLE + REAL)
@pytest.mark.parametrize('axes', ORDERS + COLOURS + TURNED)
def test_every_order_of_axes_and_dtype_is_written_or_refused_before(tmp_path, axes, dtype, name):
    shape = tuple(SIDES[axis] for axis in axes)
    data = (np.arange(np.prod(shape)) % 120).reshape(shape).astype(dtype)
    path = tmp_path / name
    if name == 'a.ome.tif' and dtype in ('int64', 'uint64'):
        for attempt in (
            lambda: check_writable_as(path, axes, dtype, shape),
            lambda: write_tiff(path, data, axes),
        ):
            with pytest.raises(InputError, match=r'cannot store u?int64; float32 is accepted'):
                attempt()
        assert not path.exists()
        return
    check_writable_as(path, axes, dtype, shape)
    write_tiff(path, data, axes)
    with tifffile.TiffFile(path) as file:
        (series,) = file.series
        stored, found, kind = series.asarray(), series.axes, series.kind
    assert sorted(found) == sorted(axes)
    assert found.endswith(('YX', 'YXS', 'SYX'))
    if kind == 'imagej':
        assert found == ''.join(axis for axis in 'TZCYXS' if axis in axes)
    elif found != axes:
        assert kind == 'ome' or not axes.endswith(('YX', 'YXS')) or 'S' in axes
    np.testing.assert_array_equal(stored.transpose([found.index(axis) for axis in axes]), data)
    image = read_tiff(path)
    assert image.axes == found
    np.testing.assert_array_equal(image.data, stored)
    packed = dtype == 'bool' and 'S' in axes
    held = {'float16': 'float32'} if name == 'a.ome.tif' else {}
    assert stored.dtype == ('uint8' if packed else held.get(dtype, dtype))


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
@pytest.mark.parametrize('axes', ORDERS[:-3])
def test_what_imagej_can_hold_is_a_hyperstack(tmp_path, axes, dtype):
    write_tiff(tmp_path / 'a.tif', np.ones([SIDES[axis] for axis in axes], dtype), axes)
    with tifffile.TiffFile(tmp_path / 'a.tif') as file:
        said = file.imagej_metadata
    assert said['hyperstack'] is True
    for axis, name in (('T', 'frames'), ('Z', 'slices'), ('C', 'channels')):
        assert said.get(name, 1) == (SIDES[axis] if axis in axes else 1)


@pytest.mark.parametrize('dtype', ['uint8', 'float32'])
@pytest.mark.parametrize('axes', ['TYX', 'ZYX', 'CYX', 'TZCYX', 'CZYX', 'TYXS'])
@pytest.mark.parametrize('single', ['T', 'Z', 'C', 'Y', 'X', 'TZC'])
def test_axes_of_length_one_cost_no_pixel_and_a_single_plane_keeps_them(
    tmp_path, axes, dtype, single
):
    shape = tuple(1 if axis in single else SIDES[axis] for axis in axes)
    data = (np.arange(np.prod(shape)) % 120).reshape(shape).astype(dtype)
    path = tmp_path / 'a.tif'
    write_tiff(path, data, axes)
    stored, image = tifffile.imread(path), read_tiff(path)
    assert image.data.shape == stored.shape
    there = data.squeeze(tuple(k for k in range(data.ndim) if axes[k] not in image.axes))
    kept = [axis for axis in axes if axis in image.axes]
    np.testing.assert_array_equal(stored, there.transpose([kept.index(a) for a in image.axes]))
    if all(length == 1 for axis, length in zip(axes, shape, strict=True) if axis not in 'YXS'):
        assert stored.shape == shape


def test_another_dtype_in_the_file_is_said_before(tmp_path):
    (note,) = check_writable_as('a.ome.tif', 'YX', 'float16', (5, 6))
    assert note == 'the file cannot store float16; the same values are written as float32'
    assert check_writable_as('a.tif', 'YX', 'float16', (5, 6)) == ()


def test_axes_that_ome_has_no_place_for_are_refused_before():
    with pytest.raises(InputError, match='cannot store the axes M of MYX; a name that ends in'):
        check_writable_as('a.ome.tif', 'MYX', 'float32', (2, 5, 6))
    assert check_writable_as('a.tif', 'MYX', 'float32', (2, 5, 6)) == ()
    with pytest.raises(InputError, match=r'images are written as \.tif or \.tiff'):
        check_writable_as('a.png', 'YX', 'uint8', (5, 6))


def test_what_the_writer_refuses_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError('shape does not match\nstored shape')

    monkeypatch.setattr('tifffile.imwrite', fail)
    with pytest.raises(InputError, match=r'a\.tif: YX \(4, 5\) float32 cannot be written \(shape'):
        write_tiff(tmp_path / 'a.tif', np.ones((4, 5), np.float32), 'YX')
    assert list(tmp_path.iterdir()) == []


def test_pixel_size_is_kept(tmp_path):
    source, target = tmp_path / 'in.tif', tmp_path / 'out.tif'
    tifffile.imwrite(
        source,
        np.zeros((4, 4), np.uint8),
        resolution=(9.5, 9.5),
        resolutionunit=3,
        metadata={'axes': 'YX'},
    )
    image = read_tiff(source)
    write_tiff(target, image.data.astype(np.float32), image.axes, image.acquisition)
    with tifffile.TiffFile(target) as file:
        tags = file.pages.first.tags
        numerator, denominator = tags['XResolution'].value
        assert numerator / denominator == pytest.approx(9.5, rel=1e-3)
        assert int(tags['ResolutionUnit'].value) == 3


def test_physical_sizes_of_ome_files_are_kept(tmp_path):
    source, target = tmp_path / 'in.ome.tif', tmp_path / 'out.ome.tif'
    sizes = {'PhysicalSizeX': 0.108, 'PhysicalSizeXUnit': 'µm', 'PhysicalSizeZ': 0.3}
    data = np.zeros((3, 4, 4), np.uint16)
    tifffile.imwrite(source, data, photometric='minisblack', metadata={'axes': 'ZYX', **sizes})
    image = read_tiff(source)
    write_tiff(target, image.data.astype(np.float32), image.axes, image.acquisition)
    with tifffile.TiffFile(target) as file:
        pixels = tifffile.xml2dict(file.ome_metadata)['OME']['Image']['Pixels']
    assert pixels['PhysicalSizeX'] == pytest.approx(0.108)
    assert pixels['PhysicalSizeZ'] == pytest.approx(0.3)


def test_axes_that_the_file_does_not_tell_must_be_given(tmp_path):
    path = tmp_path / 'plain.tif'
    tifffile.imwrite(path, np.zeros((5, 6, 7), np.uint8), metadata=None, photometric='minisblack')
    with pytest.raises(InputError, match=r'shape \(5, 6, 7\).*give them with --axes, such as TYX'):
        read_tiff(path)
    assert read_tiff(path, 'zyx').axes == 'ZYX'
    with pytest.raises(InputError, match=r'plain\.tif: axes .YX. name 2 axes; the image has 3'):
        read_tiff(path, 'YX')


@pytest.mark.filterwarnings('ignore:.*are stored as RGB:DeprecationWarning')
@pytest.mark.parametrize('count', [3, 4])
def test_planes_that_tifffile_took_for_colours_are_asked_about(tmp_path, count):
    """It writes three or four frames as colours, unless it is told what they are."""
    path, frames = tmp_path / 'a.tif', np.arange(count * 30, dtype=np.uint16).reshape(count, 5, 6)
    tifffile.imwrite(path, frames)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == 'SYX'
    with pytest.raises(InputError, match=r'does not say what its axes are .* such as TYX'):
        read_tiff(path)
    found = read_tiff(path, 'TYX')
    assert found.axes == 'TYX'
    assert found.notes == ()
    np.testing.assert_array_equal(found.data, frames)
    tifffile.imwrite(path, frames, photometric='rgb', metadata={'axes': 'SYX'})
    assert read_tiff(path).axes == 'SYX'


def test_what_is_no_tiff_is_refused(tmp_path):
    with pytest.raises(InputError, match='no such file'):
        read_tiff(tmp_path / 'missing.tif')
    path = tmp_path / 'text.tif'
    path.write_text('hello')
    with pytest.raises(InputError, match='it is not a TIFF file, but text; a TIFF, OME-Zarr, '):
        read_tiff(path)


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / 'a.tif'
    write_tiff(path, np.zeros((4, 4), np.float32), 'YX')
    before = path.read_bytes()

    def full(*arguments, **options):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('tifffile.imwrite', full)
    with pytest.raises(OSError, match='No space'):
        write_tiff(path, np.ones((4, 4), np.float32), 'YX')
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
