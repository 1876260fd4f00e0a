"""Files with several images, and files that lack some of what they promise."""

import numpy as np
import pytest
import tifffile

from napari_noise2score.errors import InputError
from napari_noise2score.images.tiff import read_tiff

RNG = np.random.default_rng(0)
SNAPSHOT = RNG.integers(0, 1000, (24, 20), dtype=np.uint16)
MOVIE = RNG.integers(0, 1000, (6, 40, 32), dtype=np.uint16)
GREY = {'photometric': 'minisblack'}


@pytest.fixture
def two(tmp_path):
    path = tmp_path / 'two.tif'
    with tifffile.TiffWriter(path) as file:
        file.write(SNAPSHOT, metadata=None, **GREY)
        for frame in MOVIE:
            file.write(frame, metadata=None, **GREY)
    return path


def test_the_largest_image_is_read_and_the_others_are_named(two):
    image = read_tiff(two, 'TYX')
    np.testing.assert_array_equal(image.data, MOVIE)
    (note,) = image.notes
    assert 'contains 2 images; number 1 is read' in note
    assert '0: YX 24x20; 1: IYX 6x40x32' in note
    assert '--scene' in note


def test_axes_choose_among_the_images(two):
    image = read_tiff(two, 'YX')
    np.testing.assert_array_equal(image.data, SNAPSHOT)
    assert 'number 0 is read' in image.notes[0]


def test_an_image_can_be_asked_for(two):
    np.testing.assert_array_equal(read_tiff(two, 'YX', 0).data, SNAPSHOT)
    assert read_tiff(two, 'YX', 0).notes == ()
    np.testing.assert_array_equal(read_tiff(two, 'ZYX', 1).data, MOVIE)
    with pytest.raises(InputError, match='no image number 2; numbers 0 to 1 are accepted: 0: YX'):
        read_tiff(two, 'YX', 2)
    with pytest.raises(InputError, match='no image number -1'):
        read_tiff(two, 'YX', -1)


def test_axes_that_are_not_told_are_asked_for_with_the_list_of_images(two):
    with pytest.raises(InputError, match='such as TYX; the file contains 2 images; number 1'):
        read_tiff(two)


def test_positions_of_an_ome_tiff_have_their_own_sizes(tmp_path):
    path = tmp_path / 'positions.ome.tif'
    with tifffile.TiffWriter(path, ome=True) as file:
        for number in range(3):
            metadata = {'axes': 'TYX', 'PhysicalSizeX': 0.1 * (number + 1), 'Name': f'p{number}'}
            file.write(MOVIE + number, metadata=metadata, **GREY)
    first = read_tiff(path)
    np.testing.assert_array_equal(first.data, MOVIE)
    assert "2: TYX 6x40x32 'p2'" in first.notes[0]
    last = read_tiff(path, scene=2)
    np.testing.assert_array_equal(last.data, MOVIE + 2)
    assert last.acquisition.spacing['X'].size == pytest.approx(0.3)


def test_a_pyramid_is_read_at_full_resolution_and_is_one_image(tmp_path):
    path = tmp_path / 'pyramid.ome.tif'
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(MOVIE, subifds=1, metadata={'axes': 'TYX'}, **GREY)
        file.write(MOVIE[:, ::2, ::2], subfiletype=1, **GREY)
    image = read_tiff(path)
    np.testing.assert_array_equal(image.data, MOVIE)
    assert image.notes == ()


def test_many_images_are_not_all_listed(tmp_path):
    path = tmp_path / 'many.tif'
    with tifffile.TiffWriter(path) as file:
        for number in range(9):
            file.write(MOVIE[0, : 10 + number], metadata=None, **GREY)
    (note,) = read_tiff(path).notes
    assert note.endswith('; and 3 more')


@pytest.mark.parametrize('share', [0.3, 0.6, 0.9])
@pytest.mark.parametrize(('axes', 'shape'), [('TYX', (8,)), ('ZYX', (8,)), ('TCYX', (8, 2))])
def test_an_imagej_stack_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path, share, axes, shape):
    data = RNG.integers(0, 1000, (*shape, 40, 32), dtype=np.uint16)
    path = tmp_path / 'cut.tif'
    tifffile.imwrite(path, data, imagej=True, metadata={'axes': axes, 'unit': 'um'})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    image = read_tiff(path)
    there = len(image.data)
    assert 8 * share - 2 < there < 8
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, data[:there])
    (note,) = image.notes
    assert 'cut short' in note
    assert (
        f'declares 8 positions along {axes[0]}, and the {there} that are present are read' in note
    )


def test_a_compressed_imagej_stack_that_lacks_pages_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / 'cut.tif'
    with tifffile.TiffWriter(path) as file:
        for number, frame in enumerate(MOVIE):
            text = 'ImageJ=1.53t\nimages=9\nframes=9\nhyperstack=true\n' if not number else None
            file.write(frame, compression='zlib', description=text, metadata=None, **GREY)
    image = read_tiff(path)
    assert image.axes == 'TYX'
    np.testing.assert_array_equal(image.data, MOVIE)
    assert 'declares 9 positions along T, and the 6 that are present' in image.notes[0]


def test_one_image_with_the_description_of_a_stack_is_one_image(tmp_path):
    path = tmp_path / 'one.tif'
    text = 'ImageJ=1.49k\nimages=3500\nslices=3500\n'
    tifffile.imwrite(path, MOVIE[0], description=text, metadata=None, **GREY)
    image = read_tiff(path)
    assert image.axes == 'YX'
    np.testing.assert_array_equal(image.data, MOVIE[0])
    assert 'and the 1 that is present is read' in image.notes[0]


def test_less_than_one_time_point_is_refused(tmp_path):
    path = tmp_path / 'cut.tif'
    data = np.zeros((2, 6, 40, 32), np.uint16)
    tifffile.imwrite(path, data, imagej=True, metadata={'axes': 'TZYX'})
    path.write_bytes(path.read_bytes()[: int(0.3 * path.stat().st_size)])
    with pytest.raises(InputError, match='12 planes, but only 3 are present, which is less than'):
        read_tiff(path)


def test_a_plain_stack_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / 'cut.tif'
    tifffile.imwrite(path, MOVIE, metadata={'axes': 'TYX'}, **GREY)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r'cut short or damaged: shape \(6, 40, 32\)'):
        read_tiff(path)


@pytest.mark.parametrize('compression', [None, 'zlib'])
@pytest.mark.parametrize('cut', [0.45, 0.5, 0.55, 0.6])
def test_of_pages_that_break_off_the_whole_ones_are_read(tmp_path, cut, compression):
    path = tmp_path / 'cut.tif'
    with tifffile.TiffWriter(path) as file:
        for frame in MOVIE:
            file.write(frame, metadata=None, compression=compression, **GREY)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    image = read_tiff(path, 'TYX')
    assert 1 < len(image.data) < 4
    np.testing.assert_array_equal(image.data, MOVIE[: len(image.data)])
    (note,) = image.notes
    assert 'the file is cut short' in note


def test_a_file_that_an_ome_set_lacks_is_named(tmp_path):
    for number in range(2):
        tifffile.imwrite(
            tmp_path / f's{number}.ome.tif', MOVIE[3 * number :][:3], metadata=None, **GREY
        )
    blocks = ''.join(
        f'<TiffData FirstT="{3 * n}" IFD="0" PlaneCount="3"><UUID FileName="s{n}.ome.tif">'
        f'urn:uuid:0000000{n}-0000-0000-0000-000000000000</UUID></TiffData>'
        for n in range(2)
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:00000000-0000-0000-0000-000000000000"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="32" SizeY="40" SizeZ="1" '
        f'SizeC="1" SizeT="6"><Channel ID="Channel:0:0"/>{blocks}</Pixels></Image></OME>'
    )
    tifffile.tiffcomment(tmp_path / 's0.ome.tif', xml.encode())
    whole = read_tiff(tmp_path / 's0.ome.tif')
    assert whole.notes == ()
    np.testing.assert_array_equal(whole.data, MOVIE)
    lazy = read_tiff(tmp_path / 's0.ome.tif', in_memory=0)
    np.testing.assert_array_equal(lazy.data[2:5, 3:7], MOVIE[2:5, 3:7])
    (tmp_path / 's1.ome.tif').unlink()
    half = read_tiff(tmp_path / 's0.ome.tif')
    assert half.notes == (
        '3 of 6 planes are missing and are read as zeros; s1.ome.tif of its set is missing',
    )
    np.testing.assert_array_equal(half.data[:3], MOVIE[:3])
    assert not half.data[3:].any()
    lazy = read_tiff(tmp_path / 's0.ome.tif', in_memory=0)
    np.testing.assert_array_equal(lazy.data, half.data)


def test_sizes_are_those_of_the_image_of_this_name(tmp_path):
    """The other image of the set is in a file that is missing: it is not counted."""
    pixels = (
        '<Pixels ID="Pixels:{0}" DimensionOrder="XYZCT" Type="uint16" SizeX="20" SizeY="24" '
        'SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{1}"><Channel ID="Channel:{0}:0" '
        'Name="{2}"/><TiffData IFD="0" PlaneCount="1"><UUID FileName="q{0}.ome.tif">'
        'urn:uuid:0000000{0}-0000-0000-0000-000000000000</UUID></TiffData></Pixels>'
    )
    images = ''.join(
        f'<Image ID="Image:{n}" Name="{name}">{pixels.format(n, size, channel)}</Image>'
        for n, (name, size, channel) in enumerate([('A', 0.1, 'red'), ('B', 0.5, 'blue')])
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="urn:uuid:00000001-0000-0000-0000-000000000000">{images}</OME>'
    )
    path = tmp_path / 'q1.ome.tif'
    tifffile.imwrite(path, SNAPSHOT, description=xml, metadata=None, **GREY)
    acquisition = read_tiff(path).acquisition
    assert acquisition.spacing['X'].size == 0.5
    assert [channel.name for channel in acquisition.channels] == ['blue']
