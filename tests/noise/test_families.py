import dataclasses

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import (
    FAMILIES,
    Bernoulli,
    Exponential,
    Gamma,
    Gaussian,
    Poisson,
    PoissonGaussian,
    Tweedie,
    family_from_dict,
)

EXAMPLES = [
    Gaussian(3.0),
    Poisson(2.5, 7.0),
    PoissonGaussian(2.5, 7.0, 4.0),
    Gamma(12.0),
    Exponential(),
    Tweedie(1.0, 2.5),
    Tweedie(1.4, 1.1),
    Tweedie(2.0, 0.1),
]


@pytest.mark.parametrize('family', EXAMPLES, ids=str)
@pytest.mark.parametrize('clean', [8.0, 60.0, 900.0])
def test_samples_have_the_mean_and_variance_stated(family, clean):
    count = 300_000
    y = family.sample(np.full(count, clean), np.random.default_rng(3))
    variance = float(family.variance(clean))
    assert abs(y.mean() - clean) < 5 * (variance / count) ** 0.5
    fourth = ((y - y.mean()) ** 4).mean() - y.var() ** 2
    assert abs(y.var() - variance) < 5 * (fourth / count) ** 0.5


def test_variance_by_hand():
    assert PoissonGaussian(2.0, 10.0, 3.0).variance(30.0) == pytest.approx(2 * 20 + 9)
    assert Poisson(2.0, 10.0).variance([10.0, 30.0]).tolist() == [0.0, 40.0]
    assert Gaussian(3.0).variance(np.zeros((2, 2))).tolist() == [[9.0, 9.0], [9.0, 9.0]]


def test_photon_samples_lie_on_the_grid_of_photons():
    y = Poisson(2.5, 7.0).sample(np.full(1000, 20.0), np.random.default_rng(0))
    np.testing.assert_allclose((y - 7.0) / 2.5, np.round((y - 7.0) / 2.5), atol=1e-9)


def test_same_seed_same_sample():
    family = PoissonGaussian(2.0, 0.0, 1.0)
    first, second = (family.sample([5.0, 9.0], np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_clean_values_below_the_offset_are_refused_with_both_numbers():
    with pytest.raises(InputError, match=r'4, below the offset 7'):
        Poisson(2.5, 7.0).sample([4.0, 9.0], np.random.default_rng(0))


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        (lambda: Gaussian(0.0), 'sigma is 0; it must be greater than 0'),
        (lambda: Gaussian(float('nan')), 'sigma is nan'),
        (lambda: Poisson(-1.0, 0.0), 'gain is -1'),
        (lambda: Poisson(1.0, float('inf')), 'offset is inf'),
        (lambda: PoissonGaussian(1.0, 0.0, -0.1), 'read_noise is -0.1; it must be 0 or greater'),
        (lambda: PoissonGaussian('a', 0.0, 0.0), "gain is 'a'; a finite number"),
        (lambda: Gaussian(True), 'sigma is True'),
    ],
)
def test_bad_parameters_are_refused_by_name(make, text):
    with pytest.raises(InputError, match=text):
        make()


@pytest.mark.parametrize('family', EXAMPLES, ids=str)
def test_dictionary_round_trip(family):
    assert family_from_dict(family.to_dict()) == family


def test_unknown_or_misfitting_dictionaries_are_refused():
    with pytest.raises(InputError, match="'pink' is unknown; accepted are gaussian"):
        family_from_dict({'family': 'pink'})
    with pytest.raises(InputError, match='poisson noise accepts gain, offset; got sigma'):
        family_from_dict({'family': 'poisson', 'sigma': 1.0})


def test_families_are_frozen_and_listed_by_their_own_name():
    for name, family in FAMILIES.items():
        assert family.name == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        Gaussian(1.0).sigma = 2.0


@pytest.mark.parametrize(
    ('family', 'slope', 'origin', 'dark'),
    [
        (Gaussian(3.0), 0.0, 0.0, 9.0),
        (Poisson(2.5, 7.0), 2.5, 7.0, 0.0),
        (PoissonGaussian(2.5, 7.0, 4.0), 2.5, 7.0, 16.0),
    ],
    ids=str,
)
def test_photon_transfer_line_by_hand(family, slope, origin, dark):
    assert (family.slope, family.origin, family.dark) == (slope, origin, dark)


@pytest.mark.parametrize('family', EXAMPLES, ids=str)
@pytest.mark.parametrize('clean', [7.5, 60.0, 900.0])
def test_outcomes_stand_for_the_distribution(family, clean):
    values, probability = family.outcomes(clean)
    assert probability.sum() == pytest.approx(1.0)
    mean = (probability * values).sum()
    assert mean == pytest.approx(clean, rel=1e-4)
    variance = (probability * (values - mean) ** 2).sum()
    assert variance == pytest.approx(float(family.variance(clean)), rel=1e-3)


def test_bernoulli_is_zero_or_one_with_the_variance_stated():
    y = Bernoulli().sample(np.full(200_000, 0.3), np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1.0}
    assert y.mean() == pytest.approx(0.3, abs=0.005)
    assert float(Bernoulli().variance(0.3)) == pytest.approx(0.21)
    assert Bernoulli().variance([-1.0, 2.0]).tolist() == [0.0, 0.0]
    with pytest.raises(InputError, match='needs probabilities, 0 to 1'):
        Bernoulli().sample([0.5, 1.5], np.random.default_rng(0))


def test_speckle_variance_by_hand():
    assert float(Gamma(4.0).variance(10.0)) == 25.0
    assert float(Exponential().variance(10.0)) == 100.0
    assert float(Tweedie(1.5, 0.5).variance(4.0)) == 4.0


def test_pulses_of_the_tweedie_family_leave_exact_zeros():
    """There is nothing where no pulse came: in exp(-rate) of the pixels."""
    family = Tweedie(1.5, 1.0)
    rate = 0.5**0.5 / 0.5
    y = family.sample(np.full(100_000, 0.5), np.random.default_rng(0))
    assert (y == 0).mean() == pytest.approx(np.exp(-rate), abs=0.01)


@pytest.mark.parametrize(
    ('family', 'values', 'text'),
    [
        (Bernoulli(), [0, 255], 'values are 0 to 255; Bernoulli noise needs binary frames'),
        (Gamma(3.0), [-2.0, 1.0], 'values go down to -2; Gamma noise needs values of 0 or more'),
        (Exponential(), [-2.0], 'Exponential noise needs'),
        (Tweedie(1.2, 1.0), [-2.0], 'Tweedie noise needs'),
    ],
)
def test_values_that_cannot_come_from_the_family_are_refused(family, values, text):
    with pytest.raises(InputError, match=text):
        family.check_values(np.asarray(values))
    family.check_values(np.array([0, 1]))
    with pytest.raises(InputError):
        family.sample([-1.0], np.random.default_rng(0))


@pytest.mark.parametrize(('power', 'text'), [(0.9, '1 or greater'), (2.1, '2 or less')])
def test_powers_that_no_noise_of_photons_has_are_refused(power, text):
    with pytest.raises(InputError, match=text):
        Tweedie(power, 1.0)


@pytest.mark.parametrize(
    ('power', 'dispersion'), [(1.2, 0.05), (1.8, 0.05), (1.95, 0.05), (1.98, 0.05), (1.99, 0.25)]
)
def test_outcomes_of_many_pulses_are_those_that_are_drawn(power, dispersion):
    """In the coordinate too, which is steep near 0: near a power of 2 pulses are skewed."""
    family, light = Tweedie(power, dispersion), 500.0
    forward = family.coordinate(1000.0).forward
    values, probability = family.outcomes(light)
    drawn = forward(family.sample(np.full(200_000, light), np.random.default_rng(0)))
    mean = float(probability @ forward(values))
    variance = float(probability @ (forward(values) - mean) ** 2)
    assert mean == pytest.approx(drawn.mean(), abs=0.02)
    assert variance == pytest.approx(drawn.var(), rel=0.03)
