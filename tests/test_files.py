import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from napari_noise2score.files import obstacle, recorded, written_whole

POSIX = pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no file mode, no pipes')


def names(folder) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'a.txt'
    with written_whole(path) as part:
        part.write_text('new')
        assert not path.exists()
    assert path.read_text() == 'new'
    assert names(tmp_path) == ['a.txt']


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def interrupted() -> None:
        with written_whole(path) as part:
            part.write_text('ne')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['a.txt']


def test_what_is_complete_is_recorded(tmp_path):
    with recorded() as written:
        with written_whole(tmp_path / 'a') as part:
            part.write_text('x')
        with pytest.raises(ZeroDivisionError), written_whole(tmp_path / 'b'):
            raise ZeroDivisionError
    assert written == [tmp_path / 'a']


def test_the_longest_name_that_a_file_may_have_can_be_written(tmp_path):
    path = tmp_path / ('ä' * 125 + 'a.tif')
    assert len(os.fsencode(path.name)) == 255
    with written_whole(path) as part:
        part.write_text('x')
    assert path.read_text() == 'x'


@POSIX
def test_contents_are_on_the_disk_before_the_name_and_then_the_name_too(tmp_path, monkeypatch):
    path, done = tmp_path / 'a.txt', []
    sync, replace = os.fsync, Path.replace

    def synced(handle):
        done.append('folder' if stat.S_ISDIR(os.fstat(handle).st_mode) else 'contents')
        sync(handle)

    def replaced(part, target):
        done.append('name')
        return replace(part, target)

    monkeypatch.setattr(os, 'fsync', synced)
    monkeypatch.setattr(Path, 'replace', replaced)
    with written_whole(path) as part:
        part.write_text('new')
    assert done == ['contents', 'name', 'folder']


@POSIX
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_file_that_does_not_reach_the_disk_does_not_take_its_name(tmp_path, monkeypatch, code):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def full(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match=r'a\.txt') as caught, written_whole(path) as part:
        part.write_text('new')
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['a.txt']


@POSIX
def test_a_folder_that_cannot_be_synchronised_does_not_cost_the_file(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, 'fsync', only_files)
    with written_whole(tmp_path / 'a.txt') as part:
        part.write_text('new')
    assert (tmp_path / 'a.txt').read_text() == 'new'


@POSIX
def test_others_may_read_it_as_any_other_file(tmp_path):
    path, plain = tmp_path / 'a.txt', tmp_path / 'b.txt'
    plain.write_text('x')
    with written_whole(path) as part:
        part.write_text('x')
    assert path.stat().st_mode == plain.stat().st_mode


@POSIX
def test_a_file_that_is_replaced_hands_on_its_rights(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('secret')
    path.chmod(0o600)
    with written_whole(path) as part:
        part.write_text('still secret')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@POSIX
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'far').mkdir()
    there, new = tmp_path / 'link', tmp_path / 'dangling'
    (tmp_path / 'far' / 'old').write_text('old')
    there.symlink_to(tmp_path / 'far' / 'old')
    new.symlink_to(tmp_path / 'far' / 'new')
    for path in (there, new):
        with written_whole(path) as part:
            part.write_text('x')
        assert path.is_symlink()
        assert path.read_text() == 'x'
    assert names(tmp_path / 'far') == ['new', 'old']


@POSIX
def test_what_cannot_be_written_is_told_in_words(tmp_path, monkeypatch):
    pipe, lost, loop, mine = (tmp_path / name for name in ('pipe', 'lost', 'loop', 'mine'))
    os.mkfifo(pipe)
    lost.symlink_to(tmp_path / 'nowhere' / 'file')
    loop.symlink_to(loop)
    mine.write_text('x')
    assert obstacle(tmp_path / 'new' / 'deeper' / 'file') is None
    assert obstacle(mine) is None
    assert 'is a folder' in obstacle(tmp_path)
    assert 'a pipe' in obstacle(pipe)
    assert 'no such folder' in obstacle(lost)
    assert obstacle(loop) is not None
    assert f'{mine} is not a folder' in obstacle(mine / 'file')
    assert 'too long' in obstacle(tmp_path / ('x' * 300))
    assert 'no file can have this name' in obstacle(tmp_path / 'a\0b')
    monkeypatch.setattr(os, 'access', lambda path, mode: path != mine)
    assert 'writing to it is not allowed' in obstacle(mine)
    monkeypatch.setattr(os, 'access', lambda path, mode: path != tmp_path)
    assert f'writing to the folder {tmp_path} is not allowed' in obstacle(
        tmp_path / 'new' / 'file'
    )


@POSIX
def test_a_pipe_and_a_protected_file_are_not_replaced(tmp_path, monkeypatch):
    pipe, mine = tmp_path / 'pipe', tmp_path / 'mine'
    os.mkfifo(pipe)
    mine.write_text('old')
    monkeypatch.setattr(os, 'access', lambda path, mode: path != mine)
    for path in (pipe, mine):
        with pytest.raises(PermissionError) as caught, written_whole(path) as part:
            part.write_text('x')
        assert caught.value.filename == str(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert mine.read_text() == 'old'


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EFBIG])
def test_an_error_without_name_and_number_gets_both(tmp_path, monkeypatch, code):
    path = tmp_path / 'a.tif'

    def full(*arguments):
        raise OSError(code, os.strerror(code))

    def write() -> None:
        with written_whole(path) as part:
            part.write_bytes(b'x')
            monkeypatch.setattr(os, 'write', full)
            raise OSError('131072 requested and 64440 written')  # as NumPy does

    with pytest.raises(OSError, match=r'a\.tif') as caught:
        write()
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    assert names(tmp_path) == []


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / 'missing' / 'a.tif'
    with pytest.raises(FileNotFoundError) as caught, written_whole(path) as part:
        part.write_bytes(b'x')
    assert caught.value.filename == str(path)
