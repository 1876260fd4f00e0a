"""Checks of the planes of a result, in any order, and of the channel that they add up to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from napari_noise2score.images.blank_places import Unchanged, UnchangedPlaces
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.pipeline.prepared import CleanPlane, PreparedChannel
from napari_noise2score.pipeline.residual_check import ResidualCheck, ResidualSums


class PlaneCheck(NamedTuple):
    """What a corrected plane adds to the checks of its channel.

    ``clipped`` is the number of its clipped values; ``sums`` are of `ResidualSums`, None for a
    plane without noise.
    """

    clipped: int
    unchanged: Unchanged | None
    sums: tuple[float, ...] | None

    @classmethod
    def of(cls, plane: CleanPlane, family: NoiseFamily, clipped: int) -> PlaneCheck:
        """Of a plane before and after its correction for the noise ``family``."""
        unchanged, sums = Unchanged.of(plane.raw, plane.blank), None
        if unchanged is None or not unchanged.whole:
            sums = ResidualSums.of_plane(
                plane.noisy, plane.clean, family, plane.lacked, plane.blank, plane.excess
            )
        return cls(clipped, unchanged, sums)

    @classmethod
    def from_plain(cls, clipped: int, unchanged: Any, sums: Any) -> PlaneCheck:
        """From lists and numbers, as they are read from JSON."""
        part = None
        if unchanged is not None:
            whole, pixels, values = unchanged
            part = Unchanged(whole, pixels, tuple(values))
        return cls(clipped, part, None if sums is None else tuple(sums))


class ChannelChecks:
    """Checks of the planes of a channel; their sums do not depend on the order of the planes."""

    def __init__(self, channel: PreparedChannel) -> None:
        self._channel = channel
        self.planes: dict[int, PlaneCheck] = {}

    def _in_order(self) -> Iterator[tuple[int, PlaneCheck]]:
        return ((index, self.planes[index]) for index in sorted(self.planes))

    def check(self) -> ResidualCheck:
        """The check of the removed noise."""
        sums = ResidualSums(self._channel.correlation.neighbours)
        for _, plane in self._in_order():
            if plane.sums is not None:
                sums.add(plane.sums)
        return sums.check()

    def unchanged(self) -> UnchangedPlaces:
        """Planes and pixels that are returned unchanged."""
        places = UnchangedPlaces(self._channel.channel)
        for index, plane in self._in_order():
            places.add(index, plane.unchanged)
        return places

    def clipped(self) -> int:
        """Number of clipped values."""
        return sum(plane.clipped for plane in self.planes.values())
