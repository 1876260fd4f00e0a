"""Live previews: the visible planes, corrected repeatedly during a training."""

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
"""Size of the largest image with a preview, pixels: some seconds of work on a CPU."""

_SHOWN_EVERY = 10
"""Minimum time between two previews of an image, relative to the time of one preview."""


log = logging.getLogger(__name__)


class LivePreview:
    """Corrects the visible planes during a training, in a small part of its time.

    A plane that becomes visible is corrected immediately. The preview is repeated after
    `_SHOWN_EVERY` times the time of the last preview.

    Parameters
    ----------
    prepared : sequence of Prepared
        The images.
    settings : DenoiseSettings
        Settings of the correction.
    watched : callable
        Returns the visible part of an image.
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
        """Correct the planes that are due, of the given channels; ``model`` may be a function.

        During a training, planes that cannot be corrected are logged and ignored.
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
                log.debug('the live preview failed', exc_info=True)
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
        """Correct a plane of a channel of image ``number``, or a window of the plane."""
        from napari_noise2score.pipeline.preview import correct_plane

        settings = self._settings
        device = settings.training.device
        values = correct_plane(
            model, channel, plane, settings.correction, window=window, device=device
        )
        yield Live(number, *channel.channel.laid(plane, values, window))


def previews(
    prepared: Sequence[Prepared], preview: LivePreview, model: ScoreModel | None, stop: Stop
) -> Job:
    """Results of the initial weights of a training, for images of moderate size.

    The visible planes are first.
    """
    if model is None:
        return
    shown = []
    for live in preview.show(model):
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
        yield from preview.plane(number, channel, plane, model)
