import dataclasses

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import (
    FAMILIES,
    Gaussian,
    Poisson,
    PoissonGaussian,
    family_from_dict,
)

EXAMPLES = [Gaussian(3.0), Poisson(2.5, 7.0), PoissonGaussian(2.5, 7.0, 4.0)]


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
    with pytest.raises(InputError, match="'pink' is unknown; known are gaussian"):
        family_from_dict({'family': 'pink'})
    with pytest.raises(InputError, match='poisson noise takes gain, offset; got sigma'):
        family_from_dict({'family': 'poisson', 'sigma': 1.0})


def test_families_are_frozen_and_listed_by_their_own_name():
    for name, family in FAMILIES.items():
        assert family.name == name
    with pytest.raises(dataclasses.FrozenInstanceError):
        Gaussian(1.0).sigma = 2.0


@pytest.mark.parametrize(
    ('family', 'slope', 'intercept', 'dark'),
    [
        (Gaussian(3.0), 0.0, 9.0, 9.0),
        (Poisson(2.5, 7.0), 2.5, -17.5, 0.0),
        (PoissonGaussian(2.5, 7.0, 4.0), 2.5, -1.5, 16.0),
    ],
    ids=str,
)
def test_photon_transfer_line_by_hand(family, slope, intercept, dark):
    assert (family.slope, family.intercept, family.dark) == (slope, intercept, dark)
