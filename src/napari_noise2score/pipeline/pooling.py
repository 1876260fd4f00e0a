"""What shares a score: all images together, or each image, channel or time point for itself."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score.errors import InputError
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.settings import Apart

Unit = tuple[tuple[int, tuple[int, ...]], ...]
"""Numbers of images, each with the numbers of its channels, that share a score."""


def units(images: Sequence[Prepared], apart: Apart) -> list[Unit]:
    """What is trained on, one score after the other.

    Parameters
    ----------
    images : sequence of Prepared
        With channels as ``apart.axes`` says.
    apart : Apart
        What gets a score of its own.
    """
    whole = [
        (number, tuple(range(len(image.channels))))
        for number, image in enumerate(images)
        if image.channels
    ]
    match apart:
        case Apart.NONE:
            return [tuple(whole)]
        case Apart.IMAGES:
            return [(one,) for one in whole]
        case _:
            return [((number, (place,)),) for number, places in whole for place in places]


def lessons_of(
    unit: Unit, images: Sequence[Prepared], lessons: Sequence[Sequence[Prepared]]
) -> list[Prepared]:
    """What a score learns from.

    Parameters
    ----------
    unit : Unit
        What the score is for.
    images : sequence of Prepared
        All images.
    lessons : sequence of sequence of Prepared
        Parts of each image to learn from; an image without any is learned from as a whole.

    Raises
    ------
    InputError
        If a part has not all the channels or time points of its image, or is constant in all of
        those that share the score.
    """
    found = []
    for number, places in unit:
        image = images[number]
        for part in lessons[number] if lessons and lessons[number] else [image]:
            here, whole = (len(one.channels) + len(one.constant) for one in (part, image))
            if here != whole:
                raise InputError(
                    f'{image.source.name}: the part to learn from has {here} of its '
                    f'{whole} channels or time points, and each is to be trained '
                    'for itself; learn from all of them'
                )
            wanted = [image.channels[place].channel.place for place in places]
            own = tuple(one for one in part.channels if one.channel.place in wanted)
            found.append(Prepared(part.source, own))
    if not any(part.channels for part in found):
        first = images[unit[0][0]]
        names = ', '.join(first.channels[place].channel.words for place in unit[0][1])
        raise InputError(
            f'{first.source.name}: the part to learn from is constant'
            f'{f" in {names}" if names else ""}; choose a part that holds noise'
        )
    return found
