"""CZI: which of the two libraries of its reader opens a file, and the order of colours.

With bioio-czi 3.0 and aicspylibczi 4.0, scenes of different sizes end the process, scenes that the
metadata do not describe are left out, and colours are read as three times the first one. The other
library, pylibCZIrw, reads all of these, but no file whose metadata do not describe its scenes.
"""

from __future__ import annotations

from typing import Any

from napari_noise2score.errors import InputError

PACKAGE = 'bioio_czi'
"""Where the reader is from."""


def opened(reader_class: Any, path: str) -> Any:
    """A reader of a file: with pylibCZIrw, else with aicspylibczi where that is correct.

    Raises
    ------
    InputError
        If neither library reads it correctly.
    """
    try:
        reader = reader_class(path, use_aicspylibczi=False)
        if reader.scenes:
            return reader
    except TypeError:  # a later version has only one library
        return reader_class(path)
    except Exception:  # noqa: BLE001 (each library has exceptions of its own)
        pass
    reader = reader_class(path, chunk_dims=['Y', 'X'])
    count = reader.metadata.findtext('.//SizeS') or '1'
    if count != '1' or 'S' in reader.dims.order:
        what = 'colours' if count == '1' else f'{count} scenes'
        raise InputError(f'{path}: has {what}, but no description of them; it cannot be read')
    return reader


def with_rgb(array: Any, letters: list[str]) -> Any:
    """The values with the samples in the order red, green, blue; a CZI has the reverse."""
    return array[..., ::-1] if letters[-1] == 'S' and array.shape[-1] == 3 else array
