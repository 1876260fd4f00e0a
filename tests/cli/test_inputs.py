"""Folders, patterns and what is no file as inputs."""

import os
import sys
from pathlib import Path

import pytest

from napari_noise2score.cli.inputs import existing_file, files_of
from napari_noise2score.cli.outputs import Place, targets
from napari_noise2score.errors import InputError

POSIX = pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no pipes')


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / 'data'
    (folder / 'deeper').mkdir(parents=True)
    names = ('b.tif', 'a.TIFF', 'c.lsm', '.hidden.tif', 'notes.txt', 'd.ome.tif', 'deeper/e.tif')
    for name in names:
        (folder / name).write_bytes(b'')
    return folder


def found(*named: Path, besides=()) -> list[str]:
    files, wrong = files_of(named, besides)
    assert wrong == []
    return [file.name for file in files]


def refused(*named: Path) -> str:
    with pytest.raises(InputError) as caught:
        files_of(named)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_folder_stands_for_its_tiff_files(folder, capsys):
    assert found(folder) == ['a.TIFF', 'b.tif', 'c.lsm', 'd.ome.tif']
    assert 'data: a folder of 4 files' in capsys.readouterr().err


def test_a_pattern_stands_for_the_files_that_match(folder, capsys):
    assert found(folder / '*.tif') == ['b.tif', 'd.ome.tif']
    assert found(folder / '?.*') == ['a.TIFF', 'b.tif', 'c.lsm', 'd.ome.tif']
    assert found(folder / '**' / 'e.tif') == ['e.tif']
    assert 'a pattern of 1 file\n' in capsys.readouterr().err


def test_a_pattern_may_be_relative_and_a_name_may_look_like_one(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert found(Path('*.lsm')) == ['c.lsm']
    odd = folder / 'of [day 1]'
    odd.mkdir()
    (odd / 'x[1].tif').write_bytes(b'')
    assert found(odd / 'x[1].tif') == found(odd / '*.tif') == ['x[1].tif']


def test_outputs_are_no_inputs_of_the_next_run(folder, capsys):
    assert found(folder, besides=[folder / 'b.tif']) == ['a.TIFF', 'c.lsm', 'd.ome.tif']
    assert 'without 1 with the name of an output' in capsys.readouterr().err
    assert found(folder / 'b.tif', besides=[folder / 'b.tif']) == ['b.tif']


def test_what_stands_for_nothing_is_told(folder, tmp_path):
    empty, other, zarr = (tmp_path / name for name in ('empty', 'other', 'image.zarr'))
    for path in (empty, other, zarr):
        path.mkdir()
    (other / 'a.png').write_bytes(b'')
    words = 'a folder without TIFF, OME-Zarr and microscope images (it has no files)'
    assert words in refused(empty)
    assert 'files of .png' in refused(other)
    assert found(zarr) == ['image.zarr']
    assert 'no file matches it' in refused(folder / '*.nd2')
    assert 'only folders match it' in refused(folder / 'deep*')
    assert 'no such file' in refused(folder / 'missing.tif')
    assert 'b.tif: it is not a TIFF file: it is empty' in refused(folder / 'b.tif' / 'x.tif')


@POSIX
def test_what_is_no_file_is_told(tmp_path):
    pipe, lost = tmp_path / 'pipe', tmp_path / 'lost.tif'
    os.mkfifo(pipe)
    lost.symlink_to(tmp_path / 'gone.tif')
    assert 'a device, a pipe or a socket' in refused(pipe)
    assert f'is a link to {tmp_path / "gone.tif"}, which does not exist' in refused(lost)
    assert 'too long' in refused(tmp_path / ('x' * 300))
    with pytest.raises(InputError, match='is a folder'):
        existing_file(tmp_path)


def test_what_is_wrong_among_others_does_not_hide_them(folder):
    files, wrong = files_of([folder / 'missing.tif', folder / 'b.tif', folder / '*.nd2'])
    assert [file.name for file in files] == ['b.tif']
    assert [path.name for path, _ in wrong] == ['missing.tif', '*.nd2']


def test_folders_in_a_folder_count_if_asked_for(folder, tmp_path):
    (folder / 'out').mkdir()
    (folder / 'out' / 'a.tif').write_bytes(b'')
    files, _ = files_of([folder], [folder / 'out'], recursive=True)
    assert [file.name for file in files] == ['a.TIFF', 'b.tif', 'c.lsm', 'd.ome.tif', 'e.tif']
    placed = targets(files, Place(tmp_path / 'o', True), named_as=[folder])
    assert placed[-1] == tmp_path / 'o' / 'deeper' / 'e.tif'
    assert placed[1] == tmp_path / 'o' / 'b.tif'


def test_results_in_a_folder_below_are_no_inputs_of_a_pattern(folder):
    pattern = folder / '**' / '*.tif'
    assert 'e.tif' in found(pattern)
    assert 'e.tif' not in found(pattern, besides=[folder / 'deeper'])


def test_two_images_of_one_name_are_refused_with_both_names(folder, tmp_path):
    inputs = [folder / 'a.tif', folder / 'deeper' / 'a.lsm']
    with pytest.raises(InputError) as caught:
        targets(inputs, Place(tmp_path / 'o', True))
    assert all(str(path) in str(caught.value) for path in inputs)
