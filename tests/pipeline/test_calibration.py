"""Calibration images and files: channels, and the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.pipeline.calibration import calibrate_images

pytestmark = pytest.mark.usefixtures('one_pass')

TRUE = PoissonGaussian(2.2, 100.0, 3.5)


def frames(light: float, *shape: int, seed: int = 0, camera: PoissonGaussian = TRUE) -> np.ndarray:
    return camera.sample(np.full(shape, camera.offset + light), np.random.default_rng(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Dark and flat-field frames and an image; the file of the flat field has no axes."""
    ramp = 100 + np.linspace(30, 600, 64) * np.ones((3, 64, 1))
    images = {
        'dark': frames(0, 8, 96, 96),
        'flat': frames(900, 8, 96, 96, seed=1),
        'cells': TRUE.sample(ramp, np.random.default_rng(2)),
    }
    for name, values in images.items():
        stated = {} if name == 'flat' else {'axes': 'TYX'}
        whole = np.rint(values).astype(np.uint16)
        tifffile.imwrite(
            tmp_path / f'{name}.tif', whole, photometric='minisblack', metadata=stated or None
        )
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], arguments: list[object]) -> tuple[str, str]:
    assert main([str(word) for word in arguments]) == 0
    told = capsys.readouterr()
    return told.out, told.err


def test_channels_that_are_alike_are_one_and_a_single_one_stands_for_all():
    dark = ImageSource(frames(0, 6, 64, 64), 'TYX')
    flat = ImageSource(frames(800, 2, 6, 64, 64, seed=1), 'CZYX')
    found = calibrate_images(dark, flat)
    assert found.parameters['gain'] == pytest.approx(TRUE.gain, rel=0.05)
    assert '2 channels' in found.source


def test_channels_that_differ_are_refused():
    dark = ImageSource(frames(0, 2, 6, 64, 64), 'CTYX')
    flat = ImageSource(frames(800, 3, 6, 64, 64), 'CTYX')
    with pytest.raises(InputError, match='dark frames have 2 channels, the flat field 3'):
        calibrate_images(dark, flat)
    other = np.stack([frames(0, 6, 64, 64), frames(0, 6, 64, 64) + 50])
    with pytest.raises(InputError, match='channels of the calibration frames differ: offset'):
        calibrate_images(ImageSource(other, 'CTYX'))


def test_estimate_with_calibration_files(folder, capsys):
    estimate = ['estimate', folder / 'cells.tif', '--dark', folder / 'dark.tif']
    words, _ = said(capsys, [*estimate, '--flat', folder / 'flat.tif'])
    assert 'measured on 8 dark frames and 8 flat-field frames at 1 light level:' in words
    assert 'grey levels per photon' in words
    words, _ = said(capsys, estimate)
    assert 'gain estimated from the image' in words
    text, _ = said(capsys, [*estimate, '--json', '--read-noise', '3'])
    record = json.loads(text)
    noise = record['channels'][0]['noise']
    assert noise['read_noise'] == 3
    assert noise['offset'] == record['calibration']['parameters']['offset']
    assert noise['gain'] == pytest.approx(TRUE.gain, rel=0.05)


def test_denoise_train_and_apply_take_what_was_measured(folder, capsys):
    both = ['--dark', folder / 'dark.tif', '--flat', folder / 'flat.tif']
    cells, model, report = folder / 'cells.tif', folder / 'm.safetensors', folder / 'r.json'
    quick = ['--steps', '1', '--device', 'cpu']
    said(capsys, ['train', cells, '--model', model, *quick, *both])
    to = ['--output', folder / 'clean.tif', '--report', report]
    for command in (
        ['denoise', cells, *to, *quick, *both, '--gain', '2.5'],
        ['apply', model, cells, *to, '--device', 'cpu', *both, '--gain', '2.5'],
    ):
        said(capsys, command)
        noise = json.loads(report.read_text())['channels'][0]['noise']
        assert noise['gain'] == 2.5
        assert noise['offset'] == pytest.approx(100, abs=0.2)
        assert noise['read_noise'] == pytest.approx(3.5, rel=0.05)


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (['--dark', 'flat.tif', '--flat', 'dark.tif'], 'are the two exchanged'),
        (['--dark', 'none.tif'], 'no such file'),
        (['--flat', 'flat.tif'], 'give dark frames too'),
        (['--dark', 'dark.tif', '--noise', 'gamma'], 'Gamma noise was requested'),
    ],
)
def test_wrong_uses_are_refused(folder, capsys, monkeypatch, arguments, text):
    monkeypatch.chdir(folder)
    assert main(['estimate', 'cells.tif', *arguments]) == 2
    assert text in capsys.readouterr().err
