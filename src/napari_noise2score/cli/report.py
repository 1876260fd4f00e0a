"""The command ``report``: what can be said of a clean image without ground truth, as a page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.calibration import calibration
from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.images import Images
from napari_noise2score.cli.inputs import existing_image, files_of, other_inputs, subfolder
from napari_noise2score.cli.memory_limit import add_max_memory
from napari_noise2score.cli.options import add_noise, add_reading, noise_request
from napari_noise2score.cli.outputs import Output, result_name, tried
from napari_noise2score.cli.progress import run
from napari_noise2score.cli.replay import recipe_in
from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.images.ome_zarr import named
from napari_noise2score.progress import finish
from napari_noise2score.report import PAGE, VALUES
from napari_noise2score.settings import TrainSettings
from napari_noise2score.settings.options import add_fields

if TYPE_CHECKING:
    from napari_noise2score.cli.tasks import Task
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.report.verdict import Verdict


def add_report(commands: Any) -> None:
    """The command ``report``."""
    parser = commands.add_parser(
        'report',
        help='write what can be said of a clean image without ground truth, as a page',
        usage='%(prog)s NOISY [CLEAN] --output R.html [options]',
    )
    parser.add_argument(
        'noisy', type=Path, metavar='NOISY', help='the noisy image, or a folder of such images'
    )
    parser.add_argument(
        'clean',
        type=Path,
        nargs='?',
        metavar='CLEAN',
        help='the clean image, made by this program or any other, or a folder with the results '
        'of denoise; without it, only the noisy image is looked at',
    )
    parser.add_argument(
        '--output',
        type=Path,
        required=True,
        metavar='R.html',
        help='page to write, or a folder for several; the values are written beside it as R.json',
    )
    parser.add_argument(
        '--recipe',
        type=Path,
        metavar='R.json',
        help='report in JSON that denoise wrote of the result, if the result does not state how '
        'it was made',
    )
    parser.add_argument(
        '--recursive', action='store_true', help='take the images of folders in a folder as well'
    )
    add_reading(parser)
    add_noise(parser)
    add_fields(parser, TrainSettings, only=('device',))
    add_max_memory(parser, in_parts=False)
    parser.set_defaults(command=report)


def report(options: argparse.Namespace) -> int:
    """Write reports of noisy images and of their clean ones."""
    from napari_noise2score.report.writing import report_steps
    from napari_noise2score.score.device import choose_device

    choose_device(options.device)
    request = noise_request(options, calibration(options))
    files, wrong = files_of([options.noisy], recursive=options.recursive, scene=options.scene)
    several = len(files) > 1 or files != [options.noisy]
    names = [subfolder(file, [options.noisy]) / result_name(file) for file in files]
    pages = [_page_of(name, options.output, several=several) for name in names]
    cleans = [_clean_of(name, options.clean, several=several) for name in names]
    recipe = None if options.recipe is None else recipe_in(options.recipe)
    outputs = [
        Output(path, '--output') for page in pages for path in (page, page.with_suffix(VALUES))
    ]
    inputs = [*files, *filter(None, cleans), *other_inputs(options, 'dark', 'flat', 'recipe')]
    with tried(outputs, inputs):
        batch = Batch(files, wrong)
        noisy = Images(files, _reading(options, options.noisy))
        for number, (file, clean, page) in enumerate(zip(files, cleans, pages, strict=True)):
            try:
                opened = noisy.at(number)
                opened.tell()
                result = (
                    None if clean is None else _result_for(opened.source, file, clean, options)
                )
                record = recipe if recipe is not None else {} if clean is None else stated(clean)
                steps = report_steps(page, opened.source, result, request, record, options.device)
                verdict: Verdict = run(steps)
            except (InputError, TrainingError, OSError, MemoryError) as error:
                batch.leave_out(file, error)
                continue
            tell(page, verdict, has_clean=clean is not None)
            batch.finish(file, {})
        return batch.status()


def tell(page: Path, verdict: Verdict, *, has_clean: bool) -> None:
    """Say the answers of a report."""
    say(f'{page}:')
    if has_clean:
        say(f'  blurred? {verdict.blurred}')
        say(f'  invented? {verdict.invented}')
    for sentence in verdict.doubtful:
        say(f'  doubtful: {sentence}')


def stated(path: Path) -> Mapping[str, Any]:
    """What a result states of how it was made; empty if it states nothing."""
    from napari_noise2score.images.formats import recipe_of

    return recipe_of(path) or {}


def _page_of(name: Path, output: Path, *, several: bool) -> Path:
    """The page on a result with this name in its folder."""
    is_page = output.suffix.lower() == PAGE
    if several and is_page:
        raise InputError(f'{output}: is one page; several images need a folder')
    if not several and not is_page and not output.is_dir():
        raise InputError(f'{output}: a report is a page; a name that ends in {PAGE} is needed')
    return output if is_page else output / f'{name}{PAGE}'


def _clean_of(name: Path, clean: Path | None, *, several: bool) -> Path | None:
    """The clean image of a noisy one: in a folder, what ``denoise`` would write by this name."""
    from napari_noise2score.images.formats import is_zarr

    if clean is None:
        return None
    if not clean.is_dir() or is_zarr(clean):
        if several:
            raise InputError(f'{clean}: is one image; several noisy images need a folder of them')
        return clean
    return clean / name


def _reading(options: argparse.Namespace, path: Path) -> argparse.Namespace:
    """Options for `Images`."""
    return argparse.Namespace(
        axes=options.axes, scene=options.scene, region=options.region, images=[path]
    )


def _result_for(
    noisy: ImageSource, file: Path, clean: Path, options: argparse.Namespace
) -> ImageSource:
    """The clean image; the region is read of it unless it has the size of the region already.

    ``file`` is that of the noisy image.
    """
    from napari_noise2score.images.region import Region

    try:
        existing_image(clean)
    except InputError as error:
        raise InputError(f'{named(clean)}: no such file; a clean image is needed') from error
    overruled = None if options.axes is None or stated(clean) else _stated_axes(file)
    if overruled == noisy.axes:
        overruled = None
    source = _read_like(noisy, clean, overruled)
    region = Region.parse(options.region)
    return source if source.shape == noisy.shape else source.part(region)


def _stated_axes(path: Path) -> str | None:
    """Axes that a file states; None if it states none."""
    from napari_noise2score.images.formats import read_image

    try:
        return str(read_image(path).axes)
    except InputError:
        return None


def _read_like(noisy: ImageSource, clean: Path, overruled: str | None = None) -> ImageSource:
    """A clean image with the axes of the noisy one.

    They are in the order of the noisy image, and its axes of length 1 may be missing in the file.
    A file that states nothing of its axes, or others, has those of the noisy image; so has one
    that states those that were ``overruled``.
    """
    from napari_noise2score.images.formats import image_name, read_image
    from napari_noise2score.images.rearranged import with_axes_of
    from napari_noise2score.images.source import ImageSource

    with suppress(InputError):  # it states no axes
        image = read_image(clean)
        source = ImageSource(image.data, image.axes, image_name(clean))
        found = None if image.axes == overruled else with_axes_of(noisy, source)
        if found is not None:
            return found
        note(f'{named(clean)}: read with the axes of the noisy image, {noisy.axes}')
    image = read_image(clean, noisy.axes)
    return ImageSource(image.data, image.axes, image_name(clean))


def write_page(
    page: Path, task: Task, images: Images, options: argparse.Namespace, record: Mapping[str, Any]
) -> None:
    """Write the report of a result that was just written as a page."""
    from napari_noise2score.report.writing import report_steps

    noisy = images.at(images.files.index(task.file)).source
    clean = _read_like(noisy, task.targets[0])
    request = noise_request(options, calibration(options))
    finish(report_steps(page, noisy, clean, request, record, options.device))


def check_page(page: Path | None, count: int) -> None:
    """Raise if the report of many images should be one page.

    Raises
    ------
    InputError
        With what to do.
    """
    if page is not None and page.suffix.lower() == PAGE and count > 1:
        raise InputError(
            f'{page}: is the report of one image, but there are {count}; write the values '
            f'of all as {page.with_suffix(VALUES)}, or use the command report afterwards'
        )
