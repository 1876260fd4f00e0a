"""What can be asked for on the command line, and the settings that it stands for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.calibration import add_calibration, calibration
from napari_noise2score.cli.outputs import Place, file_named

if TYPE_CHECKING:
    from napari_noise2score.noise.calibrate import Calibration
    from napari_noise2score.noise.choose import NoiseRequest
    from napari_noise2score.settings import DenoiseSettings, TrainSettings

CORRECTIONS = ('auto', 'chained', 'paper', 'stabilised')
DEVICES = ('auto', 'cpu', 'cuda', 'mps')
SECONDS = 60.0


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Input images."""
    parser.add_argument(
        'images',
        nargs='+',
        type=Path,
        metavar='IN',
        help='TIFF or OME-TIFF; a folder stands for the TIFF files in it, and a pattern such as '
        "'data/*.tif' for the files that match it",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """What is read of an input, and how."""
    parser.add_argument(
        '--axes',
        help='a letter for each axis, of TCZYXS or P for positions, such as TYX '
        '(default: from the file)',
    )
    parser.add_argument(
        '--series',
        type=int,
        metavar='N',
        help='which image of a file with several ones, from 0 (default: the largest)',
    )
    parser.add_argument(
        '--region', default='', metavar='R', help='only this part, such as T0:10,Y100:400,X50:350'
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Where results go."""
    parser.add_argument(
        '--output',
        type=Place.parse,
        required=True,
        metavar='OUT',
        help='a TIFF, or a folder for several; made if it is not there',
    )
    parser.add_argument(
        '--dtype',
        choices=('float32', 'source'),
        default='float32',
        help='of the output; source: that of the input, rounded and clipped to its range',
    )
    parser.add_argument(
        '--report', type=file_named, metavar='R.json', help='settings, noise, checks'
    )


def add_noise(parser: argparse.ArgumentParser) -> None:
    """The noise model: every family, every parameter."""
    from napari_noise2score.noise.families import FAMILIES

    group = parser.add_argument_group('noise (what is not given is estimated)')
    group.add_argument('--noise', choices=('auto', *FAMILIES), default='auto')
    for name, spec in noise_parameters().items():
        group.add_argument(
            '--' + name.replace('_', '-'),
            type=float,
            metavar=spec.metadata['metavar'],
            help=spec.metadata['help'],
        )
    group.add_argument(
        '--correlation', choices=('auto', 'none'), default='auto', help='between pixels'
    )
    add_calibration(group)


def noise_parameters() -> dict[str, Any]:
    """Parameters of all families by name."""
    from napari_noise2score.noise.families import FAMILIES, parameters_of

    return {
        name: spec for family in FAMILIES.values() for name, spec in parameters_of(family).items()
    }


def add_correction(parser: argparse.ArgumentParser) -> None:
    """The form of the correction."""
    parser.add_argument('--correction', choices=CORRECTIONS, default='auto')
    parser.add_argument(
        '--sigma-a', type=float, metavar='A', help='perturbation at inference (default: chosen)'
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """How to train."""
    group = parser.add_argument_group('training')
    group.add_argument(
        '--seconds',
        type=float,
        help=f'training time (default {SECONDS:g}); 0 for the pretrained weights as they are',
    )
    group.add_argument(
        '--learn-from',
        default='',
        metavar='R',
        help='learn from this part only (as --region) and apply it to all',
    )
    group.add_argument('--steps', type=int, help='gradient steps; alone, there is no time limit')
    group.add_argument(
        '--loss', default='preconditioned', help='preconditioned, published or sliced'
    )
    group.add_argument(
        '--no-frames',
        action='store_true',
        help='do not take frames of one scene for targets of each other',
    )
    group.add_argument(
        '--no-redraw',
        action='store_true',
        help='do not learn from pixels whose noise is drawn anew; by perturbation alone',
    )
    group.add_argument(
        '--init',
        default='warm',
        metavar='warm|scratch|M',
        help='start from the pretrained weights (default), from nothing, or from a trained score',
    )
    group.add_argument(
        '--slices',
        type=int,
        default=1,
        metavar='N',
        help='neighbouring slices of a z-stack that the network sees at once: 3, 5, 7 or 9 '
        '(default 1: slice by slice)',
    )
    add_device(group)
    add_seed(group)


def add_device(parser: argparse._ActionsContainer) -> None:
    """What to compute on."""
    parser.add_argument('--device', choices=DEVICES, default='auto')


def add_seed(parser: argparse._ActionsContainer) -> None:
    """The seed."""
    parser.add_argument('--seed', type=int, default=0, help='start of the random numbers')


def noise_request(
    options: argparse.Namespace, measured: Calibration | None = None
) -> NoiseRequest:
    """The noise model that is asked for; what was ``measured`` fills in what is not given."""
    from napari_noise2score.noise.choose import NoiseRequest

    given = {name: getattr(options, name) for name in noise_parameters()}
    known = {name: value for name, value in given.items() if value is not None}
    request = NoiseRequest(options.noise, known, options.correlation)
    return request if measured is None else measured.request(request)


def train_settings(options: argparse.Namespace) -> TrainSettings:
    """How to train, as asked for."""
    from napari_noise2score.settings import TrainSettings

    seconds = options.seconds
    if seconds is None and options.steps is None:
        seconds = SECONDS
    return TrainSettings(
        seconds=seconds,
        steps=options.steps,
        loss=options.loss,
        seed=options.seed,
        device=options.device,
        init=options.init,
        frames=not options.no_frames,
        redraw=not options.no_redraw,
        slices=options.slices,
    )


def settings_of(options: argparse.Namespace) -> DenoiseSettings:
    """All settings of a command that corrects."""
    from napari_noise2score.noise.correct import Correction
    from napari_noise2score.settings import Apart, DenoiseSettings, TrainSettings

    trains = hasattr(options, 'seconds')
    return DenoiseSettings(
        noise=noise_request(options, calibration(options)),
        correction=Correction(options.correction),
        sigma_a=options.sigma_a,
        output=options.dtype,
        apart=Apart(getattr(options, 'apart', Apart.NONE)),
        training=train_settings(options) if trains else TrainSettings(device=options.device),
    )
