"""Places without noise are found, and noise that looks like them is not."""

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.noise.blank import blank, blank_as_nan, single_valued

SIDE = 160


def scene(side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return 110 + 180 * np.exp(-((y - 70) ** 2 + (x - 90) ** 2) / 2 / 30**2)


def noisy(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clean = scene()
    return np.rint(100 + 4 * rng.poisson((clean - 100) / 4) + rng.normal(0, 3, clean.shape))


PAINTED = {
    'rows above': (np.s_[:20, :], 0),
    'columns of the mean': (np.s_[:, -30:], 150),
    'a mask in the middle': (np.s_[60:90, 40:110], 0),
    'a scale bar': (np.s_[140:144, 100:150], 65535),
    'a row': (np.s_[33:34, :], 0),
    'a column': (np.s_[:, 80:81], 0),
    'nearly all': (np.s_[30:, :], 7),
}


@pytest.mark.parametrize('place', PAINTED)
@pytest.mark.parametrize('kind', ['uint16', 'int32', 'float32', '>u2'])
def test_painted_places_are_found(place, kind):
    where, value = PAINTED[place]
    image = noisy().astype(kind)
    image[where] = value
    painted = np.zeros(image.shape, bool)
    painted[where] = True
    found = blank(image)
    assert found[painted].all()
    more = found & ~painted  # next to it, and by chance of its value
    assert (image[more] == value).all()
    assert more.sum() < 10


@pytest.mark.parametrize('order', [0, 1, 3])
def test_what_a_turned_image_leaves_free_is_found(order):
    turned = ndimage.rotate(noisy(), 20, order=order)
    free = ndimage.rotate(np.ones((SIDE, SIDE)), 20, order=1) < 1e-6
    found = blank(turned)
    assert found[free].all()
    assert not (found & ~ndimage.binary_dilation(free, iterations=2)).any()


def test_several_places_and_values_at_once():
    image = noisy()
    image[:10], image[-12:, :60], image[40:60, 40:60] = 0, 255, np.nan
    expected = (image == 0) | np.isnan(image)
    expected[-12:, :60] = True
    np.testing.assert_array_equal(blank(image), expected)
    np.testing.assert_array_equal(np.isnan(blank_as_nan(image)), expected)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_blank(value):
    image = noisy()
    image[3, 5] = image[:, :9] = value
    np.testing.assert_array_equal(blank(image), ~np.isfinite(image))


def test_a_plane_of_one_value_is_blank_whatever_else_is_no_number():
    for image in (np.full((9, 9), 3), np.full((4, 4), np.nan), np.array([[1.0, np.nan]])):
        assert single_valued(image)
        assert blank(image).all()
    assert not single_valued(np.array([[1.0, np.nan, 2.0]]))


NOISE = {
    **{
        f'{rate:g} photons': lambda rng, rate=rate: rng.poisson(rate, (256, 256))
        for rate in (3, 1, 0.5, 0.2, 0.05, 0.01, 1e-3)
    },
    'photons of a scene upon nothing': lambda rng: rng.poisson((scene(256) - 110) / 10),
    'photons of a scene upon little': lambda rng: rng.poisson((scene(256) - 110) / 10 + 0.003),
    'photons of gain 20': lambda rng: 20 * rng.poisson(np.full((256, 256), 0.1)),
    'saturated': lambda rng: np.minimum(rng.poisson(scene(256)), 255),
    'saturated and steep': lambda rng: np.minimum(rng.poisson(10 * (scene(256) - 109)), 1023),
    'cut off at the black level': lambda rng: np.maximum(rng.normal(scene(256), 5), 118),
    **{
        f'noise of {sigma:g} grey levels': lambda rng, sigma=sigma: np.rint(
            rng.normal(10.3, sigma, (256, 256))
        )
        for sigma in (0.15, 0.3, 0.6, 1.5)
    },
    'truth values': lambda rng: rng.random((256, 256)) < 0.05,
}


@pytest.mark.parametrize('kind', NOISE)
def test_equal_values_that_noise_gives_are_left_alone(kind):
    for seed in range(3):
        assert blank(NOISE[kind](np.random.default_rng(seed))) is None


def test_chance_is_judged_by_what_is_around():
    """A square of zeros is nothing among photons, and painted in where zeros are rare."""
    rng = np.random.default_rng(0)
    few, many = rng.poisson(0.05, (256, 256)), rng.poisson(4.0, (256, 256))
    few[100:108, 100:108] = many[100:108, 100:108] = 0
    assert blank(few) is None
    assert blank(many)[100:108, 100:108].all()


def test_white_around_a_saturated_image_is_told_from_its_saturation():
    image = np.minimum(np.random.default_rng(0).poisson(scene()), 255)
    image[:30] = 255
    found = blank(image)
    assert found[:30].all()
    assert not found[34:].any()


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (3, 3), (5, 5), (9, 30)])
def test_small_planes(shape):
    assert blank(np.arange(np.prod(shape)).reshape(shape)) is None or np.prod(shape) == 1
