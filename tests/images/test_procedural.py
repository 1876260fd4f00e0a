import numpy as np
import pytest

from napari_noise2score.images import procedural
from napari_noise2score.images.procedural import procedural_image


@pytest.mark.parametrize('seed', range(12))
def test_images_fill_the_range_and_are_all_different(seed):
    image = procedural_image(96, np.random.default_rng(seed))
    assert image.shape == (96, 96)
    assert image.min() == 0
    assert image.max() == pytest.approx(1)
    assert image.std() > 0.01
    other = procedural_image(96, np.random.default_rng(seed + 100))
    assert abs(np.corrcoef(image.ravel(), other.ravel())[0, 1]) < 0.9


def test_the_same_seed_makes_the_same_image():
    first, second = (procedural_image(64, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize('layer', procedural._LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer_is_finite_and_has_structure(layer):
    for seed in range(6):
        image = layer(64, np.random.default_rng(seed))
        assert np.isfinite(image).all()
    assert image.std() > 0


def test_leaves_have_the_spectrum_of_natural_scenes():
    """Power falls about as the square of the frequency."""
    slopes = []
    for seed in range(12):
        power = np.abs(np.fft.fft2(procedural._leaves(128, np.random.default_rng(seed)))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
        band = (frequency > 0.03) & (frequency < 0.25)
        slopes.append(np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0])
    assert -3 < np.mean(slopes) < -1.5
