"""Names of results, and what keeps them from being written, found out before the work."""

import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from napari_noise2score.cli.outputs import (
    Output,
    Place,
    file_named,
    outputs_of,
    result_name,
    targets,
    tried,
)
from napari_noise2score.errors import InputError
from napari_noise2score.images.space import check_space

POSIX = pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no such links')


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


def refused(*outputs: Output, inputs=()) -> str:
    with pytest.raises(InputError) as caught, tried(outputs, inputs):
        raise AssertionError('the work began')
    return str(caught.value)


@pytest.mark.parametrize(
    ('name', 'result'),
    [
        ('a.tif', 'a.tif'),
        ('a.TIFF', 'a.TIFF'),
        ('a.ome.tif', 'a.ome.tif'),
        ('in.dat', 'in.tif'),
        ('scan.lsm', 'scan.tif'),
        ('tiff.png', 'tiff.tif'),
        ('a.ome.btf', 'a.ome.tif'),
        ('bare', 'bare.tif'),
        ('scan.001', 'scan.001.tif'),
    ],
)
def test_a_result_is_called_a_tiff(name, result):
    assert result_name(Path('somewhere') / name) == result


def test_one_image_goes_to_a_file_or_into_a_folder(tmp_path):
    one = [Path('x.lsm')]
    (tmp_path / 'there').mkdir()

    def target(text: str, several: bool = False) -> Path:
        (found,) = targets(one, Place.parse(f'{tmp_path}{os.sep}{text}'), several)
        return found.relative_to(tmp_path)

    assert target('o.tif') == target('o.tif', several=True) == Path('o.tif')
    assert target('there') == Path('there/x.tif')
    assert target(f'new{os.sep}') == Path('new/x.tif')
    assert target('new', several=True) == Path('new/x.tif')
    for text, begin in (('o.png', 'PNG is not written, only read; images'), ('new', 'images')):
        with pytest.raises(
            InputError, match=rf'{text}: {begin} are written as \.tif or \.tiff; for a'
        ):
            target(text)


def test_several_images_need_a_folder(tmp_path):
    two = [Path('x.lsm'), Path('y.tif')]
    place = Place(tmp_path / 'new')
    assert targets(two, place) == [tmp_path / 'new' / 'x.tif', tmp_path / 'new' / 'y.tif']
    (tmp_path / 'file').write_text('x')
    for name in ('o.tif', 'file'):
        with pytest.raises(InputError, match='is one file; 2 images need a folder'):
            targets(two, Place(tmp_path / name))
    with pytest.raises(InputError, match='is not a folder, but is given as a folder'):
        targets(two[:1], Place.parse(f'{tmp_path / "file"}{os.sep}'))


@pytest.mark.parametrize('names', [('a/x.tif', 'b/x.tif'), ('x.lsm', 'x.dat'), ('X.tif', 'x.tif')])
def test_results_of_one_name_are_refused(tmp_path, names):
    with pytest.raises(InputError, match='overwrite each other'):
        targets([Path(name) for name in names], Place(tmp_path))


def test_a_file_is_not_named_like_a_folder():
    assert file_named('r.json') == Path('r.json')
    for text in ('', f'new{os.sep}'):
        with pytest.raises(Exception, match='a file name is needed'):
            file_named(text)


def test_two_outputs_of_one_name_are_refused(tmp_path):
    image, report = tmp_path / 'o.tif', tmp_path / 'r.json'
    assert 'is named twice, by --output and --report' in refused(
        *outputs_of(output=[image], report=image)
    )
    detour = tmp_path / 'x' / '..' / 'o.tif'
    assert 'is the same file as' in refused(*outputs_of(output=image, report=detour))
    assert 'capital and small letters' in refused(
        *outputs_of(output=image, report=tmp_path / 'O.TIF')
    )
    assert 'a folder by --report' in refused(*outputs_of(output=image, report=image / 'r.json'))
    assert files(tmp_path) == []
    with tried(outputs_of(output=image, report=report), [None]):
        assert files(tmp_path) == []


@POSIX
def test_links_do_not_hide_that_two_are_one(tmp_path):
    source, image, link, hard = (tmp_path / name for name in ('in.tif', 'o.tif', 'l', 'hard'))
    source.write_text('x')
    link.symlink_to(image)
    hard.hardlink_to(source)
    assert 'is the same file as' in refused(*outputs_of(output=image, report=link))
    assert 'is also an input' in refused(*outputs_of(output=hard), inputs=[source])
    link.unlink()
    link.symlink_to(source)
    assert 'is also an input' in refused(*outputs_of(output=link), inputs=[source])


def test_folders_are_made_and_stay_only_if_they_are_of_use(tmp_path):
    paths = [tmp_path / 'a' / 'b' / 'o.tif', tmp_path / 'c' / 'r.json']
    with tried(outputs_of(output=paths[0], report=paths[1]), []):
        assert files(tmp_path) == ['a', 'a/b', 'c']
        paths[0].write_text('x')
    assert files(tmp_path) == ['a', 'a/b', 'a/b/o.tif']


def test_an_existing_file_is_not_touched_by_the_trial(tmp_path):
    path = tmp_path / 'o.tif'
    path.write_text('old')
    with tried(outputs_of(output=path, replaced=[path]), []):
        assert files(tmp_path) == ['o.tif']
    assert path.read_text() == 'old'


def test_what_cannot_be_made_is_refused_by_its_name(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'o.tif'
    assert 'too long' in refused(*outputs_of(output=tmp_path / ('x' * 300)))

    def refuse(*arguments, **options) -> None:
        raise PermissionError(1, 'Operation not permitted', 'something else')

    monkeypatch.setattr(Path, 'mkdir', refuse)
    assert refused(*outputs_of(output=path)) == f'{path}: Operation not permitted'
    monkeypatch.undo()
    monkeypatch.setattr(Path, 'replace', refuse)
    assert refused(*outputs_of(output=path)) == f'{path}: Operation not permitted'


Usage = namedtuple('Usage', 'free')


def test_space_is_looked_for_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: Usage(10 * 2**20))
    first, second = tmp_path / 'a.tif', tmp_path / 'new' / 'b.tif'
    check_space([(first, 4 * 2**20), (second, 5 * 2**20)])
    text = r'b\.tif: not enough disk space: .* 10 MiB free, but .* need 11 MiB'
    with pytest.raises(InputError, match=text):
        check_space([(first, 4 * 2**20), (second, 7 * 2**20)])
    first.write_bytes(bytes(3 * 2**20))  # its space comes back when it is replaced
    check_space([(first, 4 * 2**20), (second, 7 * 2**20)])


@POSIX
def test_the_limit_of_a_file_counts(tmp_path, monkeypatch):
    import resource

    monkeypatch.setattr(resource, 'getrlimit', lambda kind: (2**20, 2**20))
    with pytest.raises(InputError, match=r'files may have at most 1 MiB here \(ulimit -f\)'):
        check_space([(tmp_path / 'a.tif', 2**20)])
