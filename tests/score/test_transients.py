import pytest
import torch

from napari_noise2score.score.transients import SHARE, transients


def drawn(count=400, size=64, seed=0, pairs=30):
    return transients([pairs] * count, size, torch.Generator().manual_seed(seed))


def test_shape_and_the_same_seed_gives_the_same():
    assert drawn(3, 32).shape == (3, 1, 32, 32)
    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(3, seed=1))


def test_about_half_of_the_patches_hold_something():
    holds = (drawn() != 0).flatten(1).any(1).float().mean()
    assert float(holds) == pytest.approx(SHARE, abs=0.08)


def test_few_captures_of_one_field_are_no_time_series():
    holds = (drawn(pairs=3) != 0).flatten(1).any(1).float().mean()
    assert 0 < float(holds) < SHARE / 3


def test_most_are_bright_and_small_and_some_are_dark():
    found = drawn()
    assert float((found > 0.4).float().mean()) > 2 * float((found < -0.4).float().mean()) > 0
    assert float((found.abs() > 0.1).float().mean()) < 0.2


def test_weak_and_strong_ones_are_drawn():
    strongest = drawn().flatten(1).amax(1)
    assert float((strongest > 3).float().mean()) > 0.1
    assert float(((strongest > 0.3) & (strongest < 1.2)).float().mean()) > 0.02
