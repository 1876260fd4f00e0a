"""A training that was interrupted is resumed by its command, with the same result."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.hooks import before_each_step

from napari_noise2score.cli import main
from napari_noise2score.errors import CheckpointError
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score import training_files
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.training_state import TrainingState

GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'YX'}}
STEPS = 6
CALL = ['--steps', str(STEPS), '--device', 'cpu', '--save-every', '0.001']

KILLED = f"""
import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from tests.quick import small_batches
from napari_noise2score.cli import main
from napari_noise2score.score import training_files
training_files._SELDOM = 0
with small_batches():
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def quick(one_pass, monkeypatch, tmp_path) -> None:
    in_a_folder_with_images(monkeypatch, tmp_path)


def in_a_folder_with_images(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """In a folder with three images; each step is saved."""
    patch.chdir(folder)
    patch.setattr(training_files, '_SELDOM', 0)
    for name, frame in zip('abc', FRAMES, strict=True):
        tifffile.imwrite(f'{name}.tif', frame, **GREY)


FRAMES = synthetic_stack('puncta', frames=3, size=64, seed=1).noisy


class Steps:
    """Counts steps, and interrupts the training instead of the one after ``last``."""

    def __init__(self) -> None:
        self.done, self.last = 0, float('inf')

    def count(self) -> None:
        if self.done == self.last:
            raise KeyboardInterrupt
        self.done += 1

    def interrupt(self, after: int, call: list[str]) -> None:
        """Call a command that is interrupted after so many steps."""
        self.done, self.last = 0, after
        assert main(call) == 130
        assert self.done == after
        self.done, self.last = 0, float('inf')


@pytest.fixture
def steps() -> Iterator[Steps]:
    made = Steps()
    with before_each_step(made.count):
        yield made


def names() -> set[str]:
    return {path.name for path in Path().iterdir()} - {'a.tif', 'b.tif', 'c.tif'}


def said(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


def assert_same(one: str, other: str) -> None:
    if one.endswith('.tif'):
        np.testing.assert_array_equal(tifffile.imread(one), tifffile.imread(other))
        return
    first, second = (ScoreModel.load(path) for path in (one, other))
    assert first.digest == second.digest
    assert first.training == second.training


def wait_for_step(path: Path, step: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            if TrainingState.load(path).step >= step:
                return
        except CheckpointError:
            pass  # there is none yet
        time.sleep(0.02)
    raise AssertionError(f'no state of step {step} was saved')


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_a_training_that_was_killed_is_resumed_bit_for_bit(capsys):
    call = ['train', 'a.tif', '--steps', '20', '--device', 'cpu']
    often = ['--model', 'm.safetensors', '--save-every', '0.001']
    command = [sys.executable, '-c', KILLED, *call, *often]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_for_step(Path('m.safetensors.resume/training-1.safetensors'), 4, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert names() == {'m.safetensors.resume'}
    assert main([*call, '--model', 'm.safetensors', '--resume']) == 0
    assert 'm.safetensors.resume: the training continues from step ' in said(capsys)[0]
    assert main([*call, '--model', 'whole.safetensors']) == 0
    assert_same('m.safetensors', 'whole.safetensors')
    assert names() == {'m.safetensors', 'whole.safetensors'}


def test_a_denoising_is_resumed_and_says_from_which_step(steps, capsys):
    call = ['denoise', 'a.tif', '--model-out', 'm.safetensors', *CALL, '--output']
    assert main([*call, 'whole.tif']) == 0
    Path('m.safetensors').rename('whole.safetensors')
    steps.interrupt(3, [*call, 'out.tif'])
    assert names() == {'out.tif.resume', 'whole.tif', 'whole.safetensors'}
    assert said(capsys)[-1] == (
        'napari-noise2score: interrupted; nothing was written; --resume continues the training '
        'from out.tif.resume'
    )
    assert main([*call, 'out.tif', '--resume']) == 0
    words = 'out.tif.resume: the training continues from step 3'
    assert said(capsys)[0] == f'napari-noise2score: {words}'
    assert steps.done == STEPS - 3
    assert_same('out.tif', 'whole.tif')
    assert_same('m.safetensors', 'whole.safetensors')
    assert 'out.tif.resume' not in names()


def test_without_resume_the_interrupted_training_is_kept_under_another_name(steps, capsys):
    call = ['train', 'a.tif', '--model', 'm.safetensors', *CALL]
    steps.interrupt(3, call)
    said(capsys)
    assert main(call) == 0
    assert steps.done == STEPS
    line, _ = said(capsys)
    assert 'which --resume would continue' in line
    assert 'kept as m.safetensors.resume.old' in line
    assert names() == {'m.safetensors', 'm.safetensors.resume.old'}
    assert TrainingState.load('m.safetensors.resume.old/training-1.safetensors').step == 3


def test_resume_begins_anew_where_there_is_nothing_to_continue(steps, capsys):
    call = ['train', 'a.tif', '--model', 'm.safetensors', *CALL, '--resume']
    assert main(call) == 0
    assert 'contains no interrupted training; a new one begins' in said(capsys)[0]
    assert steps.done == STEPS
    assert names() == {'m.safetensors'}


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory) -> Path:
    """State of a training on ``a.tif`` that was interrupted after two steps."""
    folder = tmp_path_factory.mktemp('interrupted')
    made = Steps()
    with pytest.MonkeyPatch.context() as patch, before_each_step(made.count):
        in_a_folder_with_images(patch, folder)
        made.interrupt(2, ['train', 'a.tif', '--model', 'm.safetensors', *CALL])
    return folder / 'm.safetensors.resume'


def contents(folder: Path | str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_copied_state_is_continued_by_its_own_command(interrupted, steps):
    shutil.copytree(interrupted, 'm.safetensors.resume')
    assert main(['train', 'a.tif', '--model', 'm.safetensors', *CALL, '--resume']) == 0
    assert steps.done == STEPS - 2


@pytest.mark.parametrize(
    ('changed', 'words'),
    [
        (['b.tif'], 'b.tif has other grey levels'),
        (['a.tif', '--seed', '4'], 'the setting seed was 0 and is 4'),
        (['a.tif', '--offset', '90'], 'the noise model of a.tif was'),
        (['a.tif', 'b.tif'], 'there were 1 images and there are 2'),
        (['a.tif', '--init', 'scratch'], 'the setting init was warm and is scratch'),
    ],
)
def test_another_training_is_refused_and_the_state_stays(
    changed, words, interrupted, steps, capsys
):
    shutil.copytree(interrupted, 'm.safetensors.resume')
    call = ['train', *changed, '--model', 'm.safetensors', *CALL, '--resume']
    assert main(call) == 2
    assert steps.done == 0
    (line,) = said(capsys)
    assert words in line
    assert 'cannot be resumed' in line
    assert names() == {'m.safetensors.resume'}
    assert contents('m.safetensors.resume') == contents(interrupted)


def test_of_several_trainings_only_the_unfinished_ones_are_continued(steps, capsys):
    channels = np.stack([tifffile.imread(name) for name in ('a.tif', 'b.tif')])
    tifffile.imwrite('ab.tif', channels, imagej=True, metadata={'axes': 'CYX'})
    call = ['denoise', 'ab.tif', '--model-per', 'channel', *CALL, '--output']
    assert main([*call, 'whole.tif']) == 0
    steps.interrupt(STEPS + 2, [*call, 'out.tif'])
    said(capsys)
    assert main([*call, 'out.tif', '--resume']) == 0
    lines = [line for line in said(capsys) if 'the training' in line]
    assert lines[0].endswith('the training 1 of 2 is complete')
    assert lines[1].endswith('the training 2 of 2 continues from step 2')
    assert steps.done == STEPS - 2
    assert_same('out.tif', 'whole.tif')


def test_of_several_images_each_with_a_model_the_complete_ones_are_skipped(steps, capsys):
    call = ['denoise', 'a.tif', 'b.tif', '--model-per', 'image', *CALL, '--output', 'out/']
    steps.interrupt(STEPS + 2, call)
    assert not Path('out/b.tif').exists()
    said(capsys)
    assert main([*call, '--resume']) == 0
    assert any('--resume has no effect' in line for line in said(capsys))
    assert steps.done == STEPS  # of b.tif alone
    assert Path('out/b.tif').exists()


def test_images_of_one_training_are_made_again_when_it_is_resumed(steps, capsys):
    call = ['denoise', 'a.tif', 'b.tif', *CALL, '--output']
    assert main([*call, 'whole/']) == 0
    steps.interrupt(2, [*call, 'out/'])
    said(capsys)
    assert main([*call, 'out/', '--resume']) == 0
    assert steps.done == STEPS - 2
    for name in ('a.tif', 'b.tif'):
        assert_same(f'out/{name}', f'whole/{name}')


def test_a_disk_that_is_full_at_the_end_costs_no_training(steps, monkeypatch, capsys):
    call = ['train', 'a.tif', '--model', 'm.safetensors', *CALL]

    def full(model, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(ScoreModel, 'save', full)
        assert main(call) == 1
    assert names() == {'m.safetensors.resume'}
    steps.done = 0
    assert main([*call, '--resume']) == 0
    *_, told, last = said(capsys)
    assert 'the training is complete' in told
    assert last == 'napari-noise2score: written: m.safetensors'
    assert steps.done == 0
    assert names() == {'m.safetensors'}


def test_a_disk_that_is_full_meanwhile_is_said_once_and_costs_no_training(monkeypatch, capsys):
    call = ['train', 'a.tif', *CALL, '--model']
    assert main([*call, 'whole.safetensors']) == 0
    assert said(capsys) == ['napari-noise2score: written: whole.safetensors']

    def full(state, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(TrainingState, 'save', full)
    assert main([*call, 'm.safetensors']) == 0
    line, last = said(capsys)
    assert last == 'napari-noise2score: written: m.safetensors'
    assert line.startswith('napari-noise2score: m.safetensors.resume')
    assert 'could not be saved (No space left on device); the training continues' in line
    assert_same('m.safetensors', 'whole.safetensors')
    assert names() == {'m.safetensors', 'whole.safetensors'}


def test_nothing_is_saved_if_nothing_is_to_be_saved(steps):
    call = ['train', 'a.tif', '--model', 'm.safetensors', *CALL[:-1], '0']
    steps.interrupt(3, call)
    assert names() == set()


def test_a_place_where_the_state_cannot_be_saved_is_refused_before_the_work(steps, capsys):
    Path('m.safetensors.resume').write_text('mine')
    assert main(['train', 'a.tif', '--model', 'm.safetensors', *CALL]) == 2
    assert 'm.safetensors.resume is not a folder' in said(capsys)[0]
    assert steps.done == 0
    assert Path('m.safetensors.resume').read_text() == 'mine'


@pytest.mark.parametrize(('command', 'place'), [('train', 'M.resume'), ('denoise', 'OUT.resume')])
def test_the_help_says_where_the_state_is(command, place, capsys):
    with pytest.raises(SystemExit):
        main([command, '--help'])
    text = capsys.readouterr().out
    assert '--resume' in text
    assert place in text


def test_for_a_result_at_a_url_no_training_is_saved(steps, capsys):
    call = ['denoise', 'a.tif', *CALL, '--output', 'memory://resume/out.ome.zarr']
    steps.interrupt(2, call)
    assert names() == set()
    said(capsys)
    assert main([*call, '--resume']) == 0
    assert any('--resume has no effect for a result at a URL' in line for line in said(capsys))
    assert steps.done == STEPS
    assert names() == set()
