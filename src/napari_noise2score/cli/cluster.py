"""``--scheduler``: the images of a call are denoised by a Dask cluster.

Models are trained by the process of the call, if images share one, and sent to the workers. A
single image, an image at a URL and a large one are computed plane by plane on all workers.
Other images are denoised by one worker each, from file to file.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.console import note
from napari_noise2score.cli.images import Images, scene_within
from napari_noise2score.cli.parts import ResultInParts, begin_parts
from napari_noise2score.cli.results import Results
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.files import real, temporary
from napari_noise2score.images.ome_zarr.location import is_ome_zarr, url_of
from napari_noise2score.settings import ModelPer, StartFrom
from napari_noise2score.settings.devices import ALL_GPUS, device_names

if TYPE_CHECKING:
    from napari_noise2score.cluster.scheduler import Cluster
    from napari_noise2score.cluster.stored_image import StoredImage
    from napari_noise2score.cluster.whole_files import FileUnit
    from napari_noise2score.pipeline.results import Denoised, Event, Progress
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.training_files import TrainingFolder

_LARGE = 1 << 30
"""Bytes of an OME-Zarr from which its planes are computed by all workers."""
_OF_AN_IMAGE = (CheckpointError, InputError, MemoryError, OSError, RuntimeError, TrainingError)
"""Errors of the work on an image; the work on the others continues."""

Told = Callable[[Iterable['Event']], Iterable['Event']]


def add_scheduler(group: argparse._ActionsContainer) -> None:
    """Where a Dask cluster is."""
    group.add_argument(
        '--scheduler',
        metavar='ADDRESS',
        help='let a Dask cluster do the work: the address of its scheduler '
        '(tcp://10.0.0.1:8786), its scheduler file (.json), or local:N for N processes of this '
        'machine; all machines need the same folders and the same versions of this program',
    )


def check_scheduler(options: argparse.Namespace) -> None:
    """Look at the option before any work.

    Raises
    ------
    InputError
        If the package distributed is missing, the option is wrong, or the workers would use
        several devices each.
    """
    from napari_noise2score.cluster.scheduler import load_distributed, local_count

    if options.scheduler is not None:
        if options.device == ALL_GPUS or len(device_names(options.device)) > 1:
            raise InputError(
                f'--device {options.device} names several devices, but each worker of --scheduler '
                'uses one; give one device, and start a worker for each GPU'
            )
        local_count(options.scheduler)
        load_distributed()


@dataclass(slots=True)
class ClusterWork:
    """The work of a call on a cluster.

    Attributes
    ----------
    cluster : Cluster
        The workers.
    options : Namespace
        How images are read.
    results : Results
        What becomes of them.
    images : Images
        The images of the tasks of the results.
    model : ScoreModel or None
        What is applied; None if models are trained.
    """

    cluster: Cluster
    options: argparse.Namespace
    results: Results
    images: Images
    model: ScoreModel | None
    _folders: dict[Path, Path] = field(default_factory=dict)

    def steps(self, folder: TrainingFolder | None, told: Told) -> Generator[Progress, None, None]:
        """Do all of it.

        Parameters
        ----------
        folder : TrainingFolder or None
            Where the states of the trainings are saved.
        told : callable
            Passes events of trainings on, and says what there is to say of them.
        """
        try:
            yield from (self._by_planes if self.by_planes else self._by_file)(folder, told)
        finally:
            for own in self._folders.values():
                shutil.rmtree(own, ignore_errors=True)

    @property
    def by_planes(self) -> bool:
        """Whether all workers compute an image together, one image after the other."""
        return len(self.results.tasks) == 1 or any(self._is_by_planes())

    def _is_by_planes(self) -> Iterator[bool]:
        """For each image, whether all workers compute it together."""
        for number, task in enumerate(self.results.tasks):
            output = task.targets[0]
            if task.in_parts or url_of(output) is not None:
                yield True
            elif is_ome_zarr(output):
                source = self.images.at(number).source
                yield source.size * self.results.settings.dtype_of(source).itemsize > _LARGE

    def _by_planes(
        self, folder: TrainingFolder | None, told: Told
    ) -> Generator[Progress, None, None]:
        """Image after image, each on all workers."""
        from napari_noise2score.pipeline.run import denoise_steps

        events = denoise_steps(
            self.images.sources,
            self.results.settings,
            training_parts=self.images.training_parts,
            model=self.model,
            keep_going=not self.results.batch.single,
            on_demand=True,
            keep_levels=False,
            folder=folder,
        )
        yield from self.results.written(self._computed(told(events)))

    def _computed(self, events: Iterable[Event]) -> Generator[Event, None, None]:
        """The same events, with results that are computed."""
        from napari_noise2score.pipeline.results import Denoised, Failed
        from napari_noise2score.pipeline.schedule import tolerant

        for event in events:
            if not isinstance(event, Denoised):
                yield event
                continue
            steps = tolerant(self._by_workers(event), event.number, not self.results.batch.single)
            try:
                yield from steps
            except CheckpointError as error:  # of an interrupted result
                yield Failed(event.number, error)

    def _by_workers(self, result: Denoised) -> Generator[Progress | Denoised, None, None]:
        """A result that all workers compute, and continue after an interruption."""
        from napari_noise2score.cluster.planes import computed_on
        from napari_noise2score.pipeline.clean_image import CleanImage

        given, task = self.results, self.results.tasks[result.number]
        image: Any = result.image
        output, unfinished = task.targets[0], None
        if is_ome_zarr(output) and isinstance(image, CleanImage):
            in_parts = ResultInParts(task, result, given.settings, given.resume)
            unfinished = in_parts.unfinished(output)
        try:
            if unfinished is not None:
                begin_parts(unfinished)
            yield from computed_on(
                self.cluster,
                self._stored(task.file),
                output,
                result,
                given.settings,
                unfinished=unfinished,
            )
        finally:
            if unfinished is not None:
                unfinished.close()

    def _by_file(
        self, folder: TrainingFolder | None, told: Told
    ) -> Generator[Progress, None, None]:
        """Each image by one worker; models that images share are trained here."""
        from napari_noise2score.cluster.whole_files import Job, denoise_file
        from napari_noise2score.pipeline.results import Progress
        from napari_noise2score.score.pretraining.weights import starting_model
        from napari_noise2score.score.threads import usable_threads

        settings = self.results.settings
        together = self.model is None and settings.model_per is ModelPer.ALL
        numbers = list(range(len(self.results.tasks)))
        if together:
            yield from self.results.written(self._trained(folder, told, numbers))
        init = settings.training.init
        start = None if init in (StartFrom.WARM, StartFrom.SCRATCH) else starting_model(init)
        job = Job(settings, self.model, together, start).packed()
        learns = self.model is None and settings.training.trains
        threads = usable_threads() if learns else None  # on which gradients depend
        units = self._units(numbers, claim=not together)
        done, count = 0, len(numbers)
        for one in self.cluster.results(denoise_file, units, job, threads=threads):
            self.results.claims.renew()
            if one is not None:
                number, outcome = one
                done += 1
                if not isinstance(outcome, Exception):
                    self.results.received(number, outcome)
                elif isinstance(outcome, _OF_AN_IMAGE):
                    self.results.left_out(number, outcome)
                else:
                    raise outcome
            yield Progress('correct', done / count)

    def _trained(
        self, folder: TrainingFolder | None, told: Told, numbers: list[int]
    ) -> Generator[Event, None, None]:
        """Train the model of all images; images that fail are taken from the ``numbers``."""
        from napari_noise2score.pipeline.results import Failed, Trained
        from napari_noise2score.pipeline.run import train_steps

        events = train_steps(
            self.images.sources,
            self.results.settings,
            training_parts=self.images.training_parts,
            keep_going=True,
            folder=folder,
        )
        for event in told(events):
            if isinstance(event, Trained):
                self.model = event.model
            elif isinstance(event, Failed):
                numbers.remove(event.number)
            yield event

    def _units(self, numbers: Iterable[int], *, claim: bool) -> Iterator[tuple[int, FileUnit]]:
        """What is sent, in the order of the images; each is claimed when its turn comes."""
        from napari_noise2score.cluster.whole_files import FileUnit

        for number in numbers:
            task = self.results.tasks[number]
            try:
                if claim:
                    self.results.take(number)
            except (InputError, OSError) as error:
                self.results.left_out(number, error)
                continue
            yield (
                number,
                FileUnit(
                    self._stored(task.file),
                    getattr(self.options, 'learn_from', ''),
                    tuple((path, self._folder_for(path)) for path in task.targets),
                    task.before.origin.record(''),
                    task.acquisition,
                    task.inherited,
                    task.notes,
                ),
            )

    def _stored(self, file: Path) -> StoredImage:
        from napari_noise2score.cluster.stored_image import StoredImage

        given = self.options
        return StoredImage.of(file, given.axes, scene_within(file, given), given.region)

    def _folder_for(self, output: Path) -> Path:
        """A hidden folder beside an output, in which workers write."""
        parent = real(output).absolute().parent
        if parent not in self._folders:
            parent.mkdir(parents=True, exist_ok=True)
            self._folders[parent] = temporary(parent)
            self._folders[parent].mkdir()
        return self._folders[parent]


def cluster_of(options: argparse.Namespace, stack: ExitStack) -> Cluster | None:
    """The cluster of the option, until the stack ends; None without the option."""
    from napari_noise2score.cluster.scheduler import cluster_at

    if options.scheduler is None:
        return None
    return stack.enter_context(cluster_at(options.scheduler, note))
