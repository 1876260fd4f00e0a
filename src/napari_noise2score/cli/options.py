"""The options of the command line, and the settings that they give."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.calibration import add_calibration, calibration
from napari_noise2score.cli.outputs import Place, file_named
from napari_noise2score.cli.table import SUFFIXES
from napari_noise2score.fields import Setting, described
from napari_noise2score.noise.families import FAMILIES
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.settings import DenoiseSettings, TrainSettings
from napari_noise2score.settings.options import add_fields, add_option, read_fields

if TYPE_CHECKING:
    from napari_noise2score.noise.calibration.calibrate import Calibration


def add_inputs(group: argparse._ActionsContainer) -> None:
    """Input images."""
    group.add_argument(
        'images',
        nargs='+',
        type=Path,
        metavar='IN',
        help='TIFF, OME-Zarr, PNG or NPY images, or those of microscope makers (CZI, ND2, LIF, '
        '...); an OME-Zarr may be a URL (s3://, http://). A folder means all images in it except '
        "PNG and NPY, a pattern such as 'data/*.png' all that match it, and a plate all fields of "
        'all its wells',
    )
    group.add_argument(
        '--recursive',
        action='store_true',
        help='of a folder, take the images of the folders in it as well; their results go into '
        'folders of the same names',
    )
    add_reading(group)


def add_reading(group: argparse._ActionsContainer) -> None:
    """What is read of an input, and how."""
    group.add_argument(
        '--axes',
        help='one letter for each axis, such as TYX: T time, C channel, Z depth, Y rows, X '
        'columns, S colour, P positions (default: from the file)',
    )
    group.add_argument(
        '--scene',
        '--series',
        metavar='S',
        help=(
            'which image to read if a file or a plate contains several: its name, its number '
            'from 0, or all (default: all; of a TIFF that is no OME-TIFF, the largest image)'
        ),
    )
    group.add_argument(
        '--region',
        default='',
        metavar='R',
        help='use only this part, such as T0:10,Y100:400,X50:350',
    )


def add_output(group: argparse._ActionsContainer) -> None:
    """Where results go, and in which data type."""
    group.add_argument(
        '--output',
        type=Place.parse,
        required=True,
        metavar='OUT',
        help=(
            'TIFF (.tif) or OME-Zarr (.zarr, also s3://) to write, or a folder for several; a '
            'folder is created if it does not exist'
        ),
    )
    add_fields(group, DenoiseSettings, only=('output',))
    group.add_argument(
        '--report',
        type=file_named,
        metavar='R.json',
        help='report to write, with the settings, the noise and the checks: R.json, or R.html for '
        'a page to look at and to print of a single image, with R.json beside it',
    )
    group.add_argument(
        '--overwrite',
        action='store_true',
        help='denoise images again whose results are in the folder already, and replace these; '
        'without it, results with the same input, settings and model are skipped, and others '
        'are reported as failed',
    )
    add_table(
        group,
        'denoised.csv and denoised.json in the folder of several results',
        ', memory, disk space and an estimate of the time, for which a small part of one image is '
        'denoised',
    )


def add_table(group: argparse._ActionsContainer, default: str, planned: str = '') -> None:
    """A table with a row for each image, and a list of what would be done."""
    group.add_argument(
        '--dry-run',
        action='store_true',
        help=f'only list what would be done, skipped or refused, with sizes{planned}; nothing is '
        'written',
    )
    group.add_argument(
        '--table',
        type=table_named,
        metavar='T.csv',
        help='table of what was done, one row for each image: CSV (.csv) or JSON (.json); rows '
        f'of earlier calls and of other processes are kept (default: {default})',
    )


def table_named(text: str) -> Path:
    """The file of a table that a text on the command line names.

    Raises
    ------
    ArgumentTypeError
        If its name ends in neither .csv nor .json.
    """
    path = file_named(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(
            f'{text} does not end in {" or ".join(SUFFIXES)}; a name that does is needed'
        )
    return path


def add_noise(parser: argparse.ArgumentParser) -> None:
    """The noise model: every family, every parameter."""
    group = parser.add_argument_group('noise (parameters that are not given are estimated)')
    add_fields(group, NoiseRequest)
    for parameter in noise_parameters().values():
        add_option(group, parameter)
    add_calibration(group)


def noise_parameters() -> dict[str, Setting]:
    """Parameters of all families by name."""
    return {one.name: one for family in FAMILIES.values() for one in described(family)}


def add_correction(group: argparse._ActionsContainer, *, trains: bool) -> None:
    """How to correct; what gets a model of its own only for a command that ``trains``."""
    left = ('output',) if trains else ('output', 'model_per')
    add_fields(group, DenoiseSettings, leave_out=left)


def add_training(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """How to train; returns the group of these options."""
    group = parser.add_argument_group('training')
    group.add_argument(
        '--learn-from',
        default='',
        metavar='R',
        help=(
            'train on this part only (written as for --region) and apply the model to the whole '
            'image'
        ),
    )
    add_fields(group, TrainSettings)
    return group


def noise_request(
    options: argparse.Namespace, measured: Calibration | None = None
) -> NoiseRequest:
    """The noise model of the options; what was ``measured`` fills in what is not given."""
    given = {name: getattr(options, name) for name in noise_parameters()}
    known = {name: value for name, value in given.items() if value is not None}
    request = replace(read_fields(options, NoiseRequest()), parameters=known)
    return request if measured is None else measured.request(request)


def train_settings(options: argparse.Namespace) -> TrainSettings:
    """How to train, by the options; steps that are given alone have no limit in time."""
    steps = getattr(options, 'steps', None)
    defaults = TrainSettings() if steps is None else TrainSettings(seconds=None, steps=steps)
    return read_fields(options, defaults)


def settings_of(options: argparse.Namespace) -> DenoiseSettings:
    """All settings of a command that corrects."""
    noise = noise_request(options, calibration(options))
    return read_fields(options, DenoiseSettings(noise, training=train_settings(options)))
