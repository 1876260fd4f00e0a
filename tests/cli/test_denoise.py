"""Several images in one call, and what is there when something goes wrong."""

import errno
import io
import json
import os
import signal
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.hooks import seeing

from napari_noise2score.cli import main
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.record import describe
from napari_noise2score.score.model import ScoreModel

AT_ONCE = ['--seconds', '0', '--device', 'cpu']
DESCRIBE = 'napari_noise2score.pipeline.stages.describe'
GAIN = 'napari_noise2score.analysis.training_gain.gain_words'
GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'YX'}}


pytestmark = pytest.mark.usefixtures('one_pass')


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    return synthetic_stack('puncta', frames=3, size=64, seed=1).noisy


@pytest.fixture
def data(tmp_path, frames, monkeypatch) -> Path:
    """A folder with three images, which is where the command is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    for name, frame in zip('abc', frames, strict=True):
        tifffile.imwrite(tmp_path / 'data' / f'{name}.tif', frame, **GREY)
    return Path('data')


@pytest.fixture(scope='module')
def model(tmp_path_factory, frames) -> str:
    folder = tmp_path_factory.mktemp('model')
    tifffile.imwrite(folder / 'in.tif', frames[0], **GREY)
    path = str(folder / 'm.safetensors')
    assert main(['train', str(folder / 'in.tif'), '--model', path, *AT_ONCE]) == 0
    return path


def files(folder: Path | str) -> list[str]:
    """All files but tables and claims."""
    paths = [path for path in Path(folder).rglob('*.*') if path.suffix != '.claim']
    return sorted(str(path.relative_to(folder)) for path in paths if path.stem != 'denoised')


def lines(capsys) -> list[str]:
    said = capsys.readouterr().err.splitlines()
    assert all(line.startswith('napari-noise2score: ') for line in said)
    return [line.removeprefix('napari-noise2score: ') for line in said]


def spoil(data: Path) -> list[str]:
    """Names of the images, three that are none among them."""
    whole = (data / 'a.tif').read_bytes()
    (data / 'damaged.tif').write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(data / 'constant.tif', np.full((64, 64), 7, np.uint8), **GREY)
    return [str(data / f'{n}.tif') for n in ('a', 'damaged', 'constant', 'missing', 'c')]


@pytest.mark.parametrize('how', ['together', 'apart', 'apply'])
def test_bad_files_do_not_take_the_others_with_them(data, model, capsys, how):
    command = ['apply', model] if how == 'apply' else ['denoise']
    extra = {'together': AT_ONCE, 'apart': [*AT_ONCE, '--model-per', 'image']}
    call = [*command, *spoil(data), '--output', 'out', '--report', 'r.json']
    assert main([*call, *extra.get(how, ['--device', 'cpu'])]) == 1
    assert files('out') == ['a.tif', 'c.tif']
    said = lines(capsys)
    for name in ('damaged', 'constant', 'missing'):
        start = f'{Path("data") / name}.tif: failed: '
        assert sum(line.startswith(start) for line in said) == 1
    assert said[-1].startswith('2 of 5 images done, 3 failed: ')
    record = json.loads(Path('r.json').read_text())
    assert [image['source'] for image in record['images']] == ['a.tif', 'c.tif']
    assert {Path(image['source']).stem for image in record['failed']} == {
        'damaged',
        'constant',
        'missing',
    }


def test_a_training_goes_on_without_bad_files(data, capsys):
    call = ['train', *spoil(data), '--model', 'new/m.safetensors', *AT_ONCE]
    assert main(call) == 1
    assert files('new') == ['m.safetensors']
    assert lines(capsys)[-1].startswith('2 of 5 images done, 3 failed: ')


def test_a_training_learns_from_the_same_part_of_each_image(data, capsys):
    images = [str(data / name) for name in ('a.tif', 'b.tif')]
    call = ['train', *images, '--model', 'm.safetensors', '--learn-from', 'Y0:48', *AT_ONCE]
    assert main(call) == 0
    learned = ScoreModel.load('m.safetensors').data['images']
    assert [image['name'] for image in learned] == ['a.tif', 'b.tif']
    assert all(image['region'] == 'Y0:48' for image in learned)
    assert all(image['shape'] == [48, 64] for image in learned)


def test_if_all_are_bad_nothing_is_trained_or_written(data, capsys):
    bad = spoil(data)[1:4]
    before = files('.')
    for call in (['denoise', '--output', 'out'], ['train', '--model', 'm.safetensors']):
        assert main([call[0], *bad, *call[1:], *AT_ONCE]) == 2
        assert lines(capsys)[-1].startswith('0 of 3 images done, 3 failed: ')
    assert files('.') == before
    assert not Path('out').exists()


def test_each_result_is_written_when_it_is_done(data, model):
    there = [[]]

    def noted(*inputs):
        there.extend([now] if (now := files('out')) != there[-1] else [])

    with seeing(noted):
        assert main(['apply', model, 'data', '--output', 'out', '--device', 'cpu']) == 0
    assert there == [[], ['a.tif'], ['a.tif', 'b.tif']]


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_says_what_was_written(data, model, capsys, number, status):
    def interrupted(*inputs):
        if files('out') == ['a.tif', 'b.tif']:
            signal.raise_signal(number)

    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # what runs in the background of a shell is deaf to SIGINT
    keys = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        call = ['apply', model, 'data', '--output', 'out', '--report', 'r.json', '--device', 'cpu']
        with seeing(interrupted):
            assert main(call) == status
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, keys)
    assert files('out') == ['a.tif', 'b.tif']
    assert len(json.loads(Path('r.json').read_text())['images']) == 2
    last = lines(capsys)[-1]
    assert last.startswith('interrupted; these files were written: ')
    assert all(name in last for name in (str(Path('out/a.tif')), str(Path('out/b.tif')), 'r.json'))


def test_a_full_disk_costs_the_image_alone(data, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError('131072 requested and 64440 written')

    def why(*arguments):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(tifffile, 'imwrite', full)
    monkeypatch.setattr(tifffile.TiffWriter, 'write', full)
    monkeypatch.setattr(os, 'write', why)
    call = ['denoise', 'data/a.tif', '--output', 'o.tif', '--report', 'r.json']
    assert main([*call, '--model-out', 'm.safetensors', *AT_ONCE]) == 1
    assert {'r.json', 'm.safetensors'} < set(files('.'))
    assert not list(Path().glob('o.tif*'))
    assert 'o.tif: not enough disk space for it (No space left on device)' in lines(capsys)


def test_an_image_too_large_for_the_memory_is_left_out_of_many(data, model, monkeypatch, capsys):
    def large(corrected, score_map, settings):
        if score_map.prepared.source.name == 'b.tif':
            np.empty(2**62, np.uint8)
        return describe(corrected, score_map, settings)

    monkeypatch.setattr(DESCRIBE, large)
    assert main(['apply', model, 'data', '--output', 'out', '--device', 'cpu']) == 1
    assert files('out') == ['a.tif', 'c.tif']
    (line,) = [line for line in lines(capsys) if line.startswith('data')][1:2]
    assert '4194304 TiB more were needed' in line
    assert main(['apply', model, 'data/b.tif', '--output', 'b.tif', '--device', 'cpu']) == 1
    (line,) = lines(capsys)
    assert line.startswith('not enough memory: ')
    assert '--region' in line


def test_words_come_after_the_files_and_cost_nothing(data, monkeypatch, capsys):
    monkeypatch.setattr(GAIN, lambda training: 'better by 0.5 ± 0.1')
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding='ascii')
    call = ['denoise', 'data/a.tif', '--output', 'o.tif', '--report', 'r.json', *AT_ONCE]
    with redirect_stdout(terminal):
        assert main(call) == 0
    assert raw.getvalue().split() == b'better by 0.5 +- 0.1'.split()
    assert {'o.tif', 'r.json'} < set(files('.'))


def test_reports_and_models_of_no_training_are_strict_json(data, model):
    def refuse(word: str) -> None:
        raise ValueError(f'{word} is no JSON')

    call = ['apply', model, 'data/a.tif', '--output', 'o.tif', '--report', 'r.json']
    assert main([*call, '--device', 'cpu']) == 0
    record = json.loads(Path('r.json').read_text(), parse_constant=refuse)
    assert record['training']['final_loss'] is None
    raw = Path(model).read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], 'little')])
    settings = json.loads(header['__metadata__']['settings'], parse_constant=refuse)
    assert settings['training']['final_loss'] is None


def test_folders_and_patterns_are_denoised_and_results_are_called_tiff(data, model):
    (data / 'a.tif').rename(data / 'a.dat')
    (data / 'b.tif').rename(data / 'b.lsm')
    apply = ['apply', model, '--device', 'cpu', '--output']
    assert main([*apply, 'of_folder', 'data']) == 0
    assert files('of_folder') == ['b.tif', 'c.tif']
    assert main([*apply, 'of_pattern/', 'data/?.*']) == 0
    assert files('of_pattern') == ['a.tif', 'b.tif', 'c.tif']


def test_a_result_beside_the_inputs_is_no_input_of_the_next_run(data, model, capsys):
    for name in 'bc':
        (data / f'{name}.tif').unlink()
    call = ['apply', model, 'data', '--output', 'data/clean.tif', '--device', 'cpu']
    for _ in range(2):
        assert main(call) == 0
        assert files('data') == ['a.tif', 'clean.tif']
    assert main(['apply', model, 'data', '--output', 'data', '--device', 'cpu']) == 2
    assert 'is also an input' in lines(capsys)[-1]


def test_an_input_that_goes_away_after_it_was_learned_from_costs_nothing(data, model):
    def gone(*inputs):
        (data / 'a.tif').unlink(missing_ok=True)

    call = ['apply', model, 'data/a.tif', '--output', 'o.tif', '--report', 'r.json']
    with seeing(gone):
        assert main([*call, '--device', 'cpu']) == 0
    assert not (data / 'a.tif').exists()
    assert {'o.tif', 'r.json'} <= set(files('.'))


@pytest.mark.parametrize('command', ['denoise', 'apply'])
def test_an_image_of_another_program_is_not_replaced_by_a_result(data, model, capsys, command):
    """One raw image named by mistake as the output of another."""
    raw = (data / 'b.tif').read_bytes()
    call = [command, *([model] if command == 'apply' else []), str(data / 'a.tif')]
    call += ['--output', str(data / 'b.tif'), '--device', 'cpu']
    call += ['--seconds', '0'] if command == 'denoise' else []
    assert main(call) == 2
    (line,) = lines(capsys)
    assert line == (
        f'{data / "b.tif"}: exists already, and is not a result of this program; give another '
        'name (denoise and apply replace it with --overwrite)'
    )
    assert (data / 'b.tif').read_bytes() == raw
    assert main([*call, '--overwrite']) == 0
    assert (data / 'b.tif').read_bytes() != raw
    assert main(call) == 0  # now it is a result of this program
