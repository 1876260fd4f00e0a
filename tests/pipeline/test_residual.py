import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian
from napari_noise2score.pipeline.residual import residual_steps
from napari_noise2score.progress import finish


def test_of_the_truth_it_is_white_and_of_variance_one():
    rng = np.random.default_rng(0)
    truth = rng.uniform(20, 400, (2, 3, 64, 64))
    families = (PoissonGaussian(gain=2.0, offset=5.0, read_noise=3.0), Gaussian(sigma=7.0))
    noisy = np.stack([f.sample(truth[c], rng) for c, f in enumerate(families)])
    unit = finish(residual_steps(ImageSource(noisy, 'CTYX'), ImageSource(truth, 'CTYX'), families))
    assert unit.dtype == np.float32
    for channel in unit:
        assert abs(channel.mean()) < 0.02
        assert channel.var() == pytest.approx(1, abs=0.03)


def test_where_nothing_is_there_it_stays_finite():
    dark = ImageSource(np.zeros((8, 8)), 'YX')
    assert np.isfinite(finish(residual_steps(dark, dark, [Poisson(gain=1.0, offset=0.0)]))).all()


def test_images_that_do_not_fit_are_refused():
    image = ImageSource(np.ones((2, 8, 8)), 'CYX', 'cells')
    with pytest.raises(InputError, match='cells has the shape'):
        finish(residual_steps(image, ImageSource(np.ones((2, 8, 9)), 'CYX'), []))
    with pytest.raises(InputError, match=r'2 channels, but 1 noise model for them'):
        finish(residual_steps(image, image, [Gaussian(sigma=1.0)]))
