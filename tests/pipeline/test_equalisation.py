"""Images of a camera whose pixels differ (sCMOS), with maps of its dark frames."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_noise2score import DenoiseSettings, TrainSettings, calibrate, denoise
from napari_noise2score.cli import main
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.calibration.calibrate import Calibration
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.equalisation import equalised
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.preview import correct_plane
from napari_noise2score.progress import finish
from napari_noise2score.report.findings import measure_steps
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.weights import warm_start

pytestmark = pytest.mark.usefixtures('one_pass')

GAIN, OFFSET = 2.0, 100.0
SIZE = 128
QUICK = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'), orientations=2)


class Camera:
    """An sCMOS camera, dark frames of it and a noisy image."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        shape = (SIZE, SIZE)
        self.noise = 2.4 * np.exp(np.log(30) / 2.3263 * rng.normal(size=shape))
        self.offset = OFFSET + 3 * rng.normal(size=shape)
        light = GAIN * (2 + 30 * SCENES['nuclei'](shape, rng))
        self.clean = OFFSET + light
        self.dark = self.frames(np.zeros((60, *shape)), rng)
        self.noisy = self.frames(light[None], rng)[0]

    def frames(self, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = GAIN * rng.poisson(light / GAIN)
        return np.rint(self.offset + counts + self.noise * rng.normal(size=light.shape)).astype(
            np.int16
        )


@pytest.fixture(scope='module')
def camera() -> Camera:
    return Camera()


@pytest.fixture(scope='module')
def measured(camera: Camera) -> Calibration:
    return calibrate(camera.dark)


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(np.ptp(clean) ** 2 / ((image - clean) ** 2).mean()))


def test_every_decile_of_the_map_has_its_noise_removed_and_hot_pixels_do_not_stand_out(
    camera, measured
):
    maps = measured.maps
    request = measured.request()
    result = denoise(camera.noisy, 'YX', replace(QUICK, noise=request))
    single = NoiseRequest(request.family, request.parameters)
    without = denoise(camera.noisy, 'YX', replace(QUICK, noise=single))
    assert psnr(result.image, camera.clean) > psnr(without.image, camera.clean) + 10
    assert result.corrected.families[0].gain == pytest.approx(GAIN, rel=0.15)
    variance = GAIN * (result.image - OFFSET) + maps.variance
    residual = (camera.noisy - maps.offset + OFFSET - result.image) ** 2 / variance
    order = np.argsort(maps.variance, axis=None)
    deciles = [part.mean() for part in np.array_split(residual.ravel()[order], 10)]
    np.testing.assert_allclose(deciles, 1, atol=0.15)  # 4 standard errors of 1600 squares
    error = ((result.image - camera.clean) ** 2).ravel()[order]
    assert error[-SIZE * 8 :].mean() < 1.5 * error.mean()
    channel = result.report['channels'][0]
    assert channel['residual']['variance'] == pytest.approx(1, abs=0.12)
    assert channel['pixel_maps']['read_noise']['percentile_99'] > 40
    assert result.report['settings']['noise']['pixel_maps']['frames'] == 60
    json.dumps(result.report)


def test_a_region_takes_the_same_part_of_the_maps(camera, measured):
    region = Region({'Y': (16, 112), 'X': (40, 128)})
    source = ImageSource(camera.noisy, 'YX').part(region)
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    (channel,) = model_noise(source, request).channels
    part = measured.maps.part(slice(16, 112), slice(40, 128))
    np.testing.assert_array_equal(channel.maps.variance, part.variance)
    np.testing.assert_array_equal(channel.maps.offset, part.offset)
    assert channel.notes == ()
    turned = ImageSource(camera.noisy.T, 'XY').part(region)
    (channel,) = model_noise(turned, request).channels
    np.testing.assert_array_equal(channel.maps.variance, part.variance)


def test_an_image_of_another_size_gets_single_numbers_and_is_told_so(camera, measured):
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    prepared = model_noise(ImageSource(camera.noisy[:96], 'YX'), request)
    (channel,) = prepared.channels
    assert channel.maps is None
    assert channel.family.read_noise == measured.parameters['read_noise']
    (note,) = channel.notes
    assert '128 x 128 pixels and the image 96 x 128' in note
    assert levelled(prepared) is prepared


def test_a_window_is_evened_as_the_whole(camera, measured):
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    prepared = equalised(model_noise(ImageSource(camera.noisy, 'YX'), request), 'cpu')
    (channel,) = prepared.channels
    assert equalised(prepared) is prepared
    again = equalised(model_noise(ImageSource(camera.noisy, 'YX'), request), 'cpu').channels[0]
    np.testing.assert_array_equal(again.plane(0), channel.plane(0))
    window = Region({'Y': (32, 96), 'X': (48, 128)})
    part = correct_plane(warm_start(), channel, 0, window=window, device='cpu')
    whole = correct_plane(warm_start(), channel, 0, device='cpu')[32:96, 48:128]
    assert np.abs(part - whole)[16:-16, 16:-16].mean() < 0.1 * channel.finest
    first, second = (channel.even.drawn(n).of(0, camera.noisy.astype(float)) for n in (0, 1))
    quiet = measured.maps.variance < measured.maps.base**2
    np.testing.assert_array_equal(first[quiet], second[quiet])
    assert (first != second)[measured.maps.variance > 100 * measured.maps.base**2].all()


def test_blank_places_stay(camera, measured):
    noisy = camera.noisy.copy()
    noisy[:40] = 0
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    (channel,) = levelled(model_noise(ImageSource(noisy, 'YX'), request), 'cpu').channels
    plane = channel.plane(0)
    assert np.isnan(plane[:40]).all()
    assert np.isfinite(plane[80:]).all()
    level = finish(predict_clean(warm_start(), channel, device='cpu', orientations=1))
    corrected = channel.correct(0, level[0], channel.family, Correction.STABILISED)
    assert not corrected.clean[:40].any()
    assert not corrected.noisy[:40].any()
    assert psnr(corrected.clean[80:], camera.clean[80:]) > 25


def test_the_command_line_tells_and_uses_the_maps(camera, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite('dark.tif', camera.dark.astype(np.float32), photometric='minisblack')
    tifffile.imwrite('cells.tif', camera.noisy.astype(np.float32), photometric='minisblack')
    assert main(['estimate', 'cells.tif', '--dark', 'dark.tif']) == 0
    told = capsys.readouterr()
    assert 'read noise per pixel: median' in told.out
    assert 'used as maps for images of 128 x 128' in told.err
    words = ['--region', 'Y0:96', '--seconds', '0', '--gain', '2', '--device', 'cpu']
    out = ['--output', 'clean.tif', '--report', 'r.json']
    assert main(['denoise', 'cells.tif', '--dark', 'dark.tif', *words, *out]) == 0
    record = json.loads((tmp_path / 'r.json').read_text())
    assert record['channels'][0]['pixel_maps']['shape'] == [96, 128]
    clean = tifffile.imread('clean.tif')
    assert psnr(clean, camera.clean[:96]) > 27


def test_a_saturated_value_stays(camera, measured):
    noisy = np.clip(camera.noisy, None, 130)
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    (channel,) = levelled(model_noise(ImageSource(noisy, 'YX'), request), 'cpu').channels
    assert channel.rail == 130
    even = channel.levelled(0, noisy)
    np.testing.assert_array_equal(even[noisy == 130], 130)
    assert (even != noisy)[noisy < 130].mean() > 0.99


def test_row_noise_is_taken_off_beside_the_maps(camera, measured):
    rows = 4 * np.random.default_rng(5).normal(size=(SIZE, 1))
    noisy = np.rint(camera.noisy + rows - rows.mean()).astype(np.int16)
    request = measured.request(NoiseRequest('auto', {'gain': GAIN}))
    (channel,) = levelled(model_noise(ImageSource(noisy, 'YX'), request), 'cpu').channels
    assert channel.rows.detected
    left = channel.offsets.of(0).rows - (rows - rows.mean())[:, 0]
    assert left.var() < 0.4 * rows.var()


def test_a_report_knows_the_maps_too(camera, measured):
    """Offsets of pixels that were removed are no structure of the image."""
    noisy, request = ImageSource(camera.noisy, 'YX'), measured.request()
    clean = camera.clean + 0.1 * (camera.noisy - camera.offset + OFFSET - camera.clean)
    for image, unchanged in ((clean, False), (camera.noisy.astype(float), True)):
        steps = measure_steps(noisy, ImageSource(image, 'YX'), request, device='cpu')
        (channel,) = finish(steps).channels
        assert channel.result.unchanged is unchanged
        if not unchanged:
            assert 0.7 < channel.result.agreement.whole_variance < 1.1
            assert not channel.result.places
