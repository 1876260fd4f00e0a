"""The eight rotations and reflections of a square."""

from __future__ import annotations

from torch import Tensor

ORIENTATIONS = 8


def turned(image: Tensor, orientation: int) -> Tensor:
    """(..., Y, X) rotated by ``orientation % 4`` quarter turns, and mirrored from 4 on."""
    image = image.rot90(orientation % 4, (-2, -1))
    return image.flip(-1) if orientation >= 4 else image


def turned_back(image: Tensor, orientation: int) -> Tensor:
    """What undoes `turned`."""
    image = image.flip(-1) if orientation >= 4 else image
    return image.rot90(-(orientation % 4), (-2, -1))
