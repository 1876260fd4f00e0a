"""Known answers: priors whose posterior means are known in closed form or by quadrature."""

import numpy as np
import pytest
from scipy import special, stats

from napari_noise2score.noise import formulas as tweedie


def test_gaussian_prior_gives_the_wiener_shrinkage():
    mean, prior, sigma = 7.0, 4.0, 1.7
    y = np.linspace(-5, 20, 50)
    score = -(y - mean) / (prior + sigma**2)
    expected = (prior * y + sigma**2 * mean) / (prior + sigma**2)
    np.testing.assert_allclose(tweedie.gaussian(y, score, sigma=sigma), expected, rtol=1e-12)


@pytest.mark.parametrize(('shape', 'rate'), [(0.7, 0.3), (3.0, 0.5), (40.0, 0.4)])
@pytest.mark.parametrize(('gain', 'offset'), [(1.0, 0.0), (4.2, 17.0)])
def test_chain_without_read_noise_is_exact_for_a_gamma_prior(shape, rate, gain, offset):
    """Counts with rate Gamma(a, b) are negative binomial; E[x - o | z] = g (z + a) / (1 + b)."""
    z = np.arange(0.0, 30.0)
    log_p = stats.nbinom(shape, rate / (1 + rate)).logpmf
    y = offset + gain * z
    clean = tweedie.poisson_gaussian_chained(
        y, np.zeros_like(y), log_p(z + 1) - log_p(z), gain=gain, offset=offset, read_noise=0.0
    )
    np.testing.assert_allclose(clean, offset + gain * (z + shape) / (1 + rate), rtol=1e-9)


class Mixture:
    """Poisson-Gaussian density of y - offset under a gamma prior of the photon rate."""

    def __init__(self, photons: float, gain: float, read_noise: float, offset: float) -> None:
        self.shape, self.rate = 3.0, 3.0 / photons
        self.gain, self.read_noise, self.offset = gain, read_noise, offset
        top = int(photons * 8 + 12 * photons**0.5 + 60)
        self.counts = np.arange(top)
        self.weights = stats.nbinom(self.shape, self.rate / (1 + self.rate)).pmf(self.counts)

    def _parts(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance = y[:, None] - self.offset - self.gain * self.counts
        return self.weights * stats.norm.pdf(distance, scale=self.read_noise), distance

    def density(self, y: np.ndarray) -> np.ndarray:
        return self._parts(y)[0].sum(axis=1)

    def score(self, y: np.ndarray) -> np.ndarray:
        parts, distance = self._parts(y)
        return (parts * -distance / self.read_noise**2).sum(axis=1) / parts.sum(axis=1)

    def posterior_mean(self, y: np.ndarray) -> np.ndarray:
        """Gauss-Legendre quadrature over the prior of the photon rate."""
        top = (self.shape + 12 * self.shape**0.5 + 12) / self.rate
        points, weights = np.polynomial.legendre.leggauss(1500)
        rate, weights = (
            top * (points + 1) / 2,
            weights * stats.gamma(self.shape, scale=1 / self.rate).pdf(top * (points + 1) / 2),
        )
        log_pmf = special.xlogy(self.counts, rate[:, None]) - rate[:, None]
        pmf = np.exp(log_pmf - special.gammaln(self.counts + 1))
        distance = y[:, None] - self.offset - self.gain * self.counts
        likelihood = stats.norm.pdf(distance, scale=self.read_noise) @ pmf.T
        moments = likelihood @ np.stack([weights, weights * rate], axis=1)
        return self.offset + self.gain * moments[:, 1] / moments[:, 0]


@pytest.mark.parametrize('photons', [0.2, 1.0, 3.0, 10.0, 50.0, 200.0])
def test_exact_chain_equals_quadrature_over_the_prior(photons):
    """Relative error below 1e-3 from 0.2 to 200 photons, also below the offset."""
    gain, read_noise, offset = 2.0, 1.3, 11.0
    model = Mixture(photons, gain, read_noise, offset)
    spread = (gain**2 * photons + read_noise**2) ** 0.5
    y = offset + np.linspace(-1.5 * read_noise, gain * photons + 3 * spread, 9)
    log_ratio = tweedie.log_ratio_by_quadrature(model.score, y, gain=gain, nodes=24)
    clean = tweedie.poisson_gaussian_chained(
        y, model.score(y + gain), log_ratio, gain=gain, offset=offset, read_noise=read_noise
    )
    expected = model.posterior_mean(y)
    np.testing.assert_allclose(clean - offset, expected - offset, rtol=1e-3)


def test_quadrature_of_the_score_is_the_log_ratio():
    model = Mixture(5.0, 2.0, 1.3, 11.0)
    y = np.linspace(8, 40, 20)
    found = tweedie.log_ratio_by_quadrature(model.score, y, gain=2.0, nodes=24)
    expected = np.log(model.density(y + 2.0) / model.density(y))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_paper_form_is_the_small_gain_limit_of_the_chain():
    """For many photons both agree; the remaining difference is of second order in the gain."""
    photons, gain, read_noise, offset = 400.0, 0.5, 3.0, 20.0
    model = Mixture(photons, gain, read_noise, offset)
    y = offset + gain * np.linspace(200, 600, 9)
    parameters = {'gain': gain, 'offset': offset, 'read_noise': read_noise}
    exact = tweedie.poisson_gaussian_chained(
        y,
        model.score(y + gain),
        tweedie.log_ratio_by_quadrature(model.score, y, gain=gain),
        **parameters,
    )
    paper = tweedie.poisson_gaussian_paper(y, model.score(y), **parameters)
    np.testing.assert_allclose(paper, exact, atol=gain)
    # half a photon of second-order bias against hundreds
    assert np.all(np.abs(paper - exact) < 0.55 * gain)


def test_paper_form_is_low_at_a_few_photons():
    """3 to 15 % low, which is why the exact form is offered (gamma prior, g = 2, sigma = 1.3)."""
    model = Mixture(3.0, 2.0, 1.3, 0.0)
    y = np.array([4.0, 8.0, 12.0])
    parameters = {'gain': 2.0, 'offset': 0.0, 'read_noise': 1.3}
    paper = tweedie.poisson_gaussian_paper(y, model.score(y), **parameters)
    expected = model.posterior_mean(y)
    ratio = paper / expected
    assert np.all(ratio < 0.99)
    assert np.all(ratio > 0.80)


def test_poisson_paper_form_by_hand():
    """(y - o + g / 2) exp(g s) + o at y = 10, o = 2, g = 4, s = log(2) / 4."""
    score = np.array([np.log(2.0) / 4])
    clean = tweedie.poisson(np.array([10.0]), score, gain=4.0, offset=2.0)
    np.testing.assert_allclose(clean, [2.0 + 10.0 * 2.0])


def test_paper_chain_by_hand():
    """Gaussian step y - o + g/2 + sigma^2 s, then exp(g s)."""
    score = np.array([0.5])
    clean = tweedie.poisson_gaussian_paper(
        np.array([10.0]), score, gain=2.0, offset=1.0, read_noise=3.0
    )
    np.testing.assert_allclose(clean, 1.0 + (9.0 + 1.0 + 4.5) * np.exp(1.0))


def test_zero_score_returns_y_for_gaussian_noise():
    y = np.array([1.0, -3.0, 250.0])
    np.testing.assert_array_equal(tweedie.gaussian(y, 0 * y, sigma=9.0), y)


def test_torch_and_numpy_agree():
    import torch

    y, score = np.array([3.0, 9.0, 27.0]), np.array([0.1, 0.0, -0.05])
    for function, parameters in (
        (tweedie.gaussian, {'sigma': 2.0}),
        (tweedie.poisson, {'gain': 2.0, 'offset': 1.0}),
        (tweedie.poisson_gaussian_paper, {'gain': 2.0, 'offset': 1.0, 'read_noise': 1.5}),
    ):
        on_torch = function(torch.from_numpy(y), torch.from_numpy(score), **parameters)
        assert isinstance(on_torch, torch.Tensor)
        np.testing.assert_allclose(on_torch.numpy(), function(y, score, **parameters))


@pytest.mark.parametrize('shape', [0.7, 1.0, 3.0, 50.0])
def test_gamma_noise_with_an_inverse_gamma_prior(shape):
    """p(y) is beta-prime and the posterior inverse-gamma: 1 / E[1/x | y] = (b + k y) / (a + k)."""
    a, b = 4.0, 30.0
    y = np.geomspace(2.0, 200.0, 40)
    score = (shape - 1) / y - (a + shape) * shape / (b + shape * y)
    answer = (b + shape * y) / (a + shape)
    inside = answer < 9.9 * y
    assert inside.sum() > 20
    np.testing.assert_allclose(tweedie.gamma(y, score, shape=shape)[inside], answer[inside])
    if shape == 1.0:
        np.testing.assert_allclose(tweedie.exponential(y, score)[inside], (-1 / score)[inside])


def test_gamma_correction_is_bounded_where_the_score_is_wrong():
    y = np.array([5.0, 0.0])
    assert tweedie.gamma(y, np.array([1e6, 1e6]), shape=3.0).tolist() == [50.0, 0.0]


@pytest.mark.parametrize('power', [1.0, 1.3, 1.7, 2.0])
def test_universal_form_of_a_known_clean_value(power):
    """The score of the saddle-point density at a point prior gives the clean value back."""
    clean, dispersion = 30.0, 0.4
    y = np.linspace(12.0, 80.0, 30)
    if power == 1.0:
        step = np.log(y / clean)
    else:
        step = (y ** (1 - power) - clean ** (1 - power)) / (1 - power)
    score = -power / (2 * y) - step / dispersion
    found = tweedie.tweedie(y, score, power=power, dispersion=dispersion)
    np.testing.assert_allclose(found, clean, rtol=1e-9)


def test_universal_form_contains_the_others():
    y = np.linspace(20.0, 60.0, 9)
    score = np.linspace(-0.04, 0.03, 9)
    np.testing.assert_allclose(
        tweedie.tweedie(y, score, power=2.0, dispersion=0.1), tweedie.gamma(y, score, shape=10.0)
    )
    np.testing.assert_allclose(
        tweedie.tweedie(y, score, power=1.0, dispersion=2.0),
        tweedie.poisson(y, score, gain=2.0, offset=0.0),
        rtol=2e-3,
    )


def test_universal_form_is_bounded_and_starts_at_half_a_photon():
    y = np.array([0.0, 1.0, 50.0])
    for power in (1.0, 1.5, 2.0):
        found = tweedie.tweedie(y, np.full(3, 1e5), power=power, dispersion=2.0)
        assert np.isfinite(found).all()
        assert found[2] == pytest.approx(500.0)
    half = tweedie.tweedie(y, 0 * y, power=1.0, dispersion=2.0)
    assert half[0] == half[1] == pytest.approx(np.e)


def test_bernoulli_formula_is_the_logistic_function():
    p = np.array([1e-9, 0.2, 0.5, 0.9])
    np.testing.assert_allclose(tweedie.bernoulli(np.log(p / (1 - p))), p, rtol=1e-12)
    assert np.isfinite(tweedie.bernoulli(np.array([-1e9, 1e9]))).all()
