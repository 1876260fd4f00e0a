"""The one road from noisy images to clean ones.

image -> channels -> noise model -> unit-noise coordinate -> score model -> clean level D
-> Tweedie correction -> clean image and report.

`denoise_steps` is a generator of events (estimated, ready to train, progress, trained, denoised,
left out). The panel, the command line and `api.denoise` iterate over it and show, write or return
what it yields; `train_steps` ends with the trained model. The order of the work is in `schedule`,
what is done with one image or one model in `stages`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from napari_noise2score.errors import TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.results import Denoised, Event, Progress
from napari_noise2score.pipeline.schedule import Work
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.train import Stop
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import DenoiseSettings, ModelPer


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    lessons: Sequence[Sequence[ImageSource]] = (),
    model: ScoreModel | None = None,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    go_on: bool = False,
    check_first: bool = False,
    on_demand: bool = False,
    folder: TrainingFolder | None = None,
) -> Generator[Event, None, None]:
    """Denoise images; every result is yielded as soon as it is done.

    Images that share a model are trained on together, then denoised one by one. Where each has its
    own model, or ``model`` is given, the next image is read when the result of the one before was
    yielded, unless ``check_first``. Results are not held here once they are yielded.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images. Each is asked for when its turn comes, so the sequence may open files then.
    settings : DenoiseSettings, optional
        All settings.
    lessons : sequence of sequence of ImageSource, optional
        Parts of each of the images to learn from, instead of the whole.
    model : ScoreModel, optional
        A trained model, to apply instead of training one.
    start : ScoreModel, optional
        A model whose training is continued, instead of the weights that the settings name.
    stop : object with ``is_set()``, optional
        When set, the training ends, and what it has learned is applied; if nothing was learned
        yet, the work ends without a result.
    go_on : bool
        Leave out an image that is not acceptable, cannot be read or fails, and go on with the
        others.
    check_first : bool
        Hold all images at once and estimate their noise before the first training. An image that
        is not acceptable then ends the work, also with ``go_on``.
    on_demand : bool
        Compute the planes of a result when they are read: its image is a `CleanImage`, of which
        nothing is held, and its report has no checks of the removed noise.
    folder : TrainingFolder, optional
        Where the states of the trainings are saved, and whether they continue from there.

    Yields
    ------
    Progress
        Before each estimate, at least once a step of the training and once a tile.
    Estimated
        When an image has its noise models.
    ReadyToTrain
        Before the first training of these images.
    Trained
        When a model is trained.
    Denoised
        For each image that is done, in their order.
    LeftOut
        For each image that is left out.

    Raises
    ------
    InputError, TrainingError
        If no image is given, one is not acceptable, or a model could not be trained.
    CheckpointError
        If a training is to continue, but its state belongs to something else.
    """
    settings = settings or DenoiseSettings()
    together = check_first or (model is None and settings.model_per is ModelPer.ALL)
    work = Work(
        images,
        settings,
        lessons=lessons if model is None else (),
        model=model,
        start=start,
        stop=stop,
        go_on=go_on,
        check_first=check_first,
        together=together,
        on_demand=on_demand,
        folder=folder,
    )
    yield from work.steps()


def train_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    go_on: bool = False,
    folder: TrainingFolder | None = None,
) -> Generator[Event, None, None]:
    """Train on images without denoising them: `denoise_steps` up to the last `Trained`.

    Parameters
    ----------
    images, settings, start, stop, go_on, folder
        As of `denoise_steps`.
    """
    settings = settings or DenoiseSettings()
    work = Work(
        images,
        settings,
        start=start,
        stop=stop,
        go_on=go_on,
        together=True,
        applied=False,
        folder=folder,
    )
    yield from work.steps()


def single(steps: Generator[Event, None, None]) -> Generator[Progress, None, Denoised]:
    """The result of steps with one image, returned; their progress is yielded.

    Raises
    ------
    TrainingError
        If the training was stopped before its first step.
    """
    found: list[Denoised] = []
    for event in steps:
        if isinstance(event, Progress):
            yield event
        elif isinstance(event, Denoised):
            found.append(event)
    if not found:
        raise TrainingError('the training was stopped before its first step: there is no result')
    (result,) = found
    return result
