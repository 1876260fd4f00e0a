"""Words for the terminal, which cost nothing but themselves where they cannot be said.

A terminal may lack a character, a reader may have gone, the disk that the words go to may be full:
none of this ends the work.
"""

from __future__ import annotations

import codecs
import errno
import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TextIO

PROGRAM = 'napari-noise2score'

_NOBODY = {errno.EPIPE, errno.EINVAL, errno.EIO, errno.EBADF}
"""How systems say that nobody reads any more."""

_PLAIN = {
    '\N{PLUS-MINUS SIGN}': '+-',
    '\N{MULTIPLICATION SIGN}': 'x',
    '\N{MIDDLE DOT}': '.',
    '\N{EN DASH}': '-',
    '\N{EM DASH}': '-',
    '\N{MINUS SIGN}': '-',
    '\N{HORIZONTAL ELLIPSIS}': '...',
    '\N{LEFT SINGLE QUOTATION MARK}': "'",
    '\N{RIGHT SINGLE QUOTATION MARK}': "'",
    '\N{LEFT DOUBLE QUOTATION MARK}': '"',
    '\N{RIGHT DOUBLE QUOTATION MARK}': '"',
    '\N{RIGHTWARDS ARROW}': '->',
    '\N{ALMOST EQUAL TO}': '~',
    '\N{MICRO SIGN}': 'u',
    '\N{GREEK SMALL LETTER MU}': 'u',
    '\N{GREEK SMALL LETTER SIGMA}': 'sigma',
}

_lost: list[OSError] = []


def open_console() -> None:
    """Make both streams such that no character is too much for them, and see that they are there.

    Numbers 0 to 2 are taken where they are closed, or the next file that is opened would get the
    number of the terminal, and what C libraries print would be written into it.
    """
    _lost.clear()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ('stdout', 'stderr'):
        if getattr(sys, name) is None:  # closed, or a program without a console
            setattr(sys, name, open(os.devnull, 'w', encoding='utf-8'))  # noqa: PTH123, SIM115
        stream = getattr(sys, name)
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors=_PLAINLY)


def say(text: str) -> None:
    """Print on standard output."""
    try:
        _print(text, sys.stdout)
    except OSError as error:
        give_up(error)


def give_up(error: OSError) -> None:
    """Write no more to standard output, which has failed with this error."""
    if error.errno not in _NOBODY:
        _lost.append(error)
    _to_nowhere(sys.stdout)


def note(text: str) -> None:
    """Print one line on standard error, with the name of the program."""
    line = ' '.join(text.split())
    try:
        _print(f'{PROGRAM}: {line}', sys.stderr)
    except OSError:
        _to_nowhere(sys.stderr)


@contextmanager
def warnings_noted() -> Iterator[None]:
    """Print warnings that the package logs as any other note."""
    handler = _Notes(logging.WARNING)
    logger = logging.getLogger('napari_noise2score')
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Notes(logging.Handler):
    """Prints what is logged as a note."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def close_console(status: int) -> int:
    """Say what could not be said; the exit status, which is not 0 if words were lost."""
    try:
        sys.stdout.flush()
    except OSError as error:
        give_up(error)
    if not _lost:
        return status
    note(f'standard output: {_lost[0].strerror}; the output is incomplete')
    return status or 1


def _print(text: str, stream: TextIO) -> None:
    """Print above the bars that are on the terminal, if there are any."""
    bars = sys.modules.get('tqdm')
    with nullcontext() if bars is None else bars.tqdm.external_write_mode(file=stream):
        print(text, file=stream, flush=True)


def _to_nowhere(stream: TextIO) -> None:
    """What is left in a stream would fail again when the program ends."""
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):  # no stream of the system
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What can be printed everywhere instead of characters that cannot."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = []
    for character in error.object[error.start : error.end]:
        bare = unicodedata.normalize('NFKD', character).encode('ascii', 'ignore').decode()
        found.append(_PLAIN.get(character) or bare or '?')
    return ''.join(found), error.end


_PLAINLY = 'napari-noise2score'
codecs.register_error(_PLAINLY, _plainly)
