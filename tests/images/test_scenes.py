"""Scenes of files: paths of their own, names, and which images a file stands for."""

import re
import shutil
from html import escape

import numpy as np
import pytest
import tifffile

from napari_noise2score import InputError, list_scenes, read_image
from napari_noise2score.cli.inputs import files_of
from napari_noise2score.images.formats import choose_scenes, image_name
from napari_noise2score.images.scenes import name_for_file, number_of, split_scene

FRAMES = np.random.default_rng(0).integers(0, 900, (3, 24, 20), dtype=np.uint16)
GREY = {'photometric': 'minisblack'}


def positions(path, names=('A', 'B', 'B')):
    """An OME-TIFF of several images."""
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, frame in zip(names, FRAMES, strict=True):
            file.write(frame, metadata={'axes': 'YX', 'Name': name}, **GREY)
    return path


def test_a_scene_has_a_path_below_its_file(tmp_path):
    file = tmp_path / 'a.lif'
    file.write_bytes(b'')
    assert split_scene(file) == (file, None)
    assert split_scene(file / '2') == (file, '2')
    assert split_scene(file / 'Tile scan/Position 1') == (file, 'Tile scan/Position 1')
    assert split_scene(tmp_path / 'missing.lif' / '2') == (tmp_path / 'missing.lif' / '2', None)
    assert image_name(file / '2') == 'a.lif/2'


def test_numbers_come_before_names_and_names_have_to_be_unique():
    names = ['one', '0', '2015', 'two', 'two']
    assert [number_of(text, names) for text in (0, '0', 'one', '2015', ' 3 ')] == [0, 0, 0, 2, 3]
    with pytest.raises(InputError, match="2 images named 'two'; give a number: 3, 4"):
        number_of('two', names)
    with pytest.raises(InputError, match='no image number -1; numbers 0 to 4 are accepted'):
        number_of(-1, names)


@pytest.mark.parametrize(
    ('names', 'found'),
    [
        (['A', 'B/2'], ['A', 'B_2']),
        (['A', 'a'], ['A_0', 'a_1']),
        (['', '..'], ['0', '1']),
        (['Image:0', 'Ä m²'], ['Image_0', 'Ä m²']),
        (['x' * 300, 'y'], ['x' * 100, 'y']),
    ],
)
def test_names_of_results_are_possible_and_different_everywhere(names, found):
    assert [name_for_file(number, names) for number in range(len(names))] == found


def test_an_ome_tiff_stands_for_all_of_its_images(tmp_path):
    path = positions(tmp_path / 'a.ome.tif')
    assert list_scenes(path) == ('A', 'B', 'B')
    scenes = choose_scenes(path)
    assert scenes.paths == (path / '0', path / '1', path / '2')
    assert scenes.note == 'contains 3 images (--scene chooses one): 0: A; 1: B; 2: B'
    for number, one in enumerate(scenes.paths):
        np.testing.assert_array_equal(read_image(one).data, FRAMES[number])
    assert choose_scenes(path, 'A').paths == (path / '0',)
    assert choose_scenes(path, 'A').note.startswith('of its 3 images, number 0 is read: 0: A')
    assert choose_scenes(path / 'A').paths == (path / '0',)
    np.testing.assert_array_equal(read_image(path, scene='A').data, FRAMES[0])
    with pytest.raises(InputError, match="2 images named 'B'"):
        choose_scenes(path, 'B')


def test_images_in_other_files_of_a_set_are_left_to_these(tmp_path):
    whole = positions(tmp_path / 'a.ome.tif')
    with tifffile.TiffFile(whole) as file:
        xml = file.ome_metadata
    parts = [tmp_path / f'p{number}.ome.tif' for number in range(3)]
    for number in range(3):
        uuid = f'urn:uuid:00000000-0000-0000-0000-00000000000{number}'
        name = f'<UUID FileName="p{number}.ome.tif">{uuid}</UUID>'
        old = f'<TiffData IFD="{number}" PlaneCount="1"/>'
        assert old in xml
        xml = xml.replace(old, f'<TiffData IFD="0" PlaneCount="1">{name}</TiffData>')
    for number, part in enumerate(parts):
        uuid = f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{number}"'
        begin, _, end = xml.partition('UUID="')
        own = begin + uuid + end.partition('"')[2]
        tifffile.imwrite(part, FRAMES[number], description=own, metadata=None, **GREY)
    for number, part in enumerate(parts):
        scenes = choose_scenes(part)
        assert scenes.paths == (part / str(number),)
        assert scenes.note.startswith(
            f'1 of the 3 images of its set begin in this file (number {number}); the others are '
            'left to their own files'
        )
        np.testing.assert_array_equal(read_image(scenes.paths[0]).data, FRAMES[number])
    assert len(choose_scenes(parts[0], 'all').paths) == 3
    own = [part / str(number) for number, part in enumerate(parts)]
    whole.unlink()
    assert files_of([tmp_path], scene='all')[0] == own
    assert files_of(parts, scene='all')[0] == own
    assert files_of(parts[:1], scene='all')[0] == [parts[0] / str(n) for n in range(3)]
    assert files_of([tmp_path], scene='1')[0] == [own[1]]
    assert files_of([parts[0], parts[2]], scene='1')[0] == [parts[0] / '1']


def test_of_another_tiff_the_largest_image_counts_unless_all_are_wanted(tmp_path):
    path = tmp_path / 'two.tif'
    with tifffile.TiffWriter(path) as file:
        file.write(FRAMES[0, :10, :10], metadata=None, **GREY)
        file.write(FRAMES[1], metadata=None, **GREY)
    assert choose_scenes(path).paths == (path,)
    assert 'number 1 is read, the others are ignored' in read_image(path).notes[0]
    assert choose_scenes(path, 'all').paths == (path / '0', path / '1')
    assert choose_scenes(path, '1').paths == (path / '1',)
    with pytest.raises(InputError, match=r'two\.tif: has no image number 2'):
        choose_scenes(path, '2')


def test_a_single_image_keeps_its_path(tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, FRAMES[0], **GREY)
    for wanted in (None, 'all', '0'):
        assert choose_scenes(path, wanted).paths == (path,)
        assert choose_scenes(path, wanted).note == ''
    np.save(tmp_path / 'a.npy', FRAMES[0])
    assert choose_scenes(tmp_path / 'a.npy').paths == (tmp_path / 'a.npy',)
    with pytest.raises(InputError, match=r'a\.npy: has no image number 1'):
        choose_scenes(tmp_path / 'a.npy', '1')


def in_parts(folder, names):
    """An OME-TIFF of one stack, a plane in each file."""
    whole = folder / 'whole.ome.tif'
    tifffile.imwrite(whole, FRAMES[: len(names)], metadata={'axes': 'TYX'}, **GREY)
    with tifffile.TiffFile(whole) as file:
        xml = file.ome_metadata
    whole.unlink()
    begin, _, end = xml.partition('<TiffData')
    planes = [
        f'<TiffData FirstT="{n}" IFD="0" PlaneCount="1"><UUID FileName="{escape(name)}">'
        f'urn:uuid:00000000-0000-0000-0000-00000000000{n}</UUID></TiffData>'
        for n, name in enumerate(names)
    ]
    rest = end.partition('</Pixels>')[2]
    for number, name in enumerate(names):
        uuid = f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{number}"'
        start = re.sub('UUID="[^"]*"', uuid, begin)
        own = f'{start}{"".join(planes)}</Pixels>{rest}'
        tifffile.imwrite(folder / name, FRAMES[number], description=own, metadata=None, **GREY)


@pytest.mark.parametrize('name', ['s', 'A&B '])
def test_a_single_image_in_several_files_is_read_once(tmp_path, capsys, name):
    """Each file holds a plane of one stack."""
    first, second, third = (tmp_path / f'{name}{n}.ome.tif' for n in range(3))
    in_parts(tmp_path, [first.name, second.name, third.name])
    assert choose_scenes(first).paths == (first,)
    assert choose_scenes(second).paths == ()
    found, wrong = files_of([tmp_path])
    assert (found, wrong) == ([first], [])
    assert f'{third}: is part of an image that begins in another' in capsys.readouterr().err
    np.testing.assert_array_equal(read_image(found[0]).data, FRAMES)
    named, _ = files_of([second])  # named by itself
    np.testing.assert_array_equal(read_image(named[0]).data, FRAMES)
    assert files_of([second, third])[0] == [second]
    capsys.readouterr()
    assert files_of([first, second, third])[0] == [first]
    assert f'{second}, {third}: left out, because' in capsys.readouterr().err
    assert files_of([tmp_path], scene='all')[0] == [first]
    renamed = first.rename(tmp_path / 'renamed.ome.tif')
    assert choose_scenes(renamed).paths == (renamed,)


def test_a_copy_of_an_image_is_an_image(tmp_path):
    """Bio-Formats writes the name of the file into files of a single image too."""
    in_parts(tmp_path, ['a.ome.tif'])
    copy = tmp_path / 'copy.ome.tif'
    shutil.copy(tmp_path / 'a.ome.tif', copy)
    assert choose_scenes(copy).paths == (copy,)
    np.testing.assert_array_equal(np.squeeze(read_image(copy).data), FRAMES[0])
