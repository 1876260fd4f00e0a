"""The size of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_noise2score.fields import check, setting
from napari_noise2score.settings.retired import without_slices
from napari_noise2score.settings.tree import from_dict, to_dict


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
    context : bool
        Whether the network sees what the other frames or slices say, and works at half resolution:
        a `ContextNetwork` instead of a `ScoreNetwork`.

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
    context: bool = setting(
        False,
        label='Context',
        help='Whether the network sees what the other frames or slices say.',
    )

    def __post_init__(self) -> None:
        check(self, 'network ')

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NetworkSettings:
        """Size from the result of `to_dict`, also of earlier versions.

        Raises
        ------
        InputError
            If there is no such field, a value is not accepted, or the network saw several slices
            at once.
        """
        return from_dict(cls, without_slices(values, 'planes'))
