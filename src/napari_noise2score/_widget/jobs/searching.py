"""Find the layers of an interrupted run."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score._widget.jobs import events
from napari_noise2score._widget.jobs.events import Job
from napari_noise2score.images.source import ImageSource


def search_job(
    candidates: Sequence[Sequence[ImageSource | None]], checksums: Sequence[int]
) -> Job:
    """Find images by their checksums.

    Parameters
    ----------
    candidates : sequence of sequence of ImageSource or None
        For each image that is looked for what each of the layers would be; None where it cannot be
        that one.
    checksums : sequence of int
        CRC-32 of the images that are looked for.

    Yields
    ------
    Found
        The numbers of the layers, if there is a layer for each image.
    """
    chosen: list[int] = []
    for found, checksum in zip(candidates, checksums, strict=True):
        for number, source in enumerate(found):
            if source is not None and number not in chosen and source.checksum() == checksum:
                chosen.append(number)
                break
        else:
            return
    yield events.Found(tuple(chosen))
