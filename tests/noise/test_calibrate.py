"""Calibration frames of a camera whose gain, offset and read noise are known."""

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.noise.calibration.calibrate import (
    Calibration,
    calibrate,
    combined_calibration,
)
from napari_noise2score.noise.calibration.dark import measure_dark
from napari_noise2score.noise.calibration.flat import measure_flat
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest

TRUE = PoissonGaussian(gain=2.2, offset=100.0, read_noise=3.5)
SIDE = 192
HOT = 0.002


class Camera:
    """Pixels with offsets and sensitivities of their own, some hot or blinking; whole numbers."""

    def __init__(self, seed: int = 0, pattern: float = 4.0, top: int = 65535) -> None:
        self.rng, self.top = np.random.default_rng(seed), top
        self.offset = self.rng.normal(0, pattern, (SIDE, SIDE))
        self.sensitivity = self.rng.normal(1, 0.02, (SIDE, SIDE))
        self.hot = 800 * self.rng.exponential(size=(SIDE, SIDE)) * self.some(HOT)
        self.blinking = self.some(HOT / 10)
        y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
        self.light = 1 - 0.8 * (x**2 + (y - 0.1) ** 2)

    def some(self, share: float) -> np.ndarray:
        """A few of the pixels."""
        return self.rng.random((SIDE, SIDE)) < share

    def frames(self, count: int, light: float = 0.0, flicker: float = 0.0) -> np.ndarray:
        """(count, SIDE, SIDE) uint16 in so many grey levels of light in the middle."""
        found = []
        for _ in range(count):
            lamp = light * (1 + flicker * self.rng.normal())
            clean = TRUE.offset + lamp * self.light * self.sensitivity + self.hot
            frame = TRUE.sample(clean, self.rng) + self.offset
            frame += self.blinking * self.rng.exponential(800, self.blinking.shape)
            found.append(np.clip(np.rint(frame), 0, self.top).astype(np.uint16))
        return np.stack(found)


@pytest.fixture(scope='module')
def dark() -> np.ndarray:
    return Camera(0).frames(16)


@pytest.fixture(scope='module')
def flat() -> np.ndarray:
    camera = Camera(0)
    return np.concatenate([camera.frames(6, light, 0.005) for light in (300, 1500, 4000)])


def assert_right(found: Calibration, *names: str) -> None:
    """Every number within three of its stated errors, and the errors small enough to be of use."""
    assert set(found.parameters) == set(names)
    for name in names:
        true, error = getattr(TRUE, name), found.errors[name]
        # the numbers of a real camera are rounded, which adds 1/12 to the variance
        rounded = (true**2 + 1 / 12) ** 0.5 if name == 'read_noise' else true
        assert abs(found.parameters[name] - rounded) < 3 * error, (name, found)
        assert error < 0.03 * true, name


@pytest.mark.parametrize('seed', range(4))
def test_dark_and_flat_frames_give_the_whole_model(seed):
    camera = Camera(seed)
    dark = camera.frames(12)
    flat = np.concatenate([camera.frames(4, light, 0.01) for light in (500, 3000)])
    found = calibrate(dark, flat)
    assert_right(found, 'gain', 'offset', 'read_noise')
    assert found.missing == ()
    assert found.correlation.is_white
    assert found.source == '12 dark frames and 8 flat-field frames at 2 light levels'
    known = found.request().known()
    assert isinstance(known, PoissonGaussian)


def test_errors_are_of_the_size_of_the_scatter():
    """Over many cameras the deviations in standard errors have about unit variance."""
    pulls = []
    for seed in range(25):
        camera = Camera(100 + seed)
        found = calibrate(camera.frames(4), camera.frames(3, 800))
        for name, error in found.errors.items():
            true = getattr(TRUE, name)
            true = (true**2 + 1 / 12) ** 0.5 if name == 'read_noise' else true
            pulls.append((found.parameters[name] - true) / error)
    assert 0.6 < np.std(pulls) < 1.5


def test_dark_alone_leaves_the_gain_to_the_image(dark):
    found = calibrate(dark)
    assert_right(found, 'offset', 'read_noise')
    assert found.missing == ('gain',)
    request = found.request()
    assert request.known() is None
    ramp = 100 + np.linspace(20, 400, 256) * np.ones((4, 256, 1))
    fit = estimate_noise(TRUE.sample(ramp, np.random.default_rng(0)))
    family = request.resolve(fit)
    assert isinstance(family, PoissonGaussian)
    assert family.gain == pytest.approx(TRUE.gain, rel=0.02)
    assert family.offset == found.parameters['offset']


def test_flat_alone_gives_the_gain_and_says_what_is_open(flat):
    found = calibrate(flat=flat)
    assert_right(found, 'gain')
    assert found.missing == ('offset', 'read_noise')
    light = measure_flat(flat)
    zero = TRUE.offset - TRUE.read_noise**2 / TRUE.gain
    assert abs(light.zero - zero) < 3 * light.zero_error
    assert 'dark frames are needed' in found.notes[-1]


def test_a_lamp_that_flickers_does_not_move_the_zero():
    """Uneven light that comes and goes would be noise, most of it where there is little light."""
    pulls = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        ramp = np.linspace(200, 3000, SIDE) * np.ones((SIDE, 1))
        lamp = 1 + 0.02 * rng.normal(size=(8, 1, 1))
        light = measure_flat(TRUE.sample(TRUE.offset + lamp * ramp, rng))
        zero = TRUE.offset - TRUE.read_noise**2 / TRUE.gain
        pulls.append((light.zero - zero) / light.zero_error)
    assert abs(np.mean(pulls)) < 3 / 6**0.5


def test_one_dark_frame_counts_the_fixed_pattern_and_says_so():
    even = measure_dark(Camera(3, pattern=0.0).frames(1)[0])
    rounded = (TRUE.read_noise**2 + 1 / 12) ** 0.5
    assert abs(even.read_noise - rounded) < 3 * even.read_noise_error
    assert abs(even.offset - TRUE.offset) < 3 * even.offset_error
    assert 'Only one dark frame' in even.notes[0]
    uneven = measure_dark(Camera(3, pattern=4.0).frames(1)[0])
    assert uneven.read_noise > 1.3 * TRUE.read_noise


def test_repeated_dark_frames_are_one_frame(dark):
    assert measure_dark(np.stack([dark[0]] * 5)).frames == 1


def test_the_order_of_the_frames_is_of_no_account(flat, dark):
    shuffled = np.random.default_rng(0).permutation(flat)
    assert calibrate(dark, shuffled).parameters == pytest.approx(calibrate(dark, flat).parameters)


def test_correlated_read_noise_is_measured():
    rng = np.random.default_rng(0)
    white = rng.normal(0, 4, (8, SIDE, SIDE + 1))
    smeared = 100 + (white[..., 1:] + white[..., :-1]) / 2
    found = measure_dark(smeared)
    middle = len(found.correlation.kernel) // 2
    assert found.correlation.kernel[middle, middle + 1] == pytest.approx(0.5, abs=0.02)
    assert found.correlation.kernel[middle + 1, middle] == pytest.approx(0, abs=0.02)
    assert abs(found.read_noise - 8**0.5) < 3 * found.read_noise_error
    single = measure_dark(smeared[0])
    assert single.read_noise == pytest.approx(8**0.5, rel=0.1)


def test_saturated_light_is_left_out_or_refused():
    camera = Camera(1, top=4095)
    dark, good, bad = camera.frames(8), camera.frames(6, 2000), camera.frames(6, 4300)
    found = calibrate(dark, np.concatenate([good, bad]))
    assert_right(found, 'gain', 'offset', 'read_noise')
    assert '1 saturated light level was left out.' in found.notes
    with pytest.raises(InputError, match='saturated at 4095 grey levels; frames at about half'):
        calibrate(dark, bad)
    with pytest.raises(InputError, match='saturated at 4095'):
        calibrate(dark, np.full((3, 64, 64), 4095, np.uint16) - np.eye(64, dtype=np.uint16))


def test_light_near_the_full_well_is_left_out(dark, flat):
    camera = Camera(0)
    soft = camera.frames(6, 9000).astype(float)
    soft = 100 + soft.mean(0) + 0.2 * (soft - soft.mean(0))
    found = calibrate(dark, np.concatenate([flat, soft]))
    assert_right(found, 'gain', 'offset', 'read_noise')
    assert any('full well' in note for note in found.notes)


def test_few_photons_are_counted_too():
    """At less than a photon a pixel nothing is taken for an outlier that is none."""
    rng, camera = np.random.default_rng(0), PoissonGaussian(20.0, 10.0, 1.0)
    dark = camera.sample(np.full((8, 128, 128), 10.0), rng)
    flat = camera.sample(np.full((40, 128, 128), 10 + 20 * 0.3), rng)
    found = measure_flat(flat, measure_dark(dark))
    assert abs(found.gain - 20) < 3 * found.gain_error
    assert found.gain_error < 0.3


def test_dark_frames_of_a_counting_detector_are_zero():
    found = measure_dark(np.zeros((5, 64, 64), np.uint8))
    assert (found.offset, found.read_noise) == (0, 0)
    assert any('constant' in note for note in found.notes)


def test_cut_off_dark_frames_are_pointed_out():
    rng = np.random.default_rng(0)
    cut = np.clip(np.rint(rng.normal(2, 3, (6, 64, 64))), 0, None).astype(np.uint8)
    assert any('cut off at 0' in note for note in measure_dark(cut).notes)


def test_wrong_uses_say_what_is_needed(dark, flat):
    one = Camera(5)
    dim = one.frames(2).astype(float)
    dim += 101 - dim.mean(axis=(1, 2), keepdims=True)
    even = PoissonGaussian(2.2, 100.0, 3.5).sample(
        np.full((4, 96, 96), 900.0), np.random.default_rng(0)
    )
    for arguments, text in (
        ((None, None), 'no calibration frames are given'),
        ((flat, dark), 'not above that of the dark frames.*are the two exchanged'),
        ((dark, flat[0]), 'no two at the same light level; at least two'),
        ((None, np.stack([flat[0], flat[6]])), 'no two at the same light level'),
        ((None, even), 'gain cannot be measured at .*give dark frames too'),
        ((dark, dim), 'does not increase with the light'),
        ((dark[:, :8], None), r'dark frames: shape is .*at least 16 x 16 pixels'),
        ((dark[None], None), 'dark frames: shape is'),
        ((None, flat > 500), 'flat field: values are bool'),
        ((np.full((2, 32, 32), np.nan), None), 'dark frames: NaN'),
    ):
        with pytest.raises(InputError, match=text):
            calibrate(*arguments)


def test_what_is_asked_for_wins_over_what_was_measured(dark, flat):
    found = calibrate(dark, flat)
    asked = NoiseRequest(parameters={'offset': 90.0}, correlation='none')
    request = found.request(asked)
    assert request.parameters == {**found.parameters, 'offset': 90.0}
    assert request.correlation == 'none'
    poisson = found.request(NoiseRequest('poisson')).known()
    assert poisson == Poisson(found.parameters['gain'], found.parameters['offset'])
    with pytest.raises(InputError, match='Gaussian noise was requested'):
        found.request(NoiseRequest(Gaussian.name, {'sigma': 2.0}))


def test_channels_that_are_alike_have_one_model_and_others_are_refused():
    def of(gain: float) -> Calibration:
        return Calibration({'gain': gain}, {'gain': 0.01}, Correlation.white(), 'x', ('a',))

    both = combined_calibration([of(2.0), of(2.02)])
    assert both.parameters['gain'] == pytest.approx(2.01)
    assert both.notes == ('a',)
    assert '2 channels' in both.source
    with pytest.raises(InputError, match=r'channels .* differ: gain 2, 3'):
        combined_calibration([of(2.0), of(3.0)])
