"""Calibration frames in the panel, in a real viewer; and the noise model in words."""

import numpy as np
import pytest

from napari_noise2score._widget.control.messages import calibration_words, estimate_words
from napari_noise2score._widget.jobs import Estimated
from napari_noise2score._widget.layers import unwrapped
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.calibration.calibrate import Calibration
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.blind import estimate_noise
from tests.napari.helpers import NOISE, noisy_stack


def even(light: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = NOISE.sample(np.full((8, 96, 96), NOISE.offset + light), rng)
    return np.clip(np.rint(values), 0, 65535).astype(np.uint16)


@pytest.fixture
def opened(open_panel):
    """The panel, and by name the layers of cells, dark frames and flat field."""
    viewer, panel = open_panel()
    for name, values in (
        ('cells', noisy_stack(2)),
        ('dark', even(0, 1)),
        ('flat', even(2000, 2)),
    ):
        viewer.add_image(values, name=name)
    panel.layers.tick([viewer.layers['cells']])
    return viewer, panel, {layer.name: unwrapped(layer) for layer in viewer.layers}


def test_calibrate_fills_the_form_and_the_numbers_can_be_edited(opened, idle, qtbot):
    _, panel, layers = opened
    box, fields = panel.noise.calibration, panel.noise.fields
    box.dark.value, box.flat.value = layers['dark'], layers['flat']
    box.calibrate.native.click()
    assert panel.controller.run.job == 'calibrating'
    assert not box.calibrate.enabled
    idle(panel)
    assert panel.status.text() == 'The noise was measured on the calibration frames.'
    assert panel.noise.family.value == 'poisson-gaussian'
    for name, true in NOISE.parameters().items():
        assert float(fields['poisson-gaussian', name].value) == pytest.approx(true, rel=0.05)
    words = box.words.text()
    assert words.startswith('From 8 dark frames and 8 flat-field frames at 1 light level: gain ')
    for part in ('±', 'grey levels per photon', 'photons)', 'independent pixels'):
        assert part in words
    assert panel.settings().noise.known() is not None
    gain = fields['poisson-gaussian', 'gain'].native
    gain.selectAll()
    qtbot.keyClicks(gain, '5')
    assert panel.settings().noise.parameters['gain'] == 5
    assert box.words.text() == words


def test_maps_of_pixels_are_used_until_the_numbers_are_changed(opened, idle, qtbot):
    viewer, panel, _ = opened
    rng = np.random.default_rng(0)
    noise = 3 * np.exp(rng.normal(size=(96, 96)))
    viewer.add_image(np.rint(100 + noise * rng.normal(size=(30, 96, 96))), name='sCMOS dark')
    box = panel.noise.calibration
    box.dark.value = unwrapped(viewer.layers['sCMOS dark'])
    box.calibrate.native.click()
    idle(panel)
    assert 'Read noise per pixel: median' in box.words.text()
    assert panel.settings().noise.maps.shape == (96, 96)
    panel.copy.native.click()  # single numbers would be another noise model
    assert 'with --dark and --flat' in panel.messages.text()
    edit = panel.noise.fields['poisson-gaussian', 'read_noise'].native
    edit.selectAll()
    qtbot.keyClicks(edit, '5')
    assert panel.settings().noise.maps is None


def test_dark_frames_alone_leave_the_gain_open(opened, idle):
    _, panel, layers = opened
    panel.noise.estimate.native.click()
    idle(panel)
    panel.noise.calibration.dark.value = layers['dark']
    panel.noise.calibration.calibrate.native.click()
    idle(panel)
    request = panel.settings().noise
    assert set(request.parameters) == {'offset', 'read_noise'}
    assert 'Estimated from the image: gain.' in panel.noise.calibration.words.text()
    assert 'Poisson-Gaussian' in panel.noise.chart.curves.words
    panel.form.seconds.value = 0
    panel.train.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert set(panel.settings().noise.parameters) == {'offset', 'read_noise'}


def test_wrong_frames_are_explained_and_nothing_is_lost(opened, idle):
    viewer, panel, layers = opened
    box = panel.noise.calibration
    box.calibrate.native.click()
    assert 'No calibration frames are chosen' in panel.messages.text()
    box.dark.value, box.flat.value = layers['dark'], layers['flat']
    box.calibrate.native.click()
    idle(panel)
    before = box.words.text(), panel.settings().noise.parameters
    box.dark.value, box.flat.value = layers['flat'], layers['dark']
    box.calibrate.native.click()
    idle(panel)
    assert 'are the two exchanged' in panel.messages.text()
    assert (box.words.text(), panel.settings().noise.parameters) == before
    panel.layers.axes_of(viewer.layers['flat']).setCurrentText('YX')
    box.calibrate.native.click()
    assert "axes 'YX' name 2 axes" in panel.messages.text()
    assert panel.controller.run.idle


def test_the_axes_of_the_table_hold_for_calibration_frames(opened, idle):
    viewer, panel, layers = opened
    box = panel.noise.calibration
    panel.layers.axes_of(viewer.layers['dark']).setCurrentText('CYX')
    box.dark.value = layers['dark']
    box.calibrate.native.click()
    idle(panel)
    assert '8 channels' in box.words.text()


def test_the_menus_follow_the_layers(opened):
    viewer, panel, layers = opened
    box = panel.noise.calibration
    box.dark.value, box.flat.value = layers['dark'], layers['flat']
    viewer.add_image(even(10, 3), name='other')
    assert box.dark.value is layers['dark']
    viewer.layers.remove(viewer.layers['dark'])
    assert box.layers() == (None, layers['flat'])
    layers['flat'].name = 'empty field'
    assert box.layers() == (None, layers['flat'])
    viewer.add_labels(np.zeros((8, 8), int))
    menu = box.dark.native
    texts = [menu.itemText(place) for place in range(menu.count())]
    assert texts == ['None', 'cells', 'empty field', 'other']


def test_the_estimate_has_units_and_correlation():
    def words(values: np.ndarray) -> str:
        return estimate_words(
            [Estimated(ImageSource(values, 'TYX', 'a'), {}, estimate_noise(values))]
        )

    white = words(noisy_stack(4, 192))
    for part in (
        'grey levels per photon, offset',
        'grey levels, read noise',
        'independent pixels',
    ):
        assert part in white
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 10, (4, 192, 193))
    smeared = words(200 + noise[..., 1:] + 0.6 * noise[..., :-1])
    assert 'Gaussian: sigma 11' in smeared
    assert 'correlation between neighbouring pixels 0.44 along rows, 0.00 along' in smeared


def test_numbers_without_a_gain_are_not_given_in_photons():
    found = Calibration(
        {'offset': 100.0, 'read_noise': 3.5},
        {'offset': 0.01, 'read_noise': 0.02},
        Correlation.white(),
        '8 dark frames',
        ('Mind this.',),
    )
    assert calibration_words(found).splitlines() == [
        'From 8 dark frames: offset 100.000\xa0±\xa00.010 grey levels, '
        'read noise 3.500\xa0±\xa00.020 grey levels; independent pixels.',
        'Estimated from the image: gain.',
        'Note: Mind this.',
    ]
