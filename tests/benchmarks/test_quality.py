"""The quality benchmarks run from end to end on tiny images and write both their files."""

import importlib
import io
import json
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from napari_noise2score import PoissonGaussian
from napari_noise2score.images.synthetic import synthetic_stack

pytestmark = pytest.mark.usefixtures('one_pass')
QUALITY = Path(__file__).parents[2] / 'benchmarks' / 'quality'
SMALL = ['--channels', '8', '--patch', '16', '--batch', '2', '--steps', '1']


def run(script: str, *arguments: object, status: int = 0) -> str:
    """What a script says; in this process, as PyTorch takes seconds to load."""
    call = [str(part) for part in (QUALITY / script, *arguments)]
    said, failed, code = io.StringIO(), io.StringIO(), None
    with (
        patch.object(sys, 'argv', call),
        patch.object(sys, 'path', [str(QUALITY), str(QUALITY.parent), *sys.path]),
        redirect_stdout(said),
        redirect_stderr(failed),
    ):
        try:
            runpy.run_path(call[0], run_name='__main__')
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # as Python does at its end
                print(code, file=sys.stderr)
                code = 1
    assert (code or 0) == status, failed.getvalue()
    return said.getvalue() if status == 0 else failed.getvalue()


def rows(text: str) -> dict[str, list[str]]:
    """Cells of the Markdown tables by the first one of their row."""
    lines = [line.strip('| ').split(' | ') for line in text.splitlines() if line.startswith('|')]
    return {cells[0]: cells[1:] for cells in lines}


@pytest.fixture(scope='module')
def stacks(tmp_path_factory) -> Path:
    """A stack of two frames of 64 x 64 pixels beside its ground truth."""
    folder = tmp_path_factory.mktemp('stacks')
    noise = PoissonGaussian(6, 5, 2)
    stack = synthetic_stack('nuclei', frames=2, size=64, photons=20, noise=noise, seed=1)
    for name, values in (('A.tif', stack.noisy), ('A_gt.tif', stack.truth)):
        levels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        tifffile.imwrite(folder / name, levels, photometric='minisblack')
    return folder


@pytest.fixture(scope='module')
def photographs(tmp_path_factory) -> Path:
    """Two clean grey images of 64 x 64 pixels."""
    folder = tmp_path_factory.mktemp('photographs')
    for seed in (1, 2):
        truth = synthetic_stack('filaments', frames=1, size=64, seed=seed).truth
        levels = 20 + 200 * (truth - truth.min()) / np.ptp(truth)
        imsave(folder / f'{seed}.png', levels.astype(np.uint8), check_contrast=False)
    return folder


def test_stacks_through_the_command_line(stacks, tmp_path):
    output = tmp_path / 'tables' / 'fmd.md'
    extra = ('--', '--gain', '6', '--offset', '5', '--read-noise', '2')
    text = run('fmd.py', stacks, '--steps', '1', '--output', output, *extra)
    assert output.read_text(encoding='utf-8').strip() == text.strip()
    noisy, ours, noisy_ssim, ours_ssim = map(float, rows(text)['A'][:4])
    assert ours > noisy
    assert ours_ssim > noisy_ssim
    written = json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))
    (record,) = written['records']
    assert record['noise'] == 'Poisson-Gaussian (gain 6, offset 5, read noise 2)'
    assert record['training_steps'] == 1
    assert record['psnr'] == pytest.approx(ours, abs=0.006)
    assert written['settings']['steps'] == 1
    assert written['machine']['device'] == 'cpu'
    assert 'torch' in written['versions']
    assert written['seconds'] >= record['wall_seconds'] - 1


def test_a_failure_of_the_command_line_is_told(stacks):
    said = run('fmd.py', stacks, '--steps', '1', '--', '--gain', '-1', status=1)
    assert 'gain is -1' in said


def test_sweep_tells_how_far_the_automatic_choice_is_from_the_best(stacks, tmp_path):
    output = tmp_path / 'sweep.md'
    text = run('fmd.py', stacks, '--sweep', '--steps', '1', '--output', output)
    (record,) = json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))['records']
    assert record['correlation none, trained'] == 'as auto'
    assert record['auto - best'] == pytest.approx(record['auto'] - record[record['best by hand']])
    numbers = {k: v for k, v in record.items() if isinstance(v, float)}
    hidden = ('raw', 'auto', 'auto - best', 'correlation')
    best = max(value for name, value in numbers.items() if name not in hidden)
    assert record[record['best by hand']] == best
    assert float(rows(text)['auto less best by hand'][0]) == pytest.approx(
        record['auto - best'], abs=0.006
    )


def records_of(output: Path) -> list[dict[str, object]]:
    return json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))['records']


def test_paper_beside_the_published_numbers(photographs, tmp_path):
    output, models = tmp_path / 'paper.md', tmp_path / 'models'
    folders = ['--train', photographs, '--test', photographs, '--sets', 'set12', '--images', '1']
    options = [*SMALL, '--noises', 'gaussian25', '--output', output, '--models', models]
    found = rows(run('paper.py', *folders, *options))['Gaussian, σ = 25/255']
    assert found[0] == 'trained from scratch'
    assert found[5:11] == ['30.13', '30.08', '29.96', '27.56', '30.33', '23.00']
    exact = 20 * np.log10(255 / 25)
    assert float(found[1]) == pytest.approx(exact, abs=0.28)  # 4 standard errors of 8192 pixels
    assert float(found[2]) > float(found[1])
    assert [path.name for path in models.iterdir()] == ['gaussian25-known.safetensors']
    (record,) = records_of(output)
    assert record['known'] == pytest.approx(np.mean(record['known_each']))
    assert len(record['known_each']) == 2


def test_paper_blind_beside_rows_of_an_earlier_run(photographs, tmp_path):
    output = tmp_path / 'paper.md'
    training = {'steps_done': 7, 'batch': 1, 'patch': 16, 'device': 'cpu', 'network': {}}
    earlier = {'experiment': 'gaussian50', 'training': 'known', 'training_record': training}
    earlier |= {'set': 'set12', 'sizes': ['8 x 8'], 'weights': 'trained from scratch'}
    earlier |= {'images': 1, 'realisations': 1, 'set_estimate': 'Gaussian', 'noisy': 14.15}
    earlier |= {'known': 27.0, 'known_each': [27.0], 'blind_image': 26.5, 'blind_set': 26.75}
    earlier |= {'run': {'command': 'python paper.py', 'date': '2026-01-01', 'version': 'abc'}}
    replaced = {**earlier, 'experiment': 'gamma50'}
    written = json.dumps({'records': [earlier, replaced]})
    output.with_suffix('.json').write_text(written, encoding='utf-8')
    folders = ['--train', photographs, '--test', photographs, '--sets', 'set12', '--images', '1']
    options = [*SMALL, '--noises', 'gamma50', '--training', 'blind', '--output', output, '--keep']
    text = run('paper.py', *folders, *options)
    found = rows(text)
    assert found['Gaussian, σ = 50/255'][1:5] == ['14.15', '27.00', '26.50', '26.75']
    assert found['Gamma, k = 50'][5:10] == ['30.87', '30.83', '', '27.36', '31.68']
    assert 'noise is estimated as Gamma (shape' in text
    assert '* `python paper.py`, 2026-01-01, version abc' in text
    assert [record['training'] for record in records_of(output)] == ['known', 'blind']


def test_paper_with_pretrained_weights_on_images_held_out(photographs, tmp_path):
    output = tmp_path / 'paper.md'
    sets = ['--train', photographs, '--sets', 'held-out', '--held-out', '1']
    options = ['--init', 'warm', '--seconds', '0', '--noises', 'gaussian50', '--output', output]
    text = run('paper.py', *sets, *options)
    found = rows(text)['Gaussian, σ = 50/255']
    assert found[0] == 'pretrained'
    assert float(found[2]) > float(found[1]) + 5
    assert found[4] == ''  # there is no training set
    assert found[5:10] == ['26.21', '25.81', '25.62', '24.34', '26.27']
    (record,) = records_of(output)
    assert len(record['known_each']) == len(record['blind_image_each']) == 1
    assert '1 images (64 x 64 pixels). This is not BSD68.' in text


def test_paper_trains_from_the_pretrained_weights(photographs, tmp_path):
    output = tmp_path / 'paper.md'
    sets = ['--train', photographs, '--sets', 'held-out', '--held-out', '1']
    options = ['--init', 'warm', '--steps', '1', '--noises', 'gaussian50', '--output', output]
    text = run('paper.py', *sets, *options)
    found = rows(text)['Gaussian, σ = 50/255']
    assert found[0] == 'pretrained, then trained'
    assert all(float(value) > float(found[1]) + 5 for value in found[2:5])
    assert 'then trained: 1 steps of' in text
    assert '1 x 1 training images' in text


def test_paper_refuses_sets_that_it_does_not_have(photographs):
    said = run('paper.py', '--train', photographs, '--sets', 'bsd68', status=2)
    assert '--sets bsd68: known are set12, held-out, colour' in said
    said = run('paper.py', '--train', photographs, '--sets', 'held-out', status=1)
    assert '68 of 2 images cannot be held out' in said


def test_images_held_out_are_spread_and_no_longer_among_the_others(monkeypatch):
    monkeypatch.syspath_prepend(QUALITY)
    photographs = importlib.import_module('photographs')
    images = [np.full((1, 1), number) for number in range(400)]
    others, out = ([int(image[0, 0]) for image in found] for found in photographs.divide(images))
    assert (len(others), len(out)) == (332, 68)
    assert sorted(others + out) == list(range(400))
    assert out == [number * 400 // 68 for number in range(68)]


def test_colour_images_need_no_network_and_have_one_psnr_over_all_colours(monkeypatch):
    monkeypatch.syspath_prepend(QUALITY)
    photographs, scores = map(importlib.import_module, ('photographs', 'scores'))
    with patch('skimage.data._fetchers._image_fetcher', None):  # what downloads
        images = photographs.colour_images()
    assert [image.shape[2] for image in images] == [3] * 5
    assert all(
        image.dtype == np.float32 and 0 <= image.min() < image.max() <= 1 for image in images
    )
    truth = np.zeros((4, 4, 3))
    wrong = truth.copy()
    wrong[..., 0] = 0.1  # an error of 0.01 in one of three colours
    assert scores.psnr(wrong, truth, 1.0) == pytest.approx(10 * np.log10(3 / 0.01))


def test_peers_on_the_same_stacks(stacks, tmp_path):
    output = tmp_path / 'peers.md'
    text = run('peers.py', stacks, '--steps', '1', '--without', 'n2v', '--output', output)
    found = rows(text)
    assert float(found['ours, trained'][0]) > float(found['noisy'][0])
    assert 'Noise2Void (CAREamics)' not in found
    records = json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))['records']
    for record in records:
        if 'missing' in record:
            assert f'{record["method"]}, A: not installed: pip install' in text
        else:
            assert record['psnr'] >= records[0]['psnr'], record['method']
    assert [record['method'] for record in records] == [
        'noisy',
        'ours, pretrained weights',
        'ours, trained',
        'ours, trained from scratch',
        'ours, pretrained, sees the other frames',
        'VST + BM3D',
        'VST + NLM',
        'VST + wavelets',
        'ndsafir, sees the other frames',
        'BMND',
    ]
    steps = {record['method']: record.get('steps') for record in records}
    assert [steps[f'ours, {name}'] for name in ('pretrained weights', 'trained')] == [0, 1]


def test_an_unknown_peer_is_refused(stacks):
    assert 'known are pretrained, trained' in run('peers.py', stacks, '--without', 'n2n', status=2)


def test_starts_with_and_without_training(stacks, tmp_path):
    output = tmp_path / 'starts.md'
    options = ['--inits', 'scratch,warm', '--seconds', '0,0.5', '--output', output]
    text = run('starts.py', stacks, *options)
    records = json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))['records']
    found = [(one['init'], one['seconds'], one['training_steps'] > 0) for one in records]
    assert found == [('scratch', 0.5, True), ('warm', 0.0, False), ('warm', 0.5, True)]
    assert [one['weights'] for one in records] == [None, 1_012_609, 1_012_609]
    scratch, warm, trained = records
    assert warm['psnr'] > scratch['psnr']
    assert trained['risk']['value'] <= trained['start_risk']['value']
    assert float(rows(text)['warm'][2]) == pytest.approx(trained['psnr'], abs=0.006)


def test_set12_with_known_parameters(photographs, tmp_path):
    output = tmp_path / 'set12.md'
    options = ['--noises', 'poisson0.01', '--seconds', '0', '--output', output]
    found = rows(run('set12.py', photographs, *options))['Poisson, ζ = 0.01']
    (record,) = json.loads(output.with_suffix('.json').read_text(encoding='utf-8'))['records']
    assert len(record['each']) == 2
    assert record['psnr'] > record['noisy'] + 3
    assert found[:4] == [f'{record["noisy"]:.2f}', f'{record["psnr"]:.2f}', '31.58', '0']
    said = run('set12.py', photographs, '--noises', 'nothing', status=2)
    assert 'nothing: known are gaussian' in said


def test_movies_with_events_beside_the_mean_of_the_others(tmp_path):
    rng = np.random.default_rng(1)
    scene = synthetic_stack('filaments', frames=1, size=64, photons=60, seed=1).truth
    truth = np.repeat(scene[None] + 10, 16, axis=0)
    for number in range(5):  # flashes
        row = 4 + 12 * number
        truth[4 + number, row : row + 5, 10:15] += 3 * scene.mean() ** 0.5
    decay = np.exp(-np.arange(8) / 4)[:, None, None]
    truth[5:13, 40:49, 40:49] += 3 * scene.mean() ** 0.5 * decay
    np.save(tmp_path / 'M_truth.npy', truth)
    tifffile.imwrite(tmp_path / 'M.tif', rng.poisson(truth).astype(np.uint16))
    output = tmp_path / 'movies.json'
    options = ['--seconds', '0', '--methods', 'ours,context,mean', '--output', output]
    text = run('movies.py', tmp_path, *options)
    noisy, alone, beside, mean = records_of(output)
    assert noisy['psnr'] < alone['psnr'] < beside['psnr']
    assert 0.5 < alone['kept 3'] < 1.2
    assert 0.5 < alone['slow 2'] < 1.2
    assert abs(mean['kept 3']) < 0.3  # a frame is not in its own mean
    assert abs(alone['leak']) < 0.1
    quality = rows(text.partition('Events')[0])['M']
    assert float(quality[1]) == pytest.approx(alone['psnr'], abs=0.006)
    assert not output.with_suffix('.md').exists()


def test_forms_of_the_correction_at_low_light(tmp_path):
    output = tmp_path / 'low_light.json'
    options = ['--photons', '3', '--size', '48', '--seconds', '0', '--output', output]
    run('low_light.py', *options)
    true, learned = records_of(output)
    assert true['chained'] == pytest.approx(true['ideal'], rel=1e-3)
    assert true['paper'] > 2 * true['ideal']
    assert learned[learned['chosen']] > learned['noisy']


def test_noise_estimates_of_real_and_synthetic_stacks(stacks, tmp_path):
    output = tmp_path / 'noise.json'
    options = ['--frames', '2', '--size', '128', '--photons', '100', '--output', output]
    found = rows(run('noise_estimate.py', stacks, *options))
    real, *synthetic = records_of(output)
    gain, offset = real['all frames']
    assert found['A'][0] == f'{gain:.2f}, {offset:.1f}'
    assert gain == pytest.approx(6, rel=0.2)
    assert [one['read noise'] for one in synthetic] == [0, 1, 2, 5]
    assert abs(synthetic[0]['gain']) < 20


def test_parameters_three_ways(tmp_path):
    output = tmp_path / 'parameters.json'
    options = ['--photons', '30', '--frames', '2', '--size', '64', '--steps', '1']
    found = rows(run('parameters.py', *options, '--output', output))
    photons, *gaussian = records_of(output)
    assert [one['noise'] for one in gaussian] == [f'sigma {s}' for s in (5, 15, 25, 50)]
    fit = photons['photon-transfer fit gain']['error']
    assert found['30 photons'][0].strip('()') == f'{fit:+.0f} %'
    assert abs(gaussian[2]['photon-transfer fit sigma']['error']) < 10


def test_the_noise_that_a_score_shows_beside_what_was_told(tmp_path):
    output = tmp_path / 'assumed_variance.json'
    options = ['--photons', '30', '--size', '64', '--steps', '1', '--output', output]
    found = rows(run('assumed_variance.py', *options))
    right, twice, half = records_of(output)
    assert twice['truth'] < right['truth'] < half['truth']
    assert set(right['shown']) == {'0', '1', '1.4'}
    assert found['half the variance'][0] == f'{half["truth"]:.2f}'


def test_trainings_of_several_seeds(stacks, tmp_path):
    output = tmp_path / 'trainings.json'
    found = rows(run('trainings.py', stacks, '--seeds', '2', '--steps', '1', '--output', output))
    records = records_of(output)
    assert [one['seed'] for one in records] == [0, 1]
    reached = sorted(one['psnr'] for one in records)
    assert found['A'][1:6:2] == [f'{reached[0]:.2f}', f'{reached[1]:.2f}', '0']


def test_risks_beside_the_true_errors(tmp_path):
    output = tmp_path / 'risks.json'
    options = ['--size', '64', '--steps', '1', '--output', output, '--keep']
    text = run('risks.py', '--cases', '3 photons', *options)
    records = {one['case']: one for one in records_of(output)}
    assert len(records) > 1
    assert 'cases: a risk is printed in' in text
    for name, record in records.items():
        assert abs(record['gain']) < 1
        assert rows(text)[name][2] == f'{record["true"][0]:.3f}'
    run('risks.py', '--cases', '3 photons', *options)
    assert records_of(output) == list(records.values())  # those that were there


def test_volumes_with_and_without_the_other_slices(tmp_path):
    scene = synthetic_stack('filaments', frames=1, size=64, seed=1).truth
    light = np.linspace(1, 0.8, 8)[:, None, None]
    tifffile.imwrite(tmp_path / 'V.tif', (light * scene).astype(np.float32))
    output = tmp_path / 'volumes.json'
    options = ['--seconds', '0', '--methods', 'ours,context', '--output', output]
    found = rows(run('volumes.py', tmp_path / 'V.tif', *options))
    noisy, alone, beside = records_of(output)
    assert noisy['psnr'] < alone['psnr'] < beside['psnr']
    assert float(found['mean'][2]) == pytest.approx(beside['psnr'], abs=0.006)


def test_speed_before_and_after_a_training(tmp_path):
    output = tmp_path / 'speed.json'
    text = run('speed.py', '--frames', '2', '--size', '64', '--seconds', '0.1', '--output', output)
    records = [one for one in json.loads(output.read_text())['records'] if 'seconds' in one]
    assert [(one['program'], one['trained']) for one in records] == [
        (program, trained)
        for program in ('ours', 'ours, sees the other frames')
        for trained in (False, True)
    ]
    for one in records:
        assert one['pixels'] == 2 * 64 * 64
        assert one['seconds'] > 0
    alone, beside = (one['flops'] / one['views'] for one in records[::2])
    assert 300e3 < alone < 400e3  # as counted by hand: 381 kFLOP a pixel
    assert alone < beside < 2 * alone
    share = float(rows(text)['ours'][-1].rstrip('%'))
    assert 0 < share < 150
    assert 'careamics' in text
