import numpy as np
import pytest
import tifffile

from napari_noise2score.errors import InputError
from napari_noise2score.images.tiff import read_tiff, write_tiff


@pytest.mark.parametrize('name', ['a.tif', 'a.tiff', 'a.ome.tif'])
@pytest.mark.parametrize(
    ('axes', 'shape'), [('YX', (5, 6)), ('TYX', (3, 5, 6)), ('TCZYX', (2, 3, 4, 5, 6))]
)
def test_round_trip_with_axes(tmp_path, name, axes, shape):
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    write_tiff(tmp_path / name, data, axes)
    image = read_tiff(tmp_path / name)
    assert image.axes == axes
    assert image.data.dtype == np.float32
    np.testing.assert_array_equal(image.data, data)


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
    write_tiff(target, image.data.astype(np.float32), image.axes, image.resolution)
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
    write_tiff(target, image.data.astype(np.float32), image.axes, image.resolution)
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


def test_what_is_no_tiff_is_refused(tmp_path):
    with pytest.raises(InputError, match='no such file'):
        read_tiff(tmp_path / 'missing.tif')
    path = tmp_path / 'text.tif'
    path.write_text('hello')
    with pytest.raises(InputError, match='no readable TIFF'):
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
