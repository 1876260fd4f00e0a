"""What is looked at, corrected again and again while a training runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.events import Job, Live, Stage, Update, View, Watched
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import WHOLE, Region

if TYPE_CHECKING:
    from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.train import Stop
    from napari_noise2score.settings import DenoiseSettings


PREVIEWED = 1 << 23
"""Largest image that is previewed, pixels: some seconds' work on a CPU."""

_SHOWN_EVERY = 10
"""Least time from one showing of an image to the next, in times that one takes."""


log = logging.getLogger(__name__)


class Screen:
    """Corrects the planes that are looked at while a training runs, in little of its time.

    At once where another plane is looked at, else after some times as long as the last one took.

    Parameters
    ----------
    prepared : sequence of Prepared
        The images.
    settings : DenoiseSettings
        How to correct.
    watched : callable
        What is looked at.
    """

    def __init__(
        self, prepared: Sequence[Prepared], settings: DenoiseSettings, watched: Watched
    ) -> None:
        self._prepared, self._settings, self._watched = prepared, settings, watched
        self._last: list[View | None] = [None] * len(prepared)
        self._due = [0.0] * len(prepared)

    def show(
        self,
        model: ScoreModel | Callable[[], ScoreModel],
        channels: Sequence[PreparedChannel] | None = None,
    ) -> Job:
        """The planes whose turn it is, by a model or by what gives one; of these channels.

        A training does not end because one of them cannot be shown while it runs.
        """
        for number, image in enumerate(self._prepared):
            view = self._watched(number)
            shown = [one for one in image.channels if channels is None or one in channels]
            if view is None or not shown:
                continue
            begin = time.perf_counter()
            if begin < self._due[number] and view == self._last[number]:
                continue
            self._last[number] = view
            now = model() if callable(model) else model
            try:
                yield from self._in_view(number, shown, view, now)
            except (InputError, OSError, MemoryError, RuntimeError):
                if not callable(model):
                    raise
                log.debug('what is looked at could not be shown live', exc_info=True)
            spent = time.perf_counter() - begin
            self._due[number] = begin + _SHOWN_EVERY * len(self._prepared) * spent

    def _in_view(
        self, number: int, channels: Sequence[PreparedChannel], view: View, model: ScoreModel
    ) -> Job:
        for channel in channels:
            plane = channel.channel.plane_at(view.place)
            if plane is not None:
                yield from self.plane(number, channel, plane, model, view.window)

    def plane(
        self,
        number: int,
        channel: PreparedChannel,
        plane: int,
        model: ScoreModel,
        window: Region = WHOLE,
    ) -> Job:
        """A plane of a channel of image ``number``, or a window of it."""
        from napari_noise2score.pipeline.preview import correct_plane

        settings = self._settings
        device = settings.training.device
        values = correct_plane(
            model, channel, plane, settings.correction, window=window, device=device
        )
        yield Live(number, *channel.channel.laid(plane, values, window))


def previews(
    prepared: Sequence[Prepared], screen: Screen, model: ScoreModel | None, stop: Stop
) -> Job:
    """What comes of the weights that the training begins with, for images of moderate size.

    What is looked at comes first.
    """
    if model is None:
        return
    shown = []
    for live in screen.show(model):
        if isinstance(live, Live):
            shown.append((live.number, live.index))
        yield live
    planes = [
        (number, channel, plane)
        for number, image in enumerate(prepared)
        if image.source.size <= PREVIEWED
        for channel in image.channels
        for plane in range(channel.shape[0])
        if (number, channel.channel.index(plane)) not in shown
    ]
    for done, (number, channel, plane) in enumerate(planes):
        if stop.is_set():
            return
        yield Update(Stage.PREVIEW, done / len(planes))
        yield from screen.plane(number, channel, plane, model)
