"""Write files that are complete or do not exist, and find out why one cannot be written."""

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
"""Size, bytes, and number of the blocks that are written to get the error of a full disk."""

_REMOVALS = 3
"""Number of attempts to remove an incomplete folder."""

_WRITTEN: ContextVar[list[Path] | None] = ContextVar('_WRITTEN', default=None)


@contextmanager
def recorded() -> Iterator[list[Path]]:
    """A list of the files that `written_whole` completes in this context."""
    written: list[Path] = []
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


@contextmanager
def written_whole(path: PathLike) -> Iterator[Path]:
    """A temporary file to write to, which is renamed to ``path`` when it is complete.

    An existing file is unchanged until then, and the new one gets its permissions. After an error
    the temporary file is removed. Contents and name are synchronised with the disk, so that a
    power loss takes neither. If ``path`` is a link, the file that it leads to is written.

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
    """A temporary folder to write into, which is renamed to ``path`` when it is complete.

    Nothing of that name may exist. After an error the temporary folder is removed.

    Raises
    ------
    OSError
        With the name ``path`` and the reason, if the folder cannot be written.
    """
    asked = Path(path)
    asked.parent.mkdir(parents=True, exist_ok=True)
    part = temporary(asked.parent)
    try:
        with _as_error_of(asked, part):
            part.mkdir()
            yield part
        give_name(part, asked)
    finally:
        for _ in range(_REMOVALS):  # writing in other threads may go on for a moment
            if part.exists():
                shutil.rmtree(part, ignore_errors=True)


def give_name(part: Path, path: Path) -> None:
    """Rename a file or folder that is complete, after its contents are synchronised with the disk.

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
                    _sync_file(file)
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, 'appeared during the work', str(path))
            part.rename(path)
        else:
            target = real(path)
            _copy_permissions(target, part)
            _sync_file(part)
            part.replace(target)
            _sync_folder(target.parent)
    note_written(path)


@contextmanager
def _as_error_of(asked: Path, part: Path) -> Iterator[None]:
    """Raise an error of the temporary file as one of the name that was asked for."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(part)):
            raise
        code = error.errno or (errno.EIO if part.is_dir() else _error_number(part))
        raise OSError(code, os.strerror(code), str(asked)) from error


@contextmanager
def moved_aside(folder: Path) -> Iterator[None]:
    """Rename a folder while a new one of its name is made; then the old one is removed.

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
    """The path itself, or what it leads to if it is a link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def temporary(folder: Path) -> Path:
    """A new hidden name in a folder; it is short, also if the final name is long."""
    return folder / f'.{secrets.token_hex(6)}.part'


def obstacle(path: Path) -> str | None:
    """Why a file cannot be written, in words; None if no reason is found.

    Nothing is written. A missing folder is no reason, since it can be made.
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
    return None if found is None else _replacement_obstacle(target, found)


def _read_only(folder: Path) -> str:
    flag = getattr(os, 'ST_RDONLY', 0)
    is_so = flag and hasattr(os, 'statvfs') and os.statvfs(folder).f_flag & flag
    return ': it is on a read-only file system' if is_so else ''


def _replacement_obstacle(target: Path, found: os.stat_result) -> str | None:
    """Why an existing file cannot be replaced by another; None if it can."""
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
    """The reason of a system error, without the name of the file."""
    if error.errno == errno.ENAMETOOLONG:
        return 'the name is too long'
    if error.errno in (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC)):
        return f'not enough disk space for it ({error.strerror})'
    if error.errno == errno.EFBIG:
        return f'is larger than files may be on that disk ({error.strerror})'
    return error.strerror or str(error)


def _copy_permissions(target: Path, part: Path) -> None:
    """Give the new file the permissions of the replaced one, and its owner where allowed."""
    if not target.exists():
        return
    before, now = target.stat(), part.stat()
    if hasattr(os, 'chown') and (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with suppress(OSError):
            os.chown(part, before.st_uid, before.st_gid)
    with suppress(OSError):
        shutil.copymode(target, part)


def _sync_file(part: Path) -> None:
    """Synchronise a file with the disk before it is renamed."""
    handle = os.open(part, os.O_RDWR | getattr(os, 'O_BINARY', 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not offered by the file system
            raise
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Synchronise a folder with the disk, so that a power loss does not take a new name.

    Only POSIX systems can do that. The file is complete also where it fails.
    """
    if not hasattr(os, 'O_DIRECTORY'):
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _error_number(part: Path) -> int:
    """Number of the error of a failed write that did not report it, as NumPy's does not."""
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
    """Write a report as strict JSON; an existing file is unchanged until the new one is complete.

    Numbers that are not finite are null.
    """
    text = json_text(record) + '\n'
    with written_whole(path) as part:
        part.write_text(text, encoding='utf-8')
