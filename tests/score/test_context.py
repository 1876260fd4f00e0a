"""What a network sees of the other frames or slices, and the network that sees it."""

import numpy as np
import pytest
import torch

from napari_noise2score.score.context import (
    ERROR,
    LEVELS,
    MEAN,
    NAMES,
    PLANES,
    REACH,
    UNSTEADINESS,
    context_in,
    context_of,
    with_context,
)
from napari_noise2score.score.network.choice import network_of
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.network.with_context import ContextNetwork
from napari_noise2score.settings import NetworkSettings

STACK = np.random.default_rng(0).normal(10, 1, (40, 24, 32)).astype(np.float32)


def context(index: int, stack: np.ndarray = STACK, **options) -> np.ndarray:
    return context_of(index, len(stack), stack.__getitem__, **options)


def named(planes: np.ndarray, name: str) -> np.ndarray:
    return planes[NAMES.index(name)]


def test_adjacent_planes_and_means_are_those_of_the_others():
    found = context(20)
    for name, index in (('before 2', 18), ('before 1', 19), ('after 1', 21), ('after 2', 22)):
        assert np.array_equal(named(found, name), STACK[index])
    others = [n for n in range(20 - REACH, 20 + REACH + 1) if n != 20]
    assert np.allclose(found[MEAN], STACK[others].mean(0), atol=1e-5)
    assert np.allclose(
        named(found, 'near mean'), STACK[[17, 18, 19, 21, 22, 23]].mean(0), atol=1e-5
    )
    assert np.allclose(found[ERROR], len(others) ** -0.5)


@pytest.mark.parametrize('index', [0, 1, 20, 38, 39])
def test_a_plane_is_never_in_its_own_context(index):
    other = STACK.copy()
    other[index] = np.nan
    assert np.array_equal(context(index), context(index, other), equal_nan=True)


def test_beyond_the_ends_there_is_nothing():
    first, last = context(0), context(39)
    assert np.isnan(named(first, 'before 1')).all()
    assert np.isnan(named(last, 'after 2')).all()
    assert np.array_equal(named(first, 'after 1'), STACK[1])
    assert np.allclose(first[ERROR], REACH**-0.5)


def test_of_two_planes_the_other_one_is_all_that_is_known():
    found = context(1, STACK[:2])
    assert np.array_equal(found[MEAN], STACK[0])
    assert (found[ERROR] == 1).all()
    assert (found[UNSTEADINESS] == 0).all()


def test_blank_places_do_not_count():
    blank = STACK.copy()
    blank[19, :5] = np.nan
    found, whole = context(20, blank), context(20)
    assert np.isnan(named(found, 'before 1')[:5]).all()
    assert np.isfinite(found[MEAN]).all()
    assert np.allclose(found[ERROR][:5], 23**-0.5)
    assert np.allclose(found[ERROR][5:], 24**-0.5)
    assert np.array_equal(found[MEAN][5:], whole[MEAN][5:])


def test_a_place_that_changes_is_unsteady_and_others_are_not():
    moving = STACK.copy()
    moving[::2, 8:16, 8:16] += 4
    found = context(20, moving)[UNSTEADINESS]
    assert found[10:14, 10:14].min() > 1 > found[:, 24:].max()
    assert abs(np.median(context(20)[UNSTEADINESS])) < 0.1


def test_unsteadiness_is_relative_to_the_noise():
    found = context(20, variance=lambda level: np.full_like(level, 4.0))
    assert np.allclose(context(20)[UNSTEADINESS] - found[UNSTEADINESS], np.log(4), atol=1e-4)


def test_a_plane_and_its_context_make_one_slab():
    slab = with_context(STACK[20], context(20))
    assert slab.shape == (1 + PLANES, 24, 32)
    assert np.array_equal(slab[len(slab) // 2], STACK[20])
    assert np.array_equal(context_in(slab), context(20))
    assert np.isnan(context_in(with_context(STACK[20], None))).all()


@pytest.fixture
def network() -> ContextNetwork:
    size = NetworkSettings(channels=8, levels=2, blocks=1, context=True)
    found = network_of(size, torch.Generator().manual_seed(0)).eval()
    assert isinstance(found, ContextNetwork)
    for weight in found.parameters():
        torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return found.requires_grad_(False)


def slabs(stack: np.ndarray = STACK) -> torch.Tensor:
    return torch.from_numpy(with_context(stack[20], context(20, stack)))[None]


def test_an_untrained_network_returns_the_local_mean_and_a_little_of_the_others():
    network = network_of(NetworkSettings(context=True), torch.Generator().manual_seed(0))
    z, still = slabs(), torch.zeros(1, 1, 1, 1)
    own, mean = z[:, [PLANES // 2]], torch.from_numpy(context(20)[MEAN])
    assert torch.equal(network(own, still), local_mean(own))
    share = (network(z, still) - local_mean(own)) / (mean - local_mean(own))
    assert 0.05 < share.min() < share.max() < 0.2


def test_without_a_context_one_plane_is_enough(network):
    z = torch.from_numpy(with_context(STACK[20], None))[None]
    still = torch.zeros(1, 1, 1, 1)
    assert torch.equal(network(z, still), network(z[:, [PLANES // 2]], still))
    assert torch.isfinite(network(z, still)).all()
    assert not torch.allclose(network(slabs(), still), network(z, still), atol=1e-3)


def test_a_level_added_to_all_planes_is_added_to_the_output(network):
    """The level itself is seen on a scale of its own, which the centre follows."""
    still = torch.zeros(1, 1, 1, 1)
    before = network(slabs(), still)
    network.centre += 100
    assert torch.allclose(network(slabs(STACK + 100), still), before + 100, atol=1e-3)


def test_an_output_depends_on_no_more_than_the_receptive_radius(network):
    radius, still = network.receptive_radius, torch.zeros(1, 1, 1, 1)
    z = torch.randn(1, 1 + PLANES, 16, 8 * (radius // 2), generator=torch.Generator())
    other = z.clone()
    other[..., :16] += 5
    changed = (network(z, still) != network(other, still))[0, 0].any(0).nonzero().max()
    assert changed < 16 + radius


def test_filled_places_have_no_effect_where_there_is_no_image(network):
    z, still = slabs(), torch.zeros(1, 1, 1, 1)
    there = torch.ones_like(z)
    there[..., :8, :] = 0
    other = z.clone()
    other[..., :4, :] += 3  # beyond the reach of two local means
    found, again = (network(values, still, None, None, there) for values in (z, other))
    assert torch.allclose(found[..., 8:, :], again[..., 8:, :], atol=1e-4)


def test_levels_are_all_planes_but_two():
    assert len(LEVELS) == PLANES - 2
    assert not {UNSTEADINESS, ERROR} & set(LEVELS)
