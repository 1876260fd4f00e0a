"""Which images, channels and time points share a model, and which parts of them it learns from."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score.errors import InputError
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.settings import ModelPer

TrainingGroup = tuple[tuple[int, tuple[int, ...]], ...]
"""Numbers of images, each with the numbers of its channels, that share a model."""


def training_groups(images: Sequence[Prepared], model_per: ModelPer) -> list[TrainingGroup]:
    """The images and channels of each training.

    Parameters
    ----------
    images : sequence of Prepared
        With channels along ``model_per.axes``; images without noise are skipped.
    model_per : ModelPer
        Whether one model is trained, or one for each image, channel or time point.
    """
    whole = [
        (number, tuple(range(len(image.channels))))
        for number, image in enumerate(images)
        if image.channels
    ]
    match model_per:
        case ModelPer.ALL:
            return [tuple(whole)]
        case ModelPer.IMAGE:
            return [(one,) for one in whole]
        case _:
            return [((number, (place,)),) for number, places in whole for place in places]


def learned_parts(
    group: TrainingGroup, images: Sequence[Prepared], lessons: Sequence[Sequence[Prepared]]
) -> list[Prepared]:
    """The images, or parts of them, with the channels that a training learns from.

    Parameters
    ----------
    group : TrainingGroup
        Images and channels that the model is trained for.
    images : sequence of Prepared
        All images.
    lessons : sequence of sequence of Prepared
        Parts of each image to learn from; an image without any is learned from as a whole.

    Raises
    ------
    InputError
        If a part has not all the channels or time points of its image, or is constant in all of
        those that share the model.
    """
    found = []
    for number, places in group:
        image = images[number]
        for part in lessons[number] if lessons and lessons[number] else [image]:
            here, whole = (len(one.channels) + len(one.constant) for one in (part, image))
            if here != whole:
                raise InputError(
                    f'{image.source.name}: the part to train on has {here} of its {whole} '
                    'channels or time points, but one model is to be trained for each; train on '
                    'all of them'
                )
            wanted = [image.channels[place].channel.place for place in places]
            own = tuple(one for one in part.channels if one.channel.place in wanted)
            found.append(Prepared(part.source, own))
    if not any(part.channels for part in found):
        first = images[group[0][0]]
        names = ', '.join(first.channels[place].channel.words for place in group[0][1])
        raise InputError(
            f'{first.source.name}: the part to train on is '
            f'constant{f" in {names}" if names else ""}; choose a part that contains noise'
        )
    return found
