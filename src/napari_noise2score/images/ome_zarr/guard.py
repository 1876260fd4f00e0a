"""An OME-Zarr that cannot be read is an error of one line, whatever the libraries below raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_noise2score.errors import InputError, one_line
from napari_noise2score.images.ome_zarr.location import Location


@contextmanager
def readable(location: Location, part: str = '') -> Iterator[None]:
    """Whatever is raised within becomes an `InputError` that names the location.

    Parameters
    ----------
    location : Location
        The OME-Zarr.
    part : str
        The array or group of it that is read, for the message.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:  # also of a chunk whose damaged header states an immense size
        raise InputError(
            f'{location}{_part_words(part)}: needs more memory than is available, or is damaged'
        ) from error
    # Damaged metadata, a chunk that no codec can decode and a server that does not answer raise
    # classes of zarr, numcodecs, fsspec, botocore and aiohttp, which share only Exception.
    except Exception as error:
        raise InputError(
            f'{location}{_part_words(part)}: cannot be read; it is damaged, or out of reach '
            f'({reason(error)})'
        ) from error


def _part_words(part: str) -> str:
    return f', array {part!r}' if part else ''


def reason(error: BaseException) -> str:
    """What is wrong, in one line."""
    text = one_line(error)
    kind = type(error).__name__
    if kind == 'NoCredentialsError':
        text += '; for a public bucket, set the environment variable FSSPEC_S3_ANON=true'
    return f'{kind}: {text}' if text else kind
