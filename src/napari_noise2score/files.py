"""Files that appear whole or not at all, and what stands in the way of one."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from napari_noise2score.plain import json_text

PathLike = str | os.PathLike[str]

_MOUNTS = Path('/proc/self/mountinfo')
_BLOCK, _BLOCKS = 1 << 16, 16
"""What is written to learn why no more could be, bytes and how often."""

_REMOVALS = 3
"""How often the removal of an incomplete folder is tried."""

_WRITTEN: ContextVar[list[Path] | None] = ContextVar('_WRITTEN', default=None)


@contextmanager
def recorded() -> Iterator[list[Path]]:
    """A list that `written_whole` adds to, file by file, as they are complete."""
    written: list[Path] = []
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


@contextmanager
def written_whole(path: PathLike) -> Iterator[Path]:
    """A place to write to, which takes the name ``path`` when all went well.

    An existing file stays as it is until then, and hands on its rights; after an error nothing is
    left behind. Contents and name are on the disk at the end, so that a power loss takes neither.
    A link stays a link: what it leads to is written.

    Raises
    ------
    OSError
        With the name ``path`` and the reason, if the file cannot be written.
    """
    asked = Path(path)
    words = obstacle(asked)
    if words is not None:
        raise PermissionError(errno.EACCES, words, str(asked))
    target = real(asked)
    part = temporary(target.parent)
    try:
        with _as_error_of(asked, part):
            yield part
        give_name(part, asked)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: PathLike) -> Iterator[Path]:
    """A folder to write into, which takes the name ``path`` when all went well.

    Nothing of that name may exist. After an error nothing is left behind.

    Raises
    ------
    OSError
        With the name ``path`` and the reason, if the folder cannot be written.
    """
    asked = Path(path)
    asked.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(asked.parent)
    part.mkdir()
    try:
        with _as_error_of(asked, part):
            yield part
        give_name(part, asked)
    finally:
        for _ in range(_REMOVALS):  # writing in other threads may go on for a moment
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)


def give_name(part: Path, path: Path) -> None:
    """Give a file or folder that is complete its name; its contents are on the disk before that.

    Raises
    ------
    OSError
        With the name ``path`` and the reason, if that is not possible; for a folder also if
        something of that name exists.
    """
    with _as_error_of(path, part):
        if part.is_dir():
            for file in part.rglob('*'):
                if file.is_file():
                    _to_disk(file)
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, 'appeared during the work', str(path))
            part.rename(path)
        else:
            target = real(path)
            _hand_on_rights(target, part)
            _to_disk(part)
            part.replace(target)
            _name_to_disk(target.parent)
    note_written(path)


@contextmanager
def _as_error_of(asked: Path, part: Path) -> Iterator[None]:
    """An error of the part is one of the name that was asked for."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(part)):
            raise
        code = error.errno or (errno.EIO if part.is_dir() else _why(part))
        raise OSError(code, os.strerror(code), str(asked)) from error


@contextmanager
def moved_aside(folder: Path) -> Iterator[None]:
    """Give the name of a folder free for a new one; the old one is removed when that is there.

    If there is no new one at the end, the old one gets its name again.
    """
    aside = temporary(folder.parent)
    folder.rename(aside)
    try:
        yield
    finally:
        if os.path.lexists(folder):
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(folder)


def note_written(path: Path) -> None:
    """Add a file or folder that is complete to the list of `recorded`."""
    written = _WRITTEN.get()
    if written is not None:
        written.append(path)


def real(path: Path) -> Path:
    """The file that a path stands for: where it is a link, what that leads to."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def temporary(folder: Path) -> Path:
    """A new name in a folder, hidden and short whatever the file is to be called."""
    return folder / f'.{secrets.token_hex(6)}.part'


def obstacle(path: Path) -> str | None:
    """What is known to keep a file from being written, in words; None if nothing is.

    Looks only. Folders that are missing are no obstacle here.
    """
    found: os.stat_result | None
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError as error:
        return os_words(error)
    except ValueError:
        return 'no file can have this name'
    if found is None and path.is_symlink() and not real(path).parent.is_dir():
        return f'is a link to {real(path)}, and there is no such folder'
    if found is not None and stat.S_ISDIR(found.st_mode):
        return 'is a folder; a file name is needed'
    if found is not None and not stat.S_ISREG(found.st_mode):
        return 'is not a regular file but a device, a pipe or a socket; another name is needed'
    target = real(path)
    if found is not None and not os.access(target, os.W_OK):
        return 'exists, but writing to it is not allowed'
    folder = target.parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        return f'{folder} is not a folder'
    if not os.access(folder, os.W_OK | os.X_OK):
        return f'writing to the folder {folder} is not allowed{_read_only(folder)}'
    return None if found is None else _bound(target, found)


def _read_only(folder: Path) -> str:
    flag = getattr(os, 'ST_RDONLY', 0)
    is_so = flag and hasattr(os, 'statvfs') and os.statvfs(folder).f_flag & flag
    return ': it is on a read-only file system' if is_so else ''


def _bound(target: Path, found: os.stat_result) -> str | None:
    """What keeps an existing file from giving its name to another."""
    folder = target.parent.stat()
    user = os.geteuid() if hasattr(os, 'geteuid') else 0
    if folder.st_mode & stat.S_ISVTX and user not in (0, found.st_uid, folder.st_uid):
        return 'belongs to another user, in a folder where only they may replace it'
    if _MOUNTS.exists():
        mounts = _MOUNTS.read_text(errors='surrogateescape').splitlines()
        name = os.path.realpath(target).replace(' ', r'\040')
        if any(line.split(' ')[4] == name for line in mounts):
            return 'is a mount of its own, which cannot be replaced; another name is needed'
    return None


def os_words(error: OSError) -> str:
    """Why the system could not do something, without the name of a file."""
    if error.errno == errno.ENAMETOOLONG:
        return 'the name is too long'
    if error.errno in (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC)):
        return f'not enough disk space for it ({error.strerror})'
    if error.errno == errno.EFBIG:
        return f'is larger than files may be on that disk ({error.strerror})'
    return error.strerror or str(error)


def _hand_on_rights(target: Path, part: Path) -> None:
    """The rights of the file that is replaced; its owner too, where that is allowed."""
    if not target.exists():
        return
    before, now = target.stat(), part.stat()
    if hasattr(os, 'chown') and (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with suppress(OSError):
            os.chown(part, before.st_uid, before.st_gid)
    with suppress(OSError):
        shutil.copymode(target, part)


def _to_disk(part: Path) -> None:
    """Have the file on the disk before it takes its name: a name without contents is a loss."""
    handle = os.open(part, os.O_RDWR | getattr(os, 'O_BINARY', 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


def _name_to_disk(folder: Path) -> None:
    """Have a new name on the disk as well: after a power loss a folder may still have the old one.

    Only POSIX systems can do that. Where it fails the file is whole all the same.
    """
    if not hasattr(os, 'O_DIRECTORY'):
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _why(part: Path) -> int:
    """The number of the error that a writing met which did not say so, as NumPy's does not."""
    try:
        handle = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, 'O_BINARY', 0))
        try:
            for _ in range(_BLOCKS):
                os.write(handle, bytes(_BLOCK))
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        return error.errno or errno.EIO
    return errno.EIO


def write_json(path: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Write a report as strict JSON; an existing file stays whole until the new one is complete.

    Numbers that are not finite are null.
    """
    text = json_text(record) + '\n'
    with written_whole(path) as part:
        part.write_text(text, encoding='utf-8')
