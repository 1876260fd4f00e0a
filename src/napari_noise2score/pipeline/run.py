"""The complete pipeline from noisy to clean images.

image -> channels -> noise model -> unit-noise coordinate -> score model -> clean level D
-> Tweedie correction -> clean image and report.

`denoise_steps` is a generator of events (estimated, ready to train, progress, trained, denoised,
left out). The panel, the command line and `api.denoise` iterate over it, and show, write or return
the results. `train_steps` ends with the trained model. `schedule` has the order of the work,
`stages` the work on one image or one model.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from napari_noise2score.errors import TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.results import Denoised, Event, Progress
from napari_noise2score.pipeline.schedule import OnDemand, Work
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.train import Stop
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import DenoiseSettings, ModelPer


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    training_parts: Sequence[Sequence[ImageSource]] = (),
    model: ScoreModel | None = None,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    keep_going: bool = False,
    check_first: bool = False,
    on_demand: OnDemand = False,
    keep_levels: bool = True,
    folder: TrainingFolder | None = None,
    own_model: bool = False,
) -> Generator[Event, None, None]:
    """Denoise images; every result is yielded as soon as it is ready.

    Images that share a model are used in one training, then denoised one by one. If each image has
    its own model, or ``model`` is given, an image is read after the result of the previous one was
    yielded, unless ``check_first``. The generator does not store results.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images. Each is indexed only when it is needed, so the sequence may open files then.
    settings : DenoiseSettings, optional
        All settings.
    training_parts : sequence of sequence of ImageSource, optional
        Parts of each image to train on, instead of the whole image.
    model : ScoreModel, optional
        A trained model to apply; no model is trained.
    start : ScoreModel, optional
        A model whose training is continued, instead of the initial weights of the settings.
    stop : object with ``is_set()``, optional
        When it is set, the training ends, and its current model is applied. If there was no
        training step yet, the work ends without a result.
    keep_going : bool
        Whether to skip an image that is not acceptable, cannot be read or fails, and to continue
        with the others.
    check_first : bool
        Whether to open all images and to estimate their noise before the first training. An image
        that is not acceptable then ends the work, also with ``keep_going``.
    on_demand : bool or callable
        Whether to compute the planes of a result when they are read; a callable takes the image.
        The image of the result is a `CleanImage`, and its report has no checks of the removed
        noise until the planes were read, see `checked`.
    keep_levels : bool
        Whether to keep some clean levels that were predicted when they were read, for another
        correction.
    folder : TrainingFolder, optional
        Where the states of the trainings are saved, and whether they continue from these.
    own_model : bool
        Whether ``model`` was trained on these images: the results and reports are then those of a
        call that trains it.

    Yields
    ------
    Progress
        Before each estimate, and at least once in each training step and each tile.
    Estimated
        When an image has its noise models.
    ReadyToTrain
        Before the first training of these images.
    Trained
        When a model is trained.
    Denoised
        For each denoised image, in the order of the images.
    Failed
        For each skipped image.

    Raises
    ------
    InputError, TrainingError
        If no image is given, if one is not acceptable, or if a model could not be trained.
    CheckpointError
        If a training is to continue, but its state belongs to something else.
    """
    settings = settings or DenoiseSettings()
    together = check_first or (model is None and settings.model_per is ModelPer.ALL)
    work = Work(
        images,
        settings,
        training_parts=training_parts if model is None else (),
        model=model,
        start=start,
        stop=stop,
        keep_going=keep_going,
        check_first=check_first,
        together=together,
        on_demand=on_demand,
        keep_levels=keep_levels,
        folder=folder,
        own_model=own_model,
    )
    yield from work.steps()


def train_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    training_parts: Sequence[Sequence[ImageSource]] = (),
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    keep_going: bool = False,
    folder: TrainingFolder | None = None,
) -> Generator[Event, None, None]:
    """Train on images without denoising them: `denoise_steps` up to the last `Trained`.

    Parameters
    ----------
    images, settings, training_parts, start, stop, keep_going, folder
        As in `denoise_steps`.
    """
    settings = settings or DenoiseSettings()
    work = Work(
        images,
        settings,
        training_parts=training_parts,
        start=start,
        stop=stop,
        keep_going=keep_going,
        together=True,
        applied=False,
        folder=folder,
    )
    yield from work.steps()


def single(steps: Generator[Event, None, None]) -> Generator[Progress, None, Denoised]:
    """Run steps with one image: yields their progress and returns the result.

    Raises
    ------
    TrainingError
        If the training was stopped before its first step.
    """
    results: list[Denoised] = []
    for event in steps:
        if isinstance(event, Progress):
            yield event
        elif isinstance(event, Denoised):
            results.append(event)
    if not results:
        raise TrainingError('the training was stopped before its first step: there is no result')
    (result,) = results
    return result
