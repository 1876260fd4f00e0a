"""Clean levels of a channel, with what the other frames or slices say where there are such."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.storage import allocate
from napari_noise2score.pipeline.blending import WithContext
from napari_noise2score.pipeline.neighbours import Neighbours
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.progress import relay
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.settings import VIEWS, Context

_DRAWS = 4
"""Minimum number of realisations of equalised noise that are averaged in a result."""
_BLENDED = 16
"""Pixels to each side on which the blend of a pixel depends, at least."""


def with_neighbours(prepared: Prepared, context: Context) -> Prepared:
    """An image whose channels have the neighbours that a ``context`` requests, and no others.

    For parameters and errors see `Context.axis_of`.
    """
    axis = context.axis_of(prepared.source.axes, prepared.source.shape)
    channels = (
        replace(channel, neighbours=Neighbours.of_channel(channel, axis))
        if axis is not None and len(channel.series(0, axis)) > 1
        else channel.alone
        for channel in prepared.channels
    )
    return replace(prepared, channels=tuple(channels))


def clean_levels(
    model: ScoreModel,
    channel: PreparedChannel,
    *,
    device: str = 'auto',
    orientations: int = VIEWS,
    sigma_a: float = 0.0,
    only: range | None = None,
    window: Window | None = None,
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """Clean level of every plane of a channel, or of some, from `predict_clean`.

    With a ``window``, only its rows and columns are predicted.

    If its noise was equalised, each view uses another realisation of the plane itself, and there
    are at least four views: the result is the mean over the possible values of its noisy pixels.
    """
    if channel.even is None:
        return (
            yield from predict_clean(
                model,
                channel,
                device=device,
                orientations=orientations,
                sigma_a=sigma_a,
                only=only,
                window=window,
            )
        )
    draws, total = max(orientations, _DRAWS), None
    for number in range(draws):
        equal = replace(channel, even=channel.even.drawn(number))
        steps = predict_clean(
            model,
            equal,
            device=device,
            orientations=1,
            first_view=number,
            sigma_a=sigma_a,
            only=only,
            window=window,
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, draws * tile.total)

        level = yield from relay(steps, of_all)
        level /= draws
        if total is None:
            total = level
        else:
            total += level
    assert total is not None  # there is a draw
    return total


def levels_of(
    model: ScoreModel,
    channel: PreparedChannel,
    beside: WithContext | None,
    *,
    only: range | None = None,
    window: Window | None = None,
    **options: Any,
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """Clean level of every plane of a channel, or of some, (N, Y, X).

    Parameters
    ----------
    model : ScoreModel
        The model, which is applied without context.
    channel : PreparedChannel
        The channel.
    beside : WithContext or None
        What is blended in.
    only, window, **options
        As of `clean_levels`.
    """
    alone = channel.alone
    if beside is None or not beside.used or channel.neighbours is None:
        steps = clean_levels(model, alone, only=only, window=window, **options)
        return (yield from steps)
    only = range(channel.shape[0]) if only is None else only
    whole = Window.whole(channel.shape)
    wanted = whole if window is None else window
    wide = wanted.wider(_BLENDED, channel.shape)
    part, window = (channel, None) if wide == whole else (channel.part(wide), wide)
    result = allocate((len(only), *wanted.shape), np.float32)
    for place, index in enumerate(only):
        both = []
        for number, (each, seen) in enumerate(((model, alone), (beside.model, channel))):

            def of_all(tile: PredictProgress, done: float = place + number / 2) -> PredictProgress:
                total = 2 * tile.total * len(only)
                return PredictProgress(
                    round(total * (done + tile.fraction / 2) / len(only)), total
                )

            steps = clean_levels(
                each, seen, only=range(index, index + 1), window=window, **options
            )
            both.append((yield from relay(steps, of_all))[0])
        context = part.context(index)
        combined = beside.blend.combined(part.plane(index), context, *both)
        result[place] = combined[wanted.within(wide)]
        channel.neighbours.forget_context()
    return result
