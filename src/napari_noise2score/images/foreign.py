"""Files that are not what their names say, and those that are not read: what to say of them."""

from __future__ import annotations

from pathlib import Path

from napari_noise2score.errors import InputError

NEEDED = 'a TIFF, OME-Zarr, PNG, NPY or microscope image (CZI, ND2, LIF, ...) is needed'
"""What is accepted as an image, for messages."""
_NO_JPEG = (
    'JPEG is not read: its compression changes the noise; use the original file (TIFF, OME-Zarr, '
    'PNG, NPY, or a microscope format such as CZI, ND2, LIF)'
)
_JPEG = 'JPEG'
_JPEG_SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.jp2', '.jpx')
_SIGNATURES = (
    (b'\xff\xd8\xff', _JPEG),
    (b'\0\0\0\x0cjP  \r\n\x87\n', _JPEG),
    (b'\x89PNG\r\n\x1a\n', 'PNG'),
    (b'\x93NUMPY', 'NPY'),
    (b'II*\0', 'TIFF'),
    (b'MM\0*', 'TIFF'),
    (b'II+\0', 'TIFF'),
    (b'MM\0+', 'TIFF'),
    (b'GIF8', 'GIF'),
    (b'%PDF', 'PDF'),
    (b'\x89HDF\r\n', 'HDF5'),
    (b'PK\x03\x04', 'ZIP'),
    (b'\x1f\x8b', 'gzip'),
)
"""How files of usual formats begin; JPEG stands for JPEG 2000 too."""
_READ_AS = {'TIFF': '.tif', 'PNG': '.png', 'NPY': '.npy'}
"""Endings by which a file is read that has the wrong one."""
_ONLY_READ = ('.png', '.npy', '.czi', '.nd2', '.lif', '.dv', '.ims', '.oib', '.oif', '.vsi')
"""Usual endings of formats that are read and not written."""
_LOOKED_AT = 512
"""Bytes of the beginning that tell text from other content."""


def not_of_format(path: Path, wanted: str) -> InputError:
    """The error of a file that is not of the format that its name stands for.

    Parameters
    ----------
    path : Path
        The file, which can be read.
    wanted : str
        The format as which it was to be read: ``'TIFF'``, ``'PNG'`` or ``'NPY'``.
    """
    try:
        with path.open('rb') as file:
            begin = file.read(_LOOKED_AT)
    except OSError as error:
        return InputError(f'{path}: {error.strerror}; {NEEDED}')
    found = next((kind for start, kind in _SIGNATURES if begin.startswith(start)), '')
    if found == _JPEG or (not found and path.suffix.lower() in _JPEG_SUFFIXES):
        return InputError(f'{path}: {_NO_JPEG}')
    suffix = _READ_AS.get(found)
    if suffix is not None and found != wanted:
        return InputError(
            f'{path}: it is not {_a(wanted)} file, but {_a(found)} file: give it a name that ends '
            f'in {suffix}'
        )
    return InputError(f'{path}: it is not {_a(wanted)} file{_words_of(begin, found)}; {NEEDED}')


def not_written(path: Path) -> str:
    """Why an image is not written by this name, as the beginning of a message; may be empty."""
    suffix = path.suffix.lower()
    if suffix in _JPEG_SUFFIXES:
        return 'JPEG is not written; '
    return f'{suffix[1:].upper()} is not written, only read; ' if suffix in _ONLY_READ else ''


def _a(kind: str) -> str:
    return f'an {kind}' if kind in ('NPY', 'HDF5') else f'a {kind}'


def _words_of(begin: bytes, found: str) -> str:
    """What a file is instead, as far as its beginning tells."""
    if not begin:
        return ': it is empty'
    if found:
        return f', but {_a(found)} file'
    try:
        text = begin.decode('utf-8', 'ignore' if len(begin) == _LOOKED_AT else 'strict')
    except UnicodeDecodeError:
        return ''
    return ', but text' if all(c.isprintable() or c.isspace() for c in text) else ''
