"""A file that cannot be read is an error of one line, whatever its reader raises."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_noise2score.errors import InputError, one_line


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Convert every exception into an `InputError` with the name of the file.

    Warnings and log messages of readers are not shown: most are about their own code.
    """
    before = logging.root.manager.disable
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            logging.disable(logging.CRITICAL)
            yield
    except (InputError, MemoryError):
        raise
    # Each reader has exceptions of its own, and a damaged file may end any statement of it.
    except Exception as error:
        kind = path.suffix.lstrip('.').upper()
        raise InputError(f'{path}: not a readable {kind} file ({reason(error)})') from error
    finally:
        logging.disable(before)


def reason(error: BaseException) -> str:
    """What is wrong, in one line."""
    text = one_line(error)
    return f'{type(error).__name__}: {text}' if text else type(error).__name__
