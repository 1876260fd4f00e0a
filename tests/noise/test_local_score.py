import numpy as np
import pytest

from napari_noise2score.noise import formulas as formulas
from napari_noise2score.noise.families import (
    Bernoulli,
    Exponential,
    Gamma,
    Gaussian,
    NoiseFamily,
    Poisson,
    PoissonGaussian,
    Tweedie,
)
from napari_noise2score.noise.local_score import Correction, LocalScore

MICROSCOPE = PoissonGaussian(4.0, 20.0, 6.0)
TOP = 1000.0


def truth_score(family: NoiseFamily, clean: np.ndarray) -> LocalScore:
    """What a perfect network would give for a flat surrounding of known clean value."""
    table = family.level_table(float(clean.max()) * 1.5)
    level = np.interp(clean, table.clean, table.mean)
    return LocalScore.from_clean(family.coordinate(table.top), table, level)


@pytest.mark.parametrize('form', list(Correction))
@pytest.mark.parametrize('family', [Gaussian(6.0), Poisson(4.0, 20.0), MICROSCOPE], ids=str)
def test_a_known_clean_value_comes_back(family, form):
    """The prior is a point, so every form returns it, within its own approximation."""
    clean = np.full((1, 5000), 260.0)
    y = family.sample(clean, np.random.default_rng(0))
    result = family.correct(y, truth_score(family, clean), form)
    assert result.mean() == pytest.approx(260.0, rel=0.02)
    assert result.std() < 0.35 * y.std()


@pytest.mark.parametrize('form', [Correction.CHAINED, Correction.STABILISED])
def test_another_family_than_in_training_is_answered_from_the_same_score(form):
    """Trained as Gaussian of the right level, corrected as Poisson-Gaussian."""
    clean = np.full((1, 20_000), 420.0)
    y = MICROSCOPE.sample(clean, np.random.default_rng(0))
    trained = Gaussian(float(MICROSCOPE.variance(420.0)) ** 0.5)
    result = MICROSCOPE.correct(y, truth_score(trained, clean), form)
    assert result.mean() == pytest.approx(420.0, rel=0.01)
    assert result.std() < 0.3 * y.std()


def test_gaussian_correction_of_a_photon_score_by_hand():
    """y + sigma^2 s with s moved to grey levels."""
    clean = np.full((1, 4), 100.0)
    y = np.array([[80.0, 95.0, 110.0, 150.0]])
    score = truth_score(MICROSCOPE, clean)
    coordinate = MICROSCOPE.coordinate(TOP)
    t = coordinate.forward(y)
    by_hand = coordinate.derivative(y) * (score.clean - t) / score.variance
    by_hand += coordinate.log_derivative_slope(y)
    result = Gaussian(5.0).correct(y, score, Correction.AUTO)
    np.testing.assert_allclose(result, y + 25 * by_hand)


def test_closed_form_of_the_ratio_is_the_integral_of_the_score():
    clean = np.full((1, 60), 90.0)
    y = np.linspace(5.0, 220.0, 60)[None]
    score = truth_score(MICROSCOPE, clean)
    by_quadrature = formulas.log_ratio_by_quadrature(score.at, y, gain=4.0, nodes=200)
    # the tangent below the knee has a kink in its derivative, where quadrature is slow
    np.testing.assert_allclose(score.log_ratio(y, 4.0), by_quadrature, atol=5e-3)


def test_identity_network_leaves_gaussian_noise_alone():
    """D = t is the score 0: y + sigma^2 0 = y."""
    family = Gaussian(5.0)
    y = np.random.default_rng(0).normal(100, 20, (4, 4))
    coordinate = family.coordinate(TOP)
    score = LocalScore.from_clean(coordinate, family.level_table(200.0), coordinate.forward(y))
    for form in Correction:
        np.testing.assert_allclose(family.correct(y, score, form), y)


def test_forms_stay_finite_far_from_the_model():
    clean = np.full((1, 3), 21.0)
    y = np.array([[-500.0, 0.0, 6000.0]])
    for form in Correction:
        assert np.isfinite(MICROSCOPE.correct(y, truth_score(MICROSCOPE, clean), form)).all()


def test_poisson_is_poisson_gaussian_without_read_noise():
    clean = np.full((1, 300), 60.0)
    y = Poisson(4.0, 20.0).sample(clean, np.random.default_rng(0))
    score = truth_score(MICROSCOPE, clean)
    for form in (Correction.CHAINED, Correction.STABILISED):
        np.testing.assert_allclose(
            Poisson(4.0, 20.0).correct(y, score, form),
            PoissonGaussian(4.0, 20.0, 0.0).correct(y, score, form),
        )


def test_chain_takes_the_score_at_the_shifted_value():
    clean = np.full((1, 50), 90.0)
    y = np.linspace(40.0, 160.0, 50)[None]
    score = truth_score(MICROSCOPE, clean)
    by_hand = y - 20 + 4 + 36 * score.at(y + 4)
    by_hand = 20 + by_hand * np.exp(score.log_ratio(y, 4.0))
    np.testing.assert_allclose(MICROSCOPE.correct(y, score, Correction.CHAINED), by_hand)


def test_stabilised_form_of_another_family_by_hand():
    """t + v s_t with v at the level reached, then the unbiased inverse."""
    clean = np.full((1, 40), 32.0)
    y = np.linspace(15.0, 70.0, 40)[None]
    score = truth_score(Gaussian(5.0), clean)
    other = Poisson(4.0, 20.0)
    table, coordinate = other.level_table(float(score.table.clean[-1])), other.coordinate(TOP)
    t = coordinate.forward(y)
    s = coordinate.score_from_image(y, score.at(y))
    by_hand = table.clean_value(t + table.variance_at(t + s) * s)
    found = other.correct(y, score, Correction.STABILISED)
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)
    # the highest levels are covered by the table of the other family too; a photon is 4
    bright = np.array([[float(score.table.clean[-1])]])
    high = other.correct(bright, truth_score(Gaussian(5.0), bright), Correction.STABILISED)
    assert high.item() == pytest.approx(bright.item(), abs=4.0)


def test_levels_without_noise_are_held_at_a_small_variance():
    table = Poisson(4.0, 20.0).level_table(100.0)
    dark = LocalScore.from_clean(Poisson(4.0, 20.0).coordinate(TOP), table, table.mean[:1])
    assert dark.variance.item() == 0.05


@pytest.mark.parametrize('gain', [0.01, 1000.0])
def test_paper_form_cannot_overflow(gain):
    family = Poisson(gain, 0.0)
    y = np.array([[0.0, 3.0, 50.0]]) * gain
    score = truth_score(family, np.full((1, 3), 2e6 * gain))
    result = family.correct(y, score, Correction.PAPER)
    assert np.isfinite(result).all()
    assert result.max() <= (50.5 * gain) * np.exp(30.0) * 1.001


@pytest.mark.parametrize(
    ('family', 'clean'),
    [(Gamma(20.0), 50.0), (Exponential(), 50.0), (Tweedie(1.5, 0.3), 50.0), (Bernoulli(), 0.3)],
    ids=str,
)
def test_stabilised_form_returns_a_known_clean_value_exactly(family, clean):
    flat = np.full((1, 3000), clean)
    y = family.sample(flat, np.random.default_rng(0))
    result = family.correct(y, truth_score(family, flat), Correction.STABILISED)
    np.testing.assert_allclose(result, clean, rtol=1e-3)


@pytest.mark.parametrize('family', [Gamma(50.0), Tweedie(1.5, 0.05), Tweedie(2.0, 0.02)], ids=str)
def test_formula_of_the_paper_returns_a_known_clean_value_nearly(family):
    """The local score is Gaussian in the coordinate, so the formula is right to first order."""
    flat = np.full((1, 5000), 40.0)
    y = family.sample(flat, np.random.default_rng(0))
    result = family.correct(y, truth_score(family, flat), Correction.PAPER)
    assert result.mean() == pytest.approx(40.0, rel=0.02)
    assert result.std() < 0.25 * y.std()


def test_step_between_two_values_tells_a_probability_better_than_the_slope():
    clean = np.linspace(0.15, 0.85, 15)[None]
    y = Bernoulli().sample(clean, np.random.default_rng(0))
    score = truth_score(Bernoulli(), clean)
    chained = Bernoulli().correct(y, score, Correction.CHAINED)
    paper = Bernoulli().correct(y, score, Correction.PAPER)
    assert np.abs(chained - clean).max() < 0.12
    assert np.abs(chained - clean).mean() < 0.3 * np.abs(paper - clean).mean()


@pytest.mark.parametrize('form', list(Correction))
@pytest.mark.parametrize('family', [Gamma(3.0), Exponential(), Tweedie(1.3, 2.0)], ids=str)
def test_speckle_forms_stay_finite_and_positive_far_from_the_model(family, form):
    y = np.array([[0.0, 1e-9, 40.0, 9000.0]])
    result = family.correct(y, truth_score(family, np.full((1, 4), 30.0)), form)
    assert np.isfinite(result).all()
    assert result.min() >= 0
