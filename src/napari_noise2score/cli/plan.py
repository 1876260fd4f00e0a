"""What a call would do: its images, sizes, memory and disk space, and about how long it takes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.console import say
from napari_noise2score.cli.expected_time import ExpectedTime
from napari_noise2score.cli.progress import duration
from napari_noise2score.images.ome_zarr.location import named, url_of
from napari_noise2score.images.space import existing
from napari_noise2score.memory import available, in_words
from napari_noise2score.settings import DenoiseSettings, TrainSettings

if TYPE_CHECKING:
    from napari_noise2score.cli.batch import Batch
    from napari_noise2score.cli.images import Images, Opened
    from napari_noise2score.cli.memory_limit import MemoryLimit
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.score.model import ScoreModel


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How images would be denoised.

    Attributes
    ----------
    settings : DenoiseSettings
        All settings.
    model : ScoreModel or None
        The model that is applied; None if models are trained.
    sizes : sequence of (Path, int)
        Outputs, and the bytes of their values.
    several_models : bool
        Whether each image gets a model of its own.
    limit : MemoryLimit
        The memory that may be needed.
    """

    settings: DenoiseSettings
    model: ScoreModel | None
    sizes: Sequence[tuple[Path, int]]
    several_models: bool
    limit: MemoryLimit

    def training(self, count: int) -> tuple[float, str]:
        """Seconds of all trainings at most, and how they are known."""
        training = self.settings.training
        models = count if self.several_models else 1
        if self.model is not None or not training.trains:
            return 0.0, ''
        if training.seconds is None:
            return 0.0, f'without the {models} trainings of {training.steps} steps'
        words = f'at most {duration(training.seconds * models)} of it for {models} training'
        return training.seconds * models, words + ('s' if models > 1 else '')


def tell_plan(
    plan: Plan, tasks: Sequence[tuple[Path, Path]], images: Images, batch: Batch
) -> None:
    """Print what would be done, image by image, and the sums.

    Parameters
    ----------
    plan : Plan
        How.
    tasks : sequence of (Path, Path)
        Images that would be denoised, and where their results would go.
    images : Images
        The same images, and others.
    batch : Batch
        What becomes of the others.
    """
    values, memory = 0, 0
    sources = [images.at(images.files.index(file)).source for file, _ in tasks[:1]]
    for file, output in tasks:
        source = images.at(images.files.index(file)).source
        dtype = plan.settings.dtype_of(source)
        needed = plan.limit.needed(source, dtype, output)
        values, memory = values + source.size, max(memory, needed)
        size = in_words(source.size * dtype.itemsize)
        say(f'would be done: {named(file)} -> {named(output)}: {_outline(source)}, result {size}')
    for name in batch.skipped:
        say(f'would be skipped: {name}: done already, with the same settings and model')
    for name, text in batch.failed.items():
        say(f'would fail: {name}: {text}')
    if not tasks:
        return
    say(f'memory: about {in_words(memory)} or more; {in_words(available())} are free')
    say(_disk_words(plan.sizes))
    say(_time_words(plan, sources[0], values, len(tasks)))


def tell_inputs(images: Images, batch: Batch, training: TrainSettings | None = None) -> int:
    """Print which images would be read, by a command without results of its own for each.

    Parameters
    ----------
    images : Images
        The images.
    batch : Batch
        What becomes of them.
    training : TrainSettings, optional
        How a model would be trained on them.

    Returns
    -------
    int
        The exit status.
    """

    def tell(number: int, image: Opened) -> None:
        source = image.source
        size = in_words(source.size * source.data.dtype.itemsize)
        say(f'would be read: {named(images.files[number])}: {_outline(source)}, {size}')

    batch.only_planned = True
    batch.look_at(images, tell)
    for name, text in batch.failed.items():
        say(f'would fail: {name}: {text}')
    if training is not None and training.seconds is not None:
        say(f'time: at most {duration(training.seconds)} for the training')
    return batch.status()


def _outline(source: ImageSource) -> str:
    return f'{source.axes} {" x ".join(map(str, source.shape))} {source.data.dtype}'


def _disk_words(sizes: Sequence[tuple[Path, int]]) -> str:
    total = sum(size for _, size in sizes)
    local = [path for path, _ in sizes if url_of(path) is None]
    if not local:
        return f'space for results: {in_words(total)}'
    free = shutil.disk_usage(existing(local[-1].absolute().parent)).free
    return f'disk space: {in_words(total)}; {in_words(free)} are free'


def _time_words(plan: Plan, source: ImageSource, values: int, count: int) -> str:
    from napari_noise2score.errors import InputError, TrainingError

    trainings, words = plan.training(count)
    try:
        expected = ExpectedTime.of(source, plan.settings, plan.model)
    except (InputError, TrainingError) as error:
        return f'time: not known ({error})'
    about = trainings + expected.of_all(count, values)
    seconds, measured = duration(expected.seconds), expected.measured
    how = f'from {seconds} for {measured} of the {values} pixels, measured now'
    return f'time: about {duration(about)} ({", ".join(filter(None, [words, how]))})'
