"""What is said of files that are refused."""

from typing import Any

import pytest

from napari_noise2score import InputError, read_image


def error_of(path: Any) -> str | None:
    """What is said of a file; None if it is read."""
    try:
        read_image(path)
    except InputError as error:
        return str(error)
    return None


def refused(path: Any, *more: Any) -> str:
    """The error of one line for a file that is not read."""
    with pytest.raises(InputError) as caught:
        read_image(path, *more)
    assert '\n' not in str(caught.value)
    return str(caught.value)
