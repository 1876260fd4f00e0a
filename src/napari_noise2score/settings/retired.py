"""Settings of earlier versions, which model files and reports may still state."""

from __future__ import annotations

from typing import Any

from napari_noise2score.errors import InputError


class RetiredError(InputError):
    """Something was made with a setting that this version does not have any more."""


def without_slices(values: Any, name: str) -> Any:
    """Plain values of settings without the number of slices that a network saw at once.

    Parameters
    ----------
    values : object
        What a file states; anything but a dictionary is returned as it is.
    name : str
        Key of the number.

    Raises
    ------
    RetiredError
        If it is not 1: this version has no such networks.
    """
    if not isinstance(values, dict) or name not in values:
        return values
    if values[name] != 1:
        raise RetiredError(
            f'its network was trained to see {values[name]} slices at once, which this version '
            'does not do; train again with context depth (--context depth)'
        )
    return {key: value for key, value in values.items() if key != name}
