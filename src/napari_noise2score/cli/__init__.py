"""The command line: ``napari-noise2score denoise | train | apply | estimate | report``, and more.

Exit status: 0 done, 1 the work failed, or that on some of the images, 2 the input is not
acceptable (one line says what was got and what would be accepted), 130 interrupted. Output files
appear whole or not at all.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import NoReturn

from napari_noise2score.cli import commands as run
from napari_noise2score.cli.batch import words_of
from napari_noise2score.cli.cluster import add_scheduler
from napari_noise2score.cli.console import (
    PROGRAM,
    close_console,
    give_up,
    note,
    open_console,
    warnings_noted,
)
from napari_noise2score.cli.denoise import apply as run_apply
from napari_noise2score.cli.denoise import denoise as run_denoise
from napari_noise2score.cli.memory_limit import add_max_memory
from napari_noise2score.cli.options import (
    add_correction,
    add_inputs,
    add_noise,
    add_output,
    add_table,
    add_training,
)
from napari_noise2score.cli.outputs import Place, file_named
from napari_noise2score.cli.parser import Parser
from napari_noise2score.cli.progress import begun
from napari_noise2score.cli.replay import add_replay
from napari_noise2score.cli.report import add_report
from napari_noise2score.cli.resume import PARTS, SUFFIX, add_resume, add_resume_of_parts
from napari_noise2score.cli.sample import add_sample
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.files import recorded
from napari_noise2score.images.ome_zarr.location import named
from napari_noise2score.images.unfinished import SUFFIX as UNFINISHED
from napari_noise2score.memory import LIMIT, MemoryLimitError, ran_out
from napari_noise2score.settings import DenoiseSettings, PretrainSettings, TrainSettings
from napari_noise2score.settings.options import add_fields


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    open_console()
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as end:  # help, version, or what cannot be parsed
        raise SystemExit(close_console(int(end.code or 0))) from None
    except OSError as error:  # nobody reads the help, and output is not buffered
        give_up(error)
        raise SystemExit(close_console(0)) from None
    with recorded() as written, _told_to_end(), warnings_noted(), begun():
        try:
            status = _run(options)
        except KeyboardInterrupt as interrupt:
            number = interrupt.args[0] if interrupt.args else signal.SIGINT
            status = _fail(128 + number, f'interrupted; {_written_words(written)}')
        except MemoryLimitError as error:
            status = _fail(1, f'{error}; stopped; {_written_words(written)}')
    return close_console(status)


def _run(options: argparse.Namespace) -> int:
    """The exit status of a command, whatever it meets."""
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        with LIMIT.of(getattr(options, 'max_memory', None)):
            return command(options)
    except (InputError, CheckpointError) as error:
        return _fail(2, words_of(error))
    except (TrainingError, OSError) as error:
        return _fail(1, words_of(error))
    except (MemoryError, RuntimeError) as error:
        if ran_out(error):
            return _fail(1, words_of(error))
        raiser = 'torch' if _is_of_torch(error) else type(error).__name__
        return _fail(1, f'{raiser} failed: {str(error) or type(error).__name__}')


def _is_of_torch(error: Exception) -> bool:
    """Whether torch raised an error: a class of its own, or from one of its functions.

    A function of its compiled part has no frame; the innermost one is then that of a module that
    calls them, and that raises no RuntimeError itself.
    """
    if type(error).__module__.partition('.')[0] == 'torch':
        return True
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    innermost = str(frames[-1].f_globals.get('__name__', '')) if frames else ''
    return innermost.startswith(_CALLING_TORCH)


_CALLING_TORCH = (
    'torch.',
    'napari_noise2score.score.',
    'napari_noise2score.pipeline.selection',
    'napari_noise2score.analysis.bioimageio',
)


_NAMED = 8
"""Most files that an interruption names."""


def _written_words(written: Sequence[Path]) -> str:
    """What is there after an interruption."""
    states = [path for path in written if path.parent.suffix == SUFFIX and path.exists()]
    parts = [path for path in written if path.suffix == UNFINISHED and path.exists()]
    resume = f'; --resume continues the training from {states[0].parent}' if states else ''
    if parts:
        resume = f'; --resume continues the result from {named(parts[-1])}'
    # some are written again and again
    whole = (p for p in written if p.parent.suffix != SUFFIX and p.suffix != UNFINISHED)
    files = list(dict.fromkeys(named(p) for p in whole))
    if not files:
        return f'nothing was written{resume}'
    names, more = ', '.join(files[:_NAMED]), len(files) - _NAMED
    more_words = f' and {more} more' if more > 0 else ''
    return f'these files were written: {names}{more_words}{resume}'


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Let what ends other programs at once, such as ``timeout``, end this one as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt(number)

    names = [name for name in ('SIGTERM', 'SIGHUP') if hasattr(signal, name)]
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names):
            if signal.getsignal(number) is signal.SIG_DFL:  # under nohup one is ignored
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(status: int, text: str) -> int:
    note(text)
    return status


_INPUT, _OUTPUT, _CORRECTION = 'input', 'output', 'correction'
_WORK = 'memory, interrupted work, devices and clusters'
"""Titles of the groups of options in the help."""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(PROGRAM, description='Denoise microscope images without clean ones.')
    parser.add_argument('--version', action='version', version=_version())
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    denoise = commands.add_parser(
        'denoise',
        help='train on images and write the denoised images',
        usage='%(prog)s IN [IN ...] --output OUT [options]',
        epilog='Many images: with --model-per all, which is the default, one model is trained on '
        'all images of the call that are not done yet, and one process denoises all of them. '
        'Several processes share a folder with --model-per image, or with apply and a model that '
        'was trained before; apply also gives images of later calls the same model.',
    )
    add_inputs(denoise.add_argument_group(_INPUT))
    output = denoise.add_argument_group(_OUTPUT)
    add_output(output)
    add_noise(denoise)
    add_correction(denoise.add_argument_group(_CORRECTION), trains=True)
    add_training(denoise)
    work = denoise.add_argument_group(_WORK)
    place = 'OUT.resume (OUT/training.resume if OUT is a folder)'
    add_resume(work, place, f'. Also continues {PARTS}')
    add_max_memory(work)
    add_scheduler(work)
    output.add_argument(
        '--model-out', type=file_named, metavar='M', help='save the trained model in this file'
    )
    output.add_argument(
        '--difference',
        type=Place.parse,
        metavar='D',
        help=(
            'write the change by the training, in noise standard deviations, to this TIFF, '
            'OME-Zarr or folder'
        ),
    )
    denoise.set_defaults(command=run_denoise)

    train = commands.add_parser(
        'train',
        help='train on images and save the model',
        usage='%(prog)s IN [IN ...] --model M [options]',
    )
    add_inputs(train.add_argument_group(_INPUT))
    output = train.add_argument_group(_OUTPUT)
    output.add_argument(
        '--model', type=file_named, required=True, metavar='M', help='model file to write'
    )
    output.add_argument(
        '--overwrite',
        action='store_true',
        help='train again if the model file exists; without it, a model of the same images and '
        'settings is skipped, and any other file is not replaced',
    )
    add_table(output, 'none')
    add_noise(train)
    add_fields(add_training(train), DenoiseSettings, only=('context',))
    work = train.add_argument_group(_WORK)
    add_resume(work, 'M.resume')
    add_max_memory(work, in_parts=False)
    train.set_defaults(command=run.train)

    apply = commands.add_parser(
        'apply',
        help='denoise images with a trained model',
        usage='%(prog)s M IN [IN ...] --output OUT [options]',
    )
    read = apply.add_argument_group(_INPUT)
    read.add_argument(
        'model', type=Path, metavar='M', help='a model file written by train or denoise'
    )
    add_inputs(read)
    add_output(apply.add_argument_group(_OUTPUT))
    add_noise(apply)
    add_correction(apply.add_argument_group(_CORRECTION), trains=False)
    work = apply.add_argument_group(_WORK)
    add_fields(work, TrainSettings, only=('device',))
    add_resume_of_parts(work)
    add_max_memory(work)
    add_scheduler(work)
    apply.set_defaults(command=run_apply)

    estimate = commands.add_parser(
        'estimate', help='estimate the noise of images', usage='%(prog)s IN [IN ...] [options]'
    )
    add_inputs(estimate.add_argument_group(_INPUT))
    output = estimate.add_argument_group(_OUTPUT)
    add_table(output, 'none')
    output.add_argument(
        '--json', action='store_true', help='print the estimate and its evidence as JSON'
    )
    output.add_argument(
        '--model',
        type=Path,
        metavar='M',
        help='a trained model: estimate the noise in three ways and compare them',
    )
    add_noise(estimate)
    work = estimate.add_argument_group(_WORK)
    add_fields(work, TrainSettings, only=('device',))
    add_max_memory(work, in_parts=False)
    estimate.set_defaults(command=run.estimate)

    add_report(commands)
    add_replay(commands, _call)

    export = commands.add_parser('export', help='export a trained model to a bioimage.io package')
    export.add_argument(
        'model', type=Path, metavar='M', help='a model file written by train or denoise'
    )
    export.add_argument(
        'output', type=file_named, metavar='OUT', help='the package to write (.zip)'
    )
    export.add_argument('--name', help='name of the model (default: name of the package)')
    export.add_argument(
        '--author',
        action='append',
        metavar='A',
        help='author of the model; may be given more than once',
    )
    export.add_argument(
        '--licence',
        default='CC-BY-4.0',
        help='licence of the model, an SPDX name (default: CC-BY-4.0)',
    )
    export.set_defaults(command=run.export)

    pretrain = commands.add_parser(
        'pretrain', help='pretrain the weights that trainings start from'
    )
    pretrain.add_argument(
        '--output', type=file_named, required=True, metavar='M', help='file of weights to write'
    )
    pretrain.add_argument(
        '--state',
        type=file_named,
        metavar='S',
        help='file where the run is saved every minute; a new run continues from it',
    )
    pretrain.add_argument(
        '--images',
        type=Path,
        metavar='FOLDER',
        help='folder of clean images to train on, instead of procedural images',
    )
    pretrain.add_argument(
        '--init',
        metavar='warm|M',
        help='weights to begin with: pretrained (warm), or those of a model file; random if not '
        'given',
    )
    add_fields(pretrain, PretrainSettings)
    add_fields(pretrain, PretrainSettings().network, only=('channels', 'blocks', 'context'))
    pretrain.set_defaults(command=run.pretrain)

    add_sample(commands)

    demo = commands.add_parser('demo', help='denoise a synthetic stack and show it')
    demo.add_argument('--output', type=Path, default=Path('noise2score-demo'), metavar='FOLDER')
    demo.add_argument(
        '--no-viewer', action='store_true', help='write the files, but do not open napari'
    )
    add_fields(demo, run.DEMO, only=('seconds', 'device', 'seed'))
    demo.set_defaults(command=run.demo)
    return parser


def _call(words: Sequence[str]) -> int:
    """The exit status of another command."""
    options = _parser().parse_args(words)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _version() -> str:
    from napari_noise2score import __version__

    return f'{PROGRAM} {__version__}'
