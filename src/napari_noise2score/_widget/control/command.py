"""The command line that is equivalent to the settings of the panel."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from napari_noise2score._widget.control.saving import destinations
from napari_noise2score._widget.control.target import Target
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import named
from napari_noise2score.settings import DenoiseSettings, StartFrom
from napari_noise2score.settings.options import option_words


def command_line(targets: Sequence[Target], settings: DenoiseSettings, place: str = '') -> str:
    """A call of ``napari-noise2score denoise`` for the files of layers.

    A layer that was not read from a file is named ``NAME.tif``; the user has to save it under that
    name. ``place`` is where the panel saves results, if it does; several results go into that
    folder in the formats of their files.

    Raises
    ------
    InputError
        If there is no layer, if the axes or regions differ (the command uses one for all), if the
        training continues from a model that is not saved in a file, if the noise model has maps of
        pixels, or if ``place`` is not acceptable for these layers.
    """
    if not targets:
        raise InputError('No layer is chosen; tick at least one Image layer.')
    axes = list(dict.fromkeys(target.source.axes for target in targets))
    if len(axes) > 1:
        raise InputError(
            f'The ticked layers have the axes {", ".join(axes)}; one command uses the same axes '
            'for all its images. Tick only layers with the same axes.'
        )
    regions = {str(target.region) for target in targets}
    training_parts = {str(part.region) for target in targets for part in target.training_parts}
    if len(regions) > 1 or len(training_parts) > 1:
        raise InputError(
            'One command uses one region for all its images, but these layers need '
            f'{", ".join(sorted(regions | training_parts))}. Draw one shape, on layers of the '
            'same size.'
        )
    if settings.training.init == StartFrom.UNSAVED:
        raise InputError(
            'The training starts from a model that is not saved in a file; save the model first.'
        )
    if settings.noise.maps is not None:
        raise InputError(
            'The noise model has maps of pixels. A command measures them on calibration frames: '
            'run "napari-noise2score denoise" with --dark and --flat. Or type a number of the '
            'noise model, so that it applies to all pixels.'
        )
    output = 'denoised.tif' if len(targets) == 1 else 'denoised'
    if place:
        paths = destinations([str(target.layer.name) for target in targets], place)
        output = named(paths[0]) if len(paths) == 1 else place
    words = ['napari-noise2score', 'denoise', *(_file(target) for target in targets)]
    words += ['--axes', axes[0], '--output', output]
    words += [word for region in regions if region for word in ('--region', region)]
    words += [word for region in training_parts for word in ('--learn-from', region)]
    words += option_words(settings)
    for name, value in settings.noise.parameters.items():
        words += ['--' + name.replace('_', '-'), repr(float(value))]
    return shlex.join(words)


def _file(target: Target) -> str:
    path = target.layer.source.path
    return str(path) if path else re.sub(r'[^\w.-]+', '_', target.source.name) + '.tif'
