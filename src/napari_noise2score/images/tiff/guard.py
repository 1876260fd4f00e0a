"""Errors of unreadable files: one line of text for all exceptions of the libraries."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import ParseError

from tifffile import TiffFileError

from napari_noise2score.errors import InputError, one_line
from napari_noise2score.images.foreign import not_of_format

_NO_TIFF = 'not a TIFF file'
"""How tifffile says that a file does not begin as a TIFF."""

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (MemoryError, 'it needs more memory than is available'),
    (ParseError, 'its description is damaged'),
    (struct.error, 'it is cut short or damaged'),
    (AssertionError, 'it is damaged'),
)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Convert every exception into an `InputError` with the name of the file."""
    try:
        yield
    except InputError:
        raise
    # With a damaged file any statement of a parser may fail: after changes of a few bytes,
    # tifffile, its codecs and the XML parser raised sixteen classes without a common base below
    # Exception.
    except Exception as error:
        if isinstance(error, TiffFileError) and _NO_TIFF in str(error):
            raise not_of_format(path, 'TIFF') from error
        raise InputError(f'{path}: not a readable TIFF ({reason(error)})') from error


def reason(error: Exception) -> str:
    """The reason why a file cannot be read, in one line."""
    text = one_line(error)
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
def captured_log() -> Iterator[list[str]]:
    """Collect the warnings and errors that tifffile logs, without printing them."""
    logger, gathering = logging.getLogger('tifffile'), _Gathering()
    passed_on = logger.propagate
    logger.addHandler(gathering)
    logger.propagate = False
    try:
        yield gathering.texts
    finally:
        logger.removeHandler(gathering)
        logger.propagate = passed_on
