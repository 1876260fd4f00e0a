"""A file that cannot be read is an error of one line, whatever the libraries below raise."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

from napari_noise2score.errors import InputError

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (MemoryError, 'it needs more memory than is available'),
    (ParseError, 'its description is damaged'),
    (struct.error, 'it is cut short or damaged'),
    (AssertionError, 'it is damaged'),
)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever is raised within becomes an `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    # A damaged file drives a parser into any statement that can fail: with a few bytes changed,
    # tifffile, its codecs and the XML parser were seen to raise sixteen classes without a common
    # one below Exception.
    except Exception as error:
        raise InputError(f'{path}: not a readable TIFF ({reason(error)})') from error


def reason(error: Exception) -> str:
    """What is wrong with a file, in one line."""
    text = ' '.join(str(error).split())
    if "requires the 'imagecodecs' package" in text:
        codec = text.partition(' requires')[0].strip('<>')
        return f'{codec} needs a package that is not installed: pip install imagecodecs'
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    if words is None:
        words = '' if isinstance(error, (OSError, ValueError)) and text else 'it is damaged'
    detail = text or type(error).__name__
    return f'{words}: {detail}' if words else detail


class _Gathering(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """What tifffile logs within: warnings and errors, which are not printed."""
    logger, gathering = logging.getLogger('tifffile'), _Gathering()
    passed_on = logger.propagate
    logger.addHandler(gathering)
    logger.propagate = False
    try:
        yield gathering.texts
    finally:
        logger.removeHandler(gathering)
        logger.propagate = passed_on
