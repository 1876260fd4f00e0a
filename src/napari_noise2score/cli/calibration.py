"""Calibration files on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.console import note
from napari_noise2score.cli.inputs import existing_image
from napari_noise2score.errors import InputError

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.noise.calibration.calibrate import Calibration


def add_calibration(group: argparse._ActionsContainer) -> None:
    """Dark frames and flat field."""
    group.add_argument(
        '--dark',
        type=Path,
        metavar='D.tif',
        help='frames without light: offset and read noise are measured on them; with 20 frames '
        'or more, for each pixel if the pixels differ (sCMOS)',
    )
    group.add_argument(
        '--flat',
        type=Path,
        metavar='F.tif',
        help='evenly lit frames, at least two at each light level: the gain is measured on '
        'them; a parameter that is given replaces the measured one',
    )


def calibration(options: argparse.Namespace) -> Calibration | None:
    """What the calibration files tell, if there are any; notes go to standard error.

    Raises
    ------
    InputError
        If a file cannot be read, or does not tell what it should.
    """
    if options.dark is None and options.flat is None:
        return None
    from napari_noise2score.pipeline.calibration import calibrate_images

    dark, flat = (path and _frames(existing_image(path)) for path in (options.dark, options.flat))
    found = calibrate_images(dark, flat)
    for text in found.notes:
        note(f'calibration: {text}')
    return found


def calibration_lines(found: Calibration) -> list[str]:
    """What was measured, for the terminal."""
    from napari_noise2score.noise.digits import digits
    from napari_noise2score.noise.families import PoissonGaussian, parameters_of

    units = {name: spec.metadata['unit'] for name, spec in parameters_of(PoissonGaussian).items()}
    lines = [f'measured on {found.source}:']
    for name, value in found.parameters.items():
        error = found.errors[name]
        number = digits(value, error / 10, 5)
        lines.append(f'  {name.replace("_", " ")}: {number} +- {error:.2g} {units[name]}')
    return lines


def _frames(path: Path) -> ImageSource:
    """A file whose planes are frames, also where it does not say so."""
    from napari_noise2score.images.formats import image_name, read_image
    from napari_noise2score.images.source import ImageSource

    try:
        image = read_image(path)
    except InputError as error:
        try:
            image = read_image(path, 'TYX')
        except InputError:
            raise error from None
    for text in image.notes:
        note(f'{image_name(path)}: {text}')
    return ImageSource(image.data, image.axes, image_name(path))
