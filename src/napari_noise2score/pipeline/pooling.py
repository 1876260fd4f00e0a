"""Groups of images, channels and time points that share a model, and their training data."""

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
        Images with channels along ``model_per.axes``; those without noise are skipped.
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


def parts_to_train_on(
    group: TrainingGroup, images: Sequence[Prepared], training_parts: Sequence[Sequence[Prepared]]
) -> list[Prepared]:
    """The training data of a group: images, or parts of them, with the channels of the group.

    Parameters
    ----------
    group : TrainingGroup
        Images and channels that share the model.
    images : sequence of Prepared
        All images.
    training_parts : sequence of sequence of Prepared
        Parts of each image to train on; an image without parts is used as a whole.

    Raises
    ------
    InputError
        If a part does not have all channels or time points of its image, or if all channels of
        the group are constant in the parts.
    """
    learned = []
    for number, places in group:
        image = images[number]
        for part in (
            training_parts[number] if training_parts and training_parts[number] else [image]
        ):
            here, whole = (len(one.channels) + len(one.constant) for one in (part, image))
            if here != whole:
                raise InputError(
                    f'{image.source.name}: the part to train on has {here} of its {whole} '
                    'channels or time points, but each of them needs its own model; train on '
                    'all of them'
                )
            wanted = [image.channels[place].channel.place for place in places]
            own = tuple(one for one in part.channels if one.channel.place in wanted)
            learned.append(Prepared(part.source, own))
    if not any(part.channels for part in learned):
        first = images[group[0][0]]
        names = ', '.join(first.channels[place].channel.words for place in group[0][1])
        raise InputError(
            f'{first.source.name}: the part to train on is '
            f'constant{f" in {names}" if names else ""}; choose a part that contains noise'
        )
    return learned
