"""Claims of outputs: several processes share one folder, and each output is made once.

A claim is a hidden file beside the output, ``.NAME.claim``, which only one process can create. It
states the computer, the process and the time. It is removed when the output is written, or after
an error. A claim of a process that has ended is stale and is taken over. Of a process on another
computer this cannot be seen: its claim is stale when it was not renewed for an hour.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.files import temporary
from napari_noise2score.images.ome_zarr import url_of

RENEWED = 60.0
"""Seconds between two renewals of a claim."""
STALE = 3600.0
"""Seconds without a renewal after which the claim of another computer is stale."""
_LONGEST = 240
"""Bytes of the longest name of a claim; longer ones are replaced by a checksum."""
_SAME_START = 2.0
"""Seconds by which two readings of the start time of one process may differ."""
_PATIENCE = 30.0
"""Seconds that are waited for another process to write a table."""


class TakenError(InputError):
    """An output is in the work of another process, or was made by one in the meantime."""


def _own() -> dict[str, Any]:
    """What a claim of this process states."""
    import psutil

    return {
        'host': platform.node(),
        'pid': os.getpid(),
        'started': psutil.Process().create_time(),
        'claimed': datetime.now(UTC).isoformat(timespec='seconds'),
        'token': os.urandom(8).hex(),
    }


def claim_file(output: Path) -> Path:
    """The file of the claim of an output."""
    name = f'.{output.name}.claim'
    if len(os.fsencode(name)) > _LONGEST:
        name = f'.{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:32]}.claim'
    return output.with_name(name)


def claim(output: Path) -> str:
    """Claim an output; returns the token of the claim.

    Raises
    ------
    TakenError
        If another process has claimed it.
    OSError
        With the name of the output, if the file of the claim cannot be written.
    """
    file = claim_file(output)
    while True:
        own = _own()
        try:
            _create(file, json.dumps(own))
        except OSError as error:
            # on Windows, a file that is just being removed cannot be opened
            busy = isinstance(error, PermissionError) and file.exists()
            if not busy and not isinstance(error, FileExistsError):
                raise OSError(error.errno, error.strerror, str(output)) from error
            text, age = _read(file)
            if text is None:  # released in this moment
                continue
            if not _stale(text, age):
                raise TakenError(f'{output}: {_holder_words(text)}') from None
            _clear_away(file, text)
            continue
        return str(own['token'])


def _create(file: Path, text: str) -> None:
    """Write a file that does not exist; one that cannot be completed is removed."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(handle, 'w', encoding='utf-8') as stream:
            stream.write(text)
    except OSError:
        with suppress(OSError):
            file.unlink()
        raise


def release(output: Path, token: str) -> None:
    """Remove a claim, if it is still the own one."""
    file = claim_file(output)
    text, _ = _read(file)
    if text is not None and _stated(text).get('token') == token:
        with suppress(OSError):
            file.unlink()


def _read(file: Path) -> tuple[str | None, float]:
    """What a claim states, None if there is none, and the seconds since its last renewal."""
    try:
        return file.read_text(encoding='utf-8'), time.time() - file.stat().st_mtime
    except OSError:
        return None, 0.0


def _stated(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _stale(text: str, age: float) -> bool:
    """Whether nobody works on what is claimed any more."""
    import psutil

    stated = _stated(text)
    if not stated:  # it is being written, or its process ended before that
        return age > RENEWED
    if stated.get('host') != platform.node():
        return age > STALE
    try:
        started = psutil.Process(int(stated['pid'])).create_time()
        return bool(abs(started - float(stated['started'])) > _SAME_START)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, TypeError, ValueError):
        return age > STALE


def _clear_away(file: Path, text: str) -> None:
    """Remove a stale claim, but not one that took its place in the meantime."""
    aside = temporary(file.parent)
    try:
        file.rename(aside)
    except OSError:  # another process was faster
        return
    try:
        if _read(aside)[0] != text:
            _put_back(aside, file)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _put_back(aside: Path, file: Path) -> None:
    """Give a claim its name again, unless there is another one by now."""
    try:
        os.link(aside, file)
    except FileExistsError:
        return
    except OSError:  # a disk without links
        with suppress(OSError):
            if not file.exists():
                aside.rename(file)


def _holder_words(text: str) -> str:
    stated = _stated(text)
    if not stated:
        return 'another process is about to work on it'
    return (
        f'process {stated.get("pid")} on {stated.get("host")} works on it, since '
        f'{stated.get("claimed")}'
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from what they would do under the same lock; they wait for it.

    Raises
    ------
    TakenError
        If another process keeps the lock for longer than half a minute.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            token = claim(path)
            break
        except TakenError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        release(path, token)


@dataclass(slots=True)
class Claims:
    """The claims of this process.

    Outputs at a URL are not claimed: no file can be created there by one process only.

    Attributes
    ----------
    interval : float
        Seconds between two renewals.
    """

    interval: float = RENEWED
    _held: dict[Path, str] = field(default_factory=dict)
    _renewed: float = field(default_factory=time.monotonic)

    def take(self, output: Path) -> None:
        """Claim an output, as `claim`."""
        if url_of(output) is None:
            self._held[output] = claim(output)

    def give_back(self, output: Path) -> None:
        """Release a claim, if there is one."""
        if output in self._held:
            release(output, self._held.pop(output))

    def renew(self) -> None:
        """Show other computers that this process is still at work; seldom does anything."""
        now = time.monotonic()
        if now - self._renewed < self.interval:
            return
        self._renewed = now
        for output in self._held:
            with suppress(OSError):
                os.utime(claim_file(output))

    def give_all_back(self) -> None:
        """Release all claims."""
        for output in list(self._held):
            self.give_back(output)
