"""The size of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.fields import check, setting
from napari_noise2score.settings.tree import to_dict

MOST_PLANES = 9
"""Maximum number of input planes of a network."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Size of the network.

    Parameters
    ----------
    channels : int
        Number of features at full resolution, 8 to 256; it doubles at each lower level. With
        ``context``: at half resolution, and as many more at each lower level.
    levels : int
        Number of resolutions, 1 to 5; each is half of the one above.
    blocks : int
        Number of residual blocks at each resolution, 1 to 8, both in the encoder and in the
        decoder.
    planes : int
        Number of adjacent input planes, from which the central one is predicted; odd, 1 to 9.
    context : bool
        Whether the network sees what the other frames or slices say, and works at half resolution:
        a `ContextNetwork` instead of a `ScoreNetwork`. It has one plane.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    channels: int = setting(
        32,
        label='Channels',
        help='Number of feature channels of the network at full resolution.',
        least=8,
        most=256,
    )
    levels: int = setting(
        3,
        label='Levels',
        help='Number of resolutions of the network, each half of the one above.',
        least=1,
        most=5,
    )
    blocks: int = setting(
        1,
        label='Blocks a level',
        help='Number of residual blocks of the network at each resolution.',
        least=1,
        most=8,
    )
    planes: int = setting(
        1,
        label='Planes seen at once',
        help='Number of neighbouring planes that the network sees at once.',
    )
    context: bool = setting(
        False,
        label='Context',
        help='Whether the network sees what the other frames or slices say.',
    )

    def __post_init__(self) -> None:
        check_planes(self.planes, 'network planes')
        check(self, 'network ')
        if self.context and self.planes != 1:
            raise InputError(
                f'a network with context has {self.planes} input planes; 1 is needed, because '
                'the context contains the others'
            )

    @property
    def size_multiple(self) -> int:
        """Height and width of an input must be multiples of this: a network with context has half
        resolution at its highest level.
        """
        lowest = self.levels if self.context else self.levels - 1
        return int(2**lowest)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; the constructor's keywords."""
        return to_dict(self)


def check_planes(count: Any, name: str) -> None:
    """Raise InputError unless ``count`` is a valid number of planes.

    ``name`` is used in the message.
    """
    if not isinstance(count, int) or not 1 <= count <= MOST_PLANES or not count % 2:
        raise InputError(
            f'{name} is {count!r}; an odd number from 1 to {MOST_PLANES} is needed: the plane '
            'itself and the same number on each side; 1 means plane by plane'
        )
