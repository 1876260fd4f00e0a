"""Images that one worker each denoises from file to file."""

from __future__ import annotations

import pickle
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_noise2score.analysis.training_effect import change_of
from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.cluster.scheduler import Remembered
from napari_noise2score.cluster.stored_image import StoredImage
from napari_noise2score.cluster.target import check_shared
from napari_noise2score.files import folder_written_whole, written_whole
from napari_noise2score.images.acquisition import Acquisition
from napari_noise2score.images.formats import ORIGIN, write_image
from napari_noise2score.images.lost_outputs import losing_one_output
from napari_noise2score.images.ome_zarr.metadata import Inherited
from napari_noise2score.images.region import Region
from napari_noise2score.pipeline.record import with_notes
from napari_noise2score.pipeline.results import Denoised, Trained
from napari_noise2score.pipeline.run import denoise_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.settings import DenoiseSettings


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """How files are denoised.

    Attributes
    ----------
    settings : DenoiseSettings
        All settings.
    model : ScoreModel or None
        The model that is applied; None if each image has its own.
    own_model : bool
        Whether the model was trained on these images.
    start : ScoreModel or None
        The model that trainings begin with, if it is in a file, which workers may not see.
    """

    settings: DenoiseSettings
    model: ScoreModel | None
    own_model: bool = False
    start: ScoreModel | None = None

    def packed(self) -> bytes:
        """As bytes for the workers, which may have no GPU."""
        for model in filter(None, (self.model, self.start)):
            model.network.to('cpu')
        return pickle.dumps(self)


@dataclass(frozen=True, slots=True, eq=False)
class FileUnit:
    """One image and its outputs.

    Attributes
    ----------
    image : StoredImage
        The noisy image.
    learn_from : str
        Part of the image to train on; empty for all of it.
    outputs : tuple of (Path, Path)
        Names of the results, and the folders in which they are written: the clean image, and the
        change by the training, if that is asked for.
    origin : mapping
        What the result states of its origin.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What else the file hands on to a result.
    notes : tuple of str
        Notes on the file for the report.
    """

    image: StoredImage
    learn_from: str
    outputs: tuple[tuple[Path, Path], ...]
    origin: Mapping[str, Any]
    acquisition: Acquisition
    inherited: Inherited
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FileDone:
    """What a worker returns of an image.

    Attributes
    ----------
    report : dict
        The report of the result.
    written : tuple of Path or Exception
        For each output where it is, to be moved to its name, or why it could not be written.
    gains : tuple of str
        What trainings gained, in words.
    """

    report: dict[str, Any]
    written: tuple[Path | Exception, ...]
    gains: tuple[str, ...]


_JOB = Remembered(pickle.loads)


def denoise_file(shared: bytes, unit: FileUnit) -> FileDone:
    """Denoise one image; on a worker."""
    job: Job = _JOB.of(shared)
    for _, folder in unit.outputs:
        check_shared(folder)
    _, source = unit.image.open()
    parts = [[source.part(Region.parse(unit.learn_from))]] if unit.learn_from else []
    steps = denoise_steps(
        [source],
        job.settings,
        training_parts=parts,
        model=job.model,
        start=job.start,
        own_model=job.own_model,
    )
    gains: list[str] = []
    for event in steps:
        if isinstance(event, Trained):
            gains += filter(None, [gain_words(event.model.training)])
        elif isinstance(event, Denoised):
            return _done(unit, event, job, gains)
    raise AssertionError('without a flag to stop, there is a result or an error')


def _done(unit: FileUnit, result: Denoised, job: Job, gains: Sequence[str]) -> FileDone:
    """Write the outputs of an image."""
    report = result.report
    report[ORIGIN] = {**unit.origin, 'input_crc32': report['crc32']}
    clean, *changes = unit.outputs
    written = [_written(unit, result, clean, lambda: result.image)]
    change = partial(finish, change_of(result, job.settings, job.start))
    written += [_written(unit, result, one, change) for one in changes]
    return FileDone(report, tuple(written), tuple(gains))


def _written(
    unit: FileUnit,
    result: Denoised,
    output: tuple[Path, Path],
    values: Callable[[], NDArray[Any]],
) -> Path | Exception:
    """Where an output was written, or why it could not be."""
    name, folder = output
    own = folder / secrets.token_hex(6)  # not that of another worker which was taken for lost
    errors: list[Exception] = []
    with losing_one_output(errors.append):
        own.mkdir()
        write_image(
            own / name.name,
            values(),
            result.score_map.prepared.source.axes,
            unit.acquisition,
            inherited=unit.inherited,
            record=with_notes(result.report, unit.notes),
        )
    return errors[0] if errors else own / name.name


def move(part: Path, path: Path) -> None:
    """Give what a worker has written its name."""
    if not part.is_dir():
        with written_whole(path) as place:
            part.rename(place)
        return
    with folder_written_whole(path) as place:
        place.rmdir()
        part.rename(place)
