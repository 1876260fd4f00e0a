import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.errors import TrainingError
from napari_noise2score.images.synthetic import synthetic_stack
from tests.hooks import failing_after

pytestmark = pytest.mark.usefixtures('one_pass')
QUICK = ['--steps', '3', '--device', 'cpu']


@pytest.fixture(scope='module')
def stack():
    return synthetic_stack('puncta', frames=2, size=64, seed=1)


@pytest.fixture
def noisy(tmp_path, stack) -> Path:
    path = tmp_path / 'noisy.tif'
    tifffile.imwrite(path, stack.noisy, photometric='minisblack', metadata={'axes': 'TYX'})
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_denoise_writes_image_report_and_model(noisy, stack, tmp_path):
    out, report, model = (tmp_path / n for n in ('out.tif', 'r.json', 'm.safetensors'))
    arguments = ['denoise', str(noisy), '--output', str(out), '--axes', 'TYX', *QUICK]
    status = main([*arguments, '--report', str(report), '--model-out', str(model), '--seed', '3'])
    assert status == 0
    result = tifffile.imread(out)
    assert result.shape == stack.noisy.shape
    assert result.dtype == np.float32
    assert np.mean((result - stack.truth) ** 2) < 0.5 * np.mean((stack.noisy - stack.truth) ** 2)
    record = json.loads(report.read_text())
    assert record['settings']['training']['seed'] == 3
    assert record['settings']['training']['steps'] == int(QUICK[1])
    assert record['settings']['training']['seconds'] is None
    assert record['channels'][0]['noise']['family'] == 'poisson-gaussian'
    assert files(tmp_path) == {'noisy.tif', 'out.tif', 'r.json', 'm.safetensors'}

    again = tmp_path / 'again.tif'
    assert main(['apply', str(model), str(noisy), '--output', str(again), '--device', 'cpu']) == 0
    np.testing.assert_array_equal(tifffile.imread(again), result)


def test_learning_by_perturbation_alone_is_another_result(noisy, tmp_path):
    results, more = {}, ['--steps', '10']
    for option in ('--no-frames', '--no-redraw'):
        out, report = tmp_path / f'out{option}.tif', tmp_path / 'r.json'
        call = ['denoise', str(noisy), '--output', str(out), '--report', str(report), *QUICK]
        assert main([*call, *more, '--no-frames', option]) == 0
        settings = json.loads(report.read_text())['settings']['training']
        assert settings['frames'] is False
        assert settings['redraw'] is (option == '--no-frames')
        results[option] = tifffile.imread(out)
    assert not np.array_equal(*results.values())


def test_0_seconds_start_from_the_shipped_weights_or_a_file(noisy, stack, tmp_path):
    out, report, model = (tmp_path / n for n in ('out.tif', 'r.json', 'm.safetensors'))
    call = ['denoise', str(noisy), '--output', str(out), '--seconds', '0', '--device', 'cpu']
    assert main([*call, '--report', str(report), '--model-out', str(model)]) == 0
    first = tifffile.imread(out)
    assert np.mean((first - stack.truth) ** 2) < 0.2 * np.mean((stack.noisy - stack.truth) ** 2)
    record = json.loads(report.read_text())
    assert record['settings']['training']['init'] == 'warm'
    assert record['training']['start_risk'] == record['training']['risk']
    assert main([*call, '--init', str(model)]) == 0
    np.testing.assert_array_equal(tifffile.imread(out), first)


def test_slices_of_a_stack_are_the_context_of_each_other(noisy, tmp_path, capsys):
    names = ('z.tif', 'r.json', 'm.safetensors', 'change.tif')
    out, report, model, change = (tmp_path / n for n in names)
    call = ['denoise', str(noisy), '--output', str(out), '--context', 'depth', *QUICK]
    assert main(call) == 2
    assert 'axes TYX' in capsys.readouterr().err
    extra = ['--report', str(report), '--model-out', str(model), '--difference', str(change)]
    assert main([*call, *extra, '--axes', 'ZYX', '--steps', '3']) == 0
    record = json.loads(report.read_text())
    assert record['settings']['context'] == 'depth'
    assert record['channels'][0]['context']['axis'] == 'Z'
    again = tmp_path / 'again.tif'
    arguments = ['apply', str(model), str(noisy), '--output', str(again), '--device', 'cpu']
    arguments += ['--context', 'depth']
    assert main([*arguments, '--axes', 'ZYX']) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(out))
    assert main([*arguments, '--axes', 'TYX']) == 2
    assert main(['estimate', str(noisy), '--axes', 'ZYX', '--model', str(model), '--json']) == 0


def test_several_slices_at_once_are_no_option(noisy, capsys):
    with pytest.raises(SystemExit, match='2'):
        main(['denoise', str(noisy), '--output', 'out.tif', '--slices', '3'])
    assert 'unrecognized arguments: --slices 3' in capsys.readouterr().err


def test_what_training_changed_is_written(noisy, stack, tmp_path, capsys):
    out, report, change = (tmp_path / n for n in ('out.tif', 'r.json', 'change.tif'))
    call = ['denoise', str(noisy), '--output', str(out), '--report', str(report), *QUICK]
    assert main([*call, '--difference', str(change)]) == 0
    written = tifffile.imread(change)
    assert written.shape == stack.noisy.shape
    (largest,) = json.loads(report.read_text())['largest_change']
    assert largest['rms'] >= largest['rms_of_channel']
    whole = float(np.sqrt(np.mean(written.astype(float) ** 2)))
    assert largest['rms_of_channel'] == pytest.approx(whole, rel=1e-3, abs=1e-9)
    assert 'Training' in capsys.readouterr().out


def test_pretrain_makes_weights_that_a_training_can_start_from(noisy, tmp_path, capsys):
    made = tmp_path / 'made.safetensors'
    call = ['pretrain', '--output', str(made), '--device', 'cpu', '--steps', '3']
    assert main([*call, '--channels', '8', '--blocks', '1']) == 0
    said = capsys.readouterr().out.split()
    assert hashlib.sha256(made.read_bytes()).hexdigest() in said
    out = tmp_path / 'out.tif'
    train = ['denoise', str(noisy), '--output', str(out), '--init', str(made), *QUICK]
    assert main(train) == 0
    photographs = tmp_path / 'photographs'
    photographs.mkdir()
    for number in range(2):
        tifffile.imwrite(photographs / f'{number}.tif', np.eye(170, dtype=np.uint8))
    assert main([*call, '--channels', '8', '--images', str(photographs)]) == 0
    (photographs / 'notes.txt').write_text('no image, and not taken for one')
    assert main([*call, '--channels', '8', '--images', str(photographs)]) == 0
    (photographs / 'broken.tif').write_text('no image')
    assert main([*call, '--images', str(photographs)]) == 2
    assert 'contains a file that is not an image' in capsys.readouterr().err
    assert main([*call, '--images', str(tmp_path / 'none')]) == 2


def test_axes_come_from_the_file(noisy, tmp_path):
    out = tmp_path / 'out.ome.tif'
    assert main(['denoise', str(noisy), '--output', str(out), *QUICK]) == 0
    with tifffile.TiffFile(out) as file:
        assert file.is_ome
        assert file.series[0].axes == 'TYX'


def test_train_then_apply_to_several_in_a_folder(noisy, stack, tmp_path):
    model, second, folder = tmp_path / 'm.safetensors', tmp_path / 'b.tif', tmp_path / 'clean'
    tifffile.imwrite(second, stack.noisy[0], metadata={'axes': 'YX'})
    assert main(['train', str(noisy), str(second), '--model', str(model), *QUICK]) == 0
    arguments = ['apply', str(model), str(noisy), str(second), '--output', str(folder)]
    assert main([*arguments, '--device', 'cpu', '--report', str(tmp_path / 'r.json')]) == 0
    assert files(folder) == {'noisy.tif', 'b.tif', 'denoised.csv', 'denoised.json'}
    assert len(json.loads((tmp_path / 'r.json').read_text())['images']) == 2


@pytest.mark.parametrize('correction', ['chained', 'paper', 'stabilised'])
@pytest.mark.parametrize(
    'noise',
    [
        ['--noise', 'gaussian', '--sigma', '8'],
        ['--noise', 'poisson'],
        ['--noise', 'poisson-gaussian', '--gain', '4', '--offset', '20', '--read-noise', '3'],
        ['--noise', 'gamma'],
        ['--shape', '9'],
        ['--noise', 'exponential'],
        ['--noise', 'tweedie', '--power', '1.5'],
    ],
)
def test_every_noise_and_correction_is_accepted(stack, tmp_path, correction, noise):
    small, out = tmp_path / 'small.tif', tmp_path / 'out.tif'
    tifffile.imwrite(small, stack.noisy[0, :32, :32], metadata={'axes': 'YX'})
    arguments = ['denoise', str(small), '--output', str(out), '--correction', correction]
    assert main([*arguments, *noise, '--seconds', '0', '--device', 'cpu']) == 0
    assert np.isfinite(tifffile.imread(out)).all()


def test_estimate_in_words_and_as_json(noisy, capsys):
    assert main(['estimate', str(noisy)]) == 0
    words = capsys.readouterr().out
    assert 'Poisson-Gaussian (gain 4' in words or 'Poisson-Gaussian (gain 3.' in words
    assert 'frame differences, 2 frames' in words
    assert main(['estimate', str(noisy), '--json']) == 0
    record = json.loads(capsys.readouterr().out)
    assert record['channels'][0]['noise']['gain'] == pytest.approx(4, rel=0.15)


def test_estimate_with_a_score_compares_the_ways(noisy, tmp_path, capsys):
    model = tmp_path / 'm.safetensors'
    assert main(['train', str(noisy), '--model', str(model), *QUICK]) == 0
    capsys.readouterr()
    arguments = ['estimate', str(noisy), '--model', str(model), '--device', 'cpu']
    assert main(arguments) == 0
    words = capsys.readouterr().out
    for way in ('photon-transfer fit', 'closed form of the score', 'search'):
        assert way in words
    given = ['--gain', '40', '--offset', '20', '--read-noise', '3']
    assert main([*arguments, *given, '--json']) == 0
    (channel,) = json.loads(capsys.readouterr().out)['channels']
    assert any(line.startswith('Gain: the photon-') for line in channel['disagreements'])


def test_noise_given_to_estimate_needs_a_score(noisy, capsys):
    assert '--model' in refused(capsys, ['estimate', str(noisy), '--gain', '4'])


def test_demo_writes_its_files(tmp_path, capsys):
    folder = tmp_path / 'demo'
    arguments = ['demo', '--output', str(folder), '--seconds', '0', '--no-viewer']
    assert main([*arguments, '--device', 'cpu']) == 0
    expected = {'noisy.tif', 'denoised.tif', 'truth.tif', 'comparison.png', 'report.json'}
    assert files(folder) == expected
    psnr = json.loads((folder / 'report.json').read_text())['psnr']
    assert psnr['clean'] > psnr['noisy'] + 3
    assert 'dB noisy' in capsys.readouterr().out


def refused(capsys, arguments: list[str], status: int = 2) -> str:
    """The one line on stderr of a command that is refused."""
    try:
        found = main(arguments)
    except SystemExit as error:
        found = error.code
    captured = capsys.readouterr()
    assert found == status
    assert captured.out == ''
    (line,) = captured.err.splitlines()
    assert 'Traceback' not in line
    return line


@pytest.mark.parametrize(
    ('extra', 'text'),
    [
        (['--axes', 'ZQ'], 'axes'),
        (['--axes', 'YX'], 'name 2 axes; the image has 3'),
        (['--noise', 'pink'], "invalid choice: 'pink'"),
        (['--gain', 'x'], "invalid float value: 'x'"),
        (['--gain', '-1'], 'gain is -1'),
        (['--noise', 'poisson', '--sigma', '1'], 'sigma is not a parameter of Poisson'),
        (['--seconds', '-3'], 'seconds is -3.0; a finite number of 0 or more'),
        (['--steps', '-1'], 'steps is -1'),
        (['--seconds', '0', '--init', 'scratch'], 'the weights stay random'),
        (['--init', 'missing'], 'missing: no such file'),
        (['--init', 'scratch', '--difference', 'd.tif'], '--init scratch has none'),
        (['--difference', 'd.png'], 'd.png: PNG is not written, only read; images are'),
        (['--device', 'tpu'], "'tpu' is unknown; accepted are auto"),
        (['--device', 'cpu,cuda:99'], 'several devices have to be NVIDIA GPUs'),
        (['--device', 'cuda:99'], "'cuda:99' is not available here; available: cpu"),
        (['--seed', '-1'], 'seed is -1'),
        (['--loss', 'l2'], "invalid choice: 'l2'"),
        (['--report', 'new/'], "'new/' is not a file name"),
    ],
)
def test_bad_options_are_refused_in_one_line(capsys, noisy, tmp_path, extra, text):
    before = files(tmp_path)
    line = refused(capsys, ['denoise', str(noisy), '--output', str(tmp_path / 'o.tif'), *extra])
    assert text in line
    assert files(tmp_path) == before


def test_estimate_refuses_a_device_that_is_not_there(capsys, noisy):
    line = refused(capsys, ['estimate', str(noisy), '--device', 'cuda:99'])
    assert "'cuda:99' is not available here; available: cpu" in line


def test_bad_files_are_refused_in_one_line(capsys, noisy, tmp_path):
    out = str(tmp_path / 'o.tif')
    assert 'no such file' in refused(capsys, ['denoise', 'missing.tif', '--output', out])
    assert 'is also an input' in refused(capsys, ['denoise', str(noisy), '--output', str(noisy)])
    assert 'written as .tif' in refused(capsys, ['denoise', str(noisy), '--output', 'out.png'])
    several = ['denoise', str(noisy), str(noisy), '--output']
    assert 'need a folder' in refused(capsys, [*several, out])
    assert 'overwrite each other' in refused(capsys, [*several, str(tmp_path)])
    assert 'not a model file' in refused(
        capsys, ['apply', str(noisy), str(noisy), '--output', out]
    )
    blank = tmp_path / 'blank.tif'
    tifffile.imwrite(blank, np.full((64, 64), 7, np.uint8), metadata={'axes': 'YX'})
    assert 'no noise was detected' in refused(
        capsys, ['denoise', str(blank), '--output', out, *QUICK]
    )
    assert files(tmp_path) == {'noisy.tif', 'blank.tif'}


@pytest.mark.parametrize(
    ('error', 'status', 'text'),
    [
        (TrainingError('nothing was learned'), 1, 'nothing was learned'),
        (RuntimeError('DefaultCPUAllocator: not enough memory\nmore'), 1, 'not enough memory'),
        (OSError(28, 'No space left on device'), 1, 'No space left on device'),
        (KeyboardInterrupt(), 130, 'interrupted'),
    ],
)
def test_failures_are_told_by_status_and_one_line(capsys, noisy, tmp_path, error, status, text):
    arguments = ['denoise', str(noisy), '--output', str(tmp_path / 'o.tif'), *QUICK]
    with failing_after(0, error):
        assert text in refused(capsys, arguments, status)
    assert files(tmp_path) == {'noisy.tif'}


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGINT for a child process')
def test_control_c_ends_with_130_and_leaves_nothing(noisy, tmp_path):
    out = tmp_path / 'o.tif'
    code = (
        'import sys, torch; from napari_noise2score.cli import main; '
        'print("loaded", flush=True); sys.exit(main(sys.argv[1:]))'
    )
    arguments = ['denoise', str(noisy), '--output', str(out), '--seconds', '120']
    child = subprocess.Popen(
        [sys.executable, '-c', code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # what a shell starts in the background ignores it, and so do its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stdout.readline() == 'loaded\n'
    time.sleep(3)
    child.send_signal(signal.SIGINT)
    _, text = child.communicate(timeout=60)
    assert child.returncode == 130
    assert 'Traceback' not in text
    assert files(tmp_path) == {'noisy.tif'}


def test_a_bar_is_drawn_on_a_terminal_only(noisy, tmp_path, capsys):
    out = str(tmp_path / 'o.tif')
    assert main(['denoise', str(noisy), '--output', out, *QUICK]) == 0
    assert '%' not in capsys.readouterr().err


def test_binary_frames_are_corrected_to_probabilities(tmp_path):
    frames = np.random.default_rng(0).random((4, 64, 64)) < 0.3
    source, out = tmp_path / 'frames.tif', tmp_path / 'out.tif'
    tifffile.imwrite(
        source, frames.astype(np.uint8), photometric='minisblack', metadata={'axes': 'TYX'}
    )
    arguments = ['denoise', str(source), '--output', str(out), '--noise', 'bernoulli']
    assert main([*arguments, *QUICK]) == 0
    assert tifffile.imread(out).mean() == pytest.approx(0.3, abs=0.06)


def test_risk_and_perturbation_are_in_the_report(noisy, tmp_path, capsys):
    out, report = tmp_path / 'out.tif', tmp_path / 'r.json'
    arguments = ['denoise', str(noisy), '--output', str(out), '--report', str(report)]
    assert main([*arguments, *QUICK, '--sigma-a', '0.4']) == 0
    record = json.loads(report.read_text())
    assert set(record['risk']) == {'stabilised', 'chained', 'paper'}
    assert record['risk']['stabilised']['standard_error'] > 0
    assert record['channels'][0]['sigma_a'] == 0.4
    assert record['training']['risk']['value'] < 1
    assert main([*arguments, *QUICK, '--sigma-a', '3']) == 2
    assert 'sigma_a is 3.0; a finite number from 0 to 2 is needed' in capsys.readouterr().err


def test_a_model_that_does_not_fit_is_said(noisy, stack, tmp_path, capsys):
    model, out, report = (tmp_path / n for n in ('m.safetensors', 'out.tif', 'r.json'))
    known = ['--noise', 'poisson', '--gain', '4', '--offset', '20', '--correlation', 'none']
    assert main(['train', str(noisy), '--model', str(model), *QUICK, *known]) == 0
    bright = tmp_path / 'bright.tif'
    light = np.random.default_rng(0).poisson(25 * np.maximum((stack.truth - 20) / 4, 0))
    tifffile.imwrite(bright, (20 + 4 * light).astype(np.float32), photometric='minisblack')
    apply = ['apply', str(model), str(bright), '--output', str(out), '--report', str(report)]
    assert main([*apply, *known, '--device', 'cpu']) == 0
    said = capsys.readouterr().err
    assert 'warning: The model does not fit: ' in said
    assert 'brighter than all images it was trained on' in said
    record = json.loads(report.read_text())
    assert any('brighter than all' in warning for warning in record['warnings'])
    assert len(record['model']['sha256']) == 64
