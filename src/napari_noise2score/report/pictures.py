"""Pictures of a report: noisy, clean and what was removed, as PNG inside of the page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.arrays import central
from napari_noise2score.report.findings import ChannelFindings
from napari_noise2score.report.places import SIDE
from napari_noise2score.report.sample import AS_IT_IS, Pair, numbers_of, pair_of, window_of

Array = NDArray[np.float64]

_WHOLE, _DETAIL = 512, 96
"""Height and width of the large pictures and of those of a detail, pixels."""
_REMOVED = 4.0
"""Noise standard deviations that are black and white in the picture of what was removed."""


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures beside each other.

    Attributes
    ----------
    title : str
        What they show.
    pictures : list of (caption, URI)
        PNG as data URIs.
    enlarged : bool
        Whether pixels are shown as squares.
    ratio : float
        Width relative to the height.
    """

    title: str
    pictures: list[tuple[str, str]]
    enlarged: bool
    ratio: float


def rows_of(channel: ChannelFindings) -> list[Row]:
    """The rows of pictures of a channel."""
    model = channel.prepared
    if model is None:
        return []
    clean = channel.clean if channel.clean is not None else channel.noisy
    conversion = AS_IT_IS if channel.result is None else channel.result.units.conversion

    def pair_at(number: int) -> Pair:
        return pair_of(model, clean, number, conversion)

    numbers, window = numbers_of(channel.noisy), window_of(channel.noisy)
    middle = pair_at(numbers[len(numbers) // 2])
    low, high = _limits(middle)
    rows = [_row(channel, middle, 'Plane', _centre(middle), (low, high), enlarged=False)]
    rows.append(_row(channel, middle, 'Detail', _detail(middle), (low, high), enlarged=True))
    if channel.result is not None:
        for place in channel.result.places:
            pair = pair_at(place.plane)
            where = _around(
                pair, place.row - window.rows.start, place.column - window.columns.start
            )
            title = (
                f'Differs most, {place.power**0.5:.1f} times the noise: row {place.row}, column '
                f'{place.column},'
            )
            rows.append(_row(channel, pair, title, where, _limits(pair, where), enlarged=True))
    return rows


def _row(
    channel: ChannelFindings,
    pair: Pair,
    title: str,
    where: tuple[slice, slice],
    limits: tuple[float, float],
    *,
    enlarged: bool,
) -> Row:
    return Row(
        f'{title} plane {pair.number}' if title != 'Plane' else f'Plane {pair.number}',
        list(_pictures(channel, pair, where, limits)),
        enlarged,
        (where[1].stop - where[1].start) / (where[0].stop - where[0].start),
    )


def _pictures(
    channel: ChannelFindings,
    pair: Pair,
    where: tuple[slice, slice],
    limits: tuple[float, float],
) -> Iterator[tuple[str, str]]:
    yield 'noisy', _png(pair.noisy[where], *limits)
    if channel.result is None:
        return
    yield 'clean', _png(pair.clean[where], *limits)
    yield 'removed, in noise standard deviations', _png(pair.residual[where], -_REMOVED, _REMOVED)


def _limits(pair: Pair, where: tuple[slice, slice] | None = None) -> tuple[float, float]:
    values = pair.noisy if where is None else pair.noisy[where]
    low, high = np.nanpercentile(values, [0.5, 99.7])
    return float(low), float(max(high, low + 1e-9))


def _png(values: Array, low: float, high: float) -> str:
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    data = imagecodecs.png_encode(np.round(255 * scaled).astype(np.uint8))
    return 'data:image/png;base64,' + base64.b64encode(data).decode()


def _centre(pair: Pair) -> tuple[slice, slice]:
    rows, columns = (central(n, min(n, _WHOLE)) for n in pair.noisy.shape)
    return rows, columns


def _detail(pair: Pair) -> tuple[slice, slice]:
    """The window with the most contrast in the central part."""
    rows, columns = _centre(pair)
    height, width = (min(part.stop - part.start, _DETAIL) for part in (rows, columns))
    best, found = (rows.start, columns.start), -1.0
    for top in range(rows.start, rows.stop - height + 1, max(1, height // 2)):
        for left in range(columns.start, columns.stop - width + 1, max(1, width // 2)):
            window = pair.clean[top : top + height, left : left + width]
            if np.isfinite(window).all() and float(window.std()) > found:
                best, found = (top, left), float(window.std())
    return slice(best[0], best[0] + height), slice(best[1], best[1] + width)


def _around(pair: Pair, row: int, column: int) -> tuple[slice, slice]:
    parts = []
    for at, length in zip((row, column), pair.noisy.shape, strict=True):
        size = min(_DETAIL, length)
        start = min(max(at + SIDE // 2 - size // 2, 0), length - size)
        parts.append(slice(start, start + size))
    return parts[0], parts[1]
