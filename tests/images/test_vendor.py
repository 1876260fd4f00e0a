"""Formats of microscope makers, with a reader of bioio that is made for these tests."""

import sys

import numpy as np
import pytest
from tests.images.helpers import refused

from napari_noise2score import InputError, list_scenes, read_image
from napari_noise2score.images.acquisition import Spacing
from napari_noise2score.images.vendor import czi, is_vendor

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 600, (2, 1, 3, 20, 24), dtype=np.uint16)
MOVIE = RNG.integers(0, 600, (4, 2, 20, 24), dtype=np.uint16)


def written(path, **scenes):
    """A file of scenes; the dimensions follow the name, as in ``{'A|TCZYX': data}``."""
    with path.open('wb') as file:
        np.savez(file, **scenes)
    return path


@pytest.fixture
def cells(tmp_path, bioio_reader):
    return written(tmp_path / f'cells{bioio_reader}', **{'A|TCZYX': STACK, 'B/1|TCYX': MOVIE})


def read_planes() -> list[tuple[int, ...]]:
    """Planes that the reader has read since the last call."""
    found = list(sys.modules['bioio_fake'].READ)
    sys.modules['bioio_fake'].READ.clear()
    return found


def test_scenes_are_chosen_by_number_name_or_path(cells):
    assert list_scenes(cells) == ('A', 'B/1')
    for path, scene in ((cells, 1), (cells, '1'), (cells, 'B/1'), (cells / '1', None)):
        image = read_image(path, scene=scene)
        assert image.axes == 'TCYX'
        np.testing.assert_array_equal(image.data, MOVIE)
    np.testing.assert_array_equal(read_image(cells / 'B/1').data, MOVIE)
    assert f'contains 2 images; choose one by its path, such as {cells}/0' in refused(cells)
    assert 'has no image number 2; numbers 0 to 1 are accepted' in refused(cells, None, 2)
    assert "has no image 'C'; numbers 0 to 1 are accepted, and so are names: 0: A; 1: B/1" in (
        refused(cells / 'C')
    )
    assert 'scene=0 is one too many' in refused(cells / '1', None, 0)


def test_axes_of_one_place_are_left_out_and_sizes_and_channels_are_kept(cells):
    image = read_image(cells, scene='A')
    assert image.axes == 'TZYX'
    np.testing.assert_array_equal(image.data, STACK[:, 0])
    assert image.acquisition.spacing == {
        'X': Spacing(0.1, 'µm'),
        'Y': Spacing(0.1, 'µm'),
        'Z': Spacing(0.5, 'µm'),
        'T': Spacing(0.25, 's'),
    }
    assert [one.name for one in image.acquisition.channels] == ['ch0']
    movie = read_image(cells, scene='B/1').acquisition
    assert [one.name for one in movie.channels] == ['ch0', 'ch1']
    assert read_image(cells, 'ZCYX', 'B/1').axes == 'ZCYX'
    assert "axes 'YX' name 2 axes; the image has 4" in refused(cells, 'YX', 'B/1')


def test_units_of_the_reader_count(tmp_path, bioio_reader):
    path = written(tmp_path / f'a{bioio_reader}', **{'nm|YX': MOVIE[0, 0]})
    spacing = read_image(path).acquisition.spacing
    assert (spacing['X'], spacing['Y']) == (Spacing(0.1, 'nm'), Spacing(0.1, 'µm'))


def test_a_large_image_is_read_plane_by_plane(cells):
    image = read_image(cells, scene=1, in_memory=1000)
    assert read_planes() == []
    np.testing.assert_array_equal(image.data[2, 1], MOVIE[2, 1])
    assert read_planes() == [(2, 1)]
    np.testing.assert_array_equal(image.data[1:3, 0, ::2], MOVIE[1:3, 0, ::2])
    assert sorted(read_planes()) == [(1, 0), (2, 0)]
    np.testing.assert_array_equal(image.data, MOVIE)


def test_unknown_axes_are_positions_and_tiles_stay_tiles(tmp_path, bioio_reader):
    path = written(tmp_path / f'a{bioio_reader}', **{'a|QMYX': MOVIE})
    image = read_image(path)
    assert image.axes == 'PMYX'
    assert image.notes == (
        'its axis Q is not known and is read as P',
        'its 2 tiles (M) stay single images: they are not stitched',
    )


def test_damage_is_one_line_when_a_plane_is_read(tmp_path, bioio_reader):
    damaged = MOVIE.copy()
    damaged[3] = 666
    path = written(tmp_path / f'a{bioio_reader}', **{'a|TCYX': damaged})
    image = read_image(path, in_memory=10)
    np.testing.assert_array_equal(image.data[0], MOVIE[0])
    with pytest.raises(InputError, match=r"not a readable ND2 file \(KeyError: 'a damaged plane'"):
        image.data[3]
    assert 'not a readable ND2 file' in refused(path)
    path.write_bytes(b'nothing')
    assert 'not a readable ND2 file' in refused(path)
    assert 'no such file' in refused(tmp_path / 'missing.nd2')


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('a.nd2', "bioio-nd2, which is not installed: pip install 'napari-noise2score[vendor]'"),
        ('a.LIF', "bioio-lif, which is not installed: pip install 'napari-noise2score[vendor]'"),
        ('a.czi', 'bioio-czi, which is not installed (licence GPL-3.0): pip install bioio-czi'),
        ('a.oib', 'bioio-bioformats, which is not installed (it runs Bio-Formats in Java'),
    ],
)
def test_a_missing_reader_is_named(tmp_path, monkeypatch, name, words):
    monkeypatch.setattr('napari_noise2score.images.vendor.readers.entry_points', lambda group: [])
    (tmp_path / name).write_bytes(b'?')
    assert words in refused(tmp_path / name)


def test_a_reader_of_another_format_is_used_and_a_broken_one_is_named(
    tmp_path, monkeypatch, bioio_reader
):
    path = written(tmp_path / 'a.fake', **{'a|YX': MOVIE[0, 0]})
    assert read_image(path).axes == 'YX'
    assert is_vendor('b.fake')
    assert not is_vendor('b.tif')
    monkeypatch.setitem(sys.modules, 'bioio_fake', None)  # its import fails
    assert not is_vendor('b.fake')
    assert 'bioio-nd2 is installed, but cannot be loaded' in refused(
        written(tmp_path / 'a.nd2', **{'a|YX': MOVIE[0, 0]})
    )


class TwoLibraries:
    """A reader like that of bioio-czi: pylibCZIrw needs a description of scenes."""

    def __init__(self, path, use_aicspylibczi=True, **options):
        self.path, self.other, self.options = path, use_aicspylibczi, options

    @property
    def scenes(self):
        if self.path == 'described':
            return ('A',)
        if not self.other:
            raise RuntimeError('no description')
        return ('Image:0',)

    @property
    def metadata(self):
        return self

    def findtext(self, where):
        return {'several': '3', 'single': '1'}.get(self.path)

    @property
    def dims(self):
        return self

    @property
    def order(self):
        return 'YXS' if self.path == 'coloured' else 'YX'


def test_a_czi_is_read_by_the_library_that_reads_it_correctly():
    assert not czi.opened(TwoLibraries, 'described').other
    single = czi.opened(TwoLibraries, 'single')
    assert single.other
    assert single.options == {'chunk_dims': ['Y', 'X']}
    for path, words in (('several', 'has 3 scenes'), ('coloured', 'has colours')):
        with pytest.raises(InputError, match=words):
            czi.opened(TwoLibraries, path)


def test_colours_of_a_czi_become_red_green_blue():
    colours = np.arange(6).reshape(1, 2, 3)
    np.testing.assert_array_equal(czi.with_rgb(colours, list('YXS'))[0, 0], [2, 1, 0])
    assert czi.with_rgb(colours, list('ZYX')) is colours
