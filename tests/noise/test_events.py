"""Which places of a recording may serve as targets for each other."""

import numpy as np
import pytest

from napari_noise2score.noise.estimate.events import unchanged_share, without_events
from napari_noise2score.noise.pairs import PlanePair, StillBlocks

SIZE, FRAMES = 192, 12


class White:
    """Noise of variance one at every level."""

    def variance_at(self, level):
        return np.ones_like(level)


def movie(frames=FRAMES, seed=0):
    return dict(enumerate(np.random.default_rng(seed).normal(20, 1, (frames, SIZE, SIZE))))


def pairs_of(frames):
    return [PlanePair(k, k + 1) for k in range(len(frames) - 1)]


def taken(pair, rows, columns):
    """Share of a place that the frames of a pair may teach."""
    return 1.0 if pair.still is None else float(pair.still.at(rows, columns).mean())


def test_of_nothing_but_noise_nearly_everything_is_kept():
    frames = movie()
    assert unchanged_share(without_events(pairs_of(frames), frames, White())) > 0.85


def test_of_skewed_noise_nearly_everything_is_kept_too():
    drawn = 2 * np.sqrt(np.random.default_rng(0).poisson(3.0, (FRAMES, SIZE, SIZE)) + 0.375)
    frames = dict(enumerate(drawn))
    assert unchanged_share(without_events(pairs_of(frames), frames, White())) > 0.8


def test_of_correlated_noise_nearly_everything_is_kept_too():
    drawn = np.random.default_rng(0).normal(size=(FRAMES, SIZE, SIZE + 3))
    frames = dict(enumerate(20 + (drawn[..., 3:] + drawn[..., 2:-1] + drawn[..., 1:-2]) / 3**0.5))
    assert unchanged_share(without_events(pairs_of(frames), frames, White())) > 0.8


@pytest.mark.parametrize('sign', [1, -1])
def test_a_flash_is_left_out_of_the_pairs_that_hold_its_frame_and_of_no_others(sign):
    """Two noise standard deviations in 5 x 5 pixels."""
    frames = movie()
    rows, columns = np.arange(80, 85), np.arange(100, 105)
    frames[5][np.ix_(rows, columns)] += 2 * sign
    found = without_events(pairs_of(frames), frames, White())
    assert [taken(found[k], rows, columns) for k in (4, 5)] == [0, 0]
    others = [taken(found[k], rows, columns) for k in (0, 1, 2, 7, 8, 9, 10)]
    assert np.mean(others) > 0.8


def test_what_flickers_too_weakly_to_be_seen_once_is_seen_in_the_whole_recording():
    frames = movie(60)
    rows, columns = np.arange(60, 69), np.arange(40, 49)
    for k in frames:
        frames[k][np.ix_(rows, columns)] += 0.35 * (k // 2 % 2)
    found = without_events(pairs_of(frames), frames, White())
    there = np.mean([taken(pair, rows, columns) for pair in found])
    assert there < 0.2 < 0.8 < unchanged_share(found)


def test_what_was_known_to_move_stays_left_out():
    frames = movie(2)
    blocks = np.ones((6, 6), bool)
    blocks[2, 3] = False
    pair = PlanePair(0, 1, still=StillBlocks(blocks, (SIZE, SIZE)))
    (found,) = without_events([pair], frames, White())
    assert taken(found, np.arange(64, 96), np.arange(96, 128)) == 0


def test_a_part_of_the_plane_lies_where_it_was_cut_out():
    frames = movie(2)
    frames[1][50:60, 70:80] += 5
    (found,) = without_events([PlanePair(0, 1)], frames, White(), (1000, 2000))
    assert taken(found, np.arange(1050, 1060), np.arange(2070, 2080)) == 0
    assert taken(found, np.arange(50, 60), np.arange(70, 80)) == 1  # nothing is known there


@pytest.mark.parametrize('columns', [6, 60, 150])
def test_blank_places_are_no_events(columns):
    frames = movie(8)
    for number, frame in frames.items():
        frame[:, : columns + number % 2] = np.nan
    assert unchanged_share(without_events(pairs_of(frames), frames, White())) > 0.85


@pytest.mark.parametrize('place', [np.s_[:, :6], np.s_[:6], np.s_[100:, 120:], np.s_[3, 5]])
def test_blank_places_hide_no_event(place):
    frames = movie()
    for frame in frames.values():
        frame[place] = np.nan
    rows, columns = np.arange(60, 65), np.arange(60, 65)
    frames[5][np.ix_(rows, columns)] += 2
    found = without_events(pairs_of(frames), frames, White())
    assert [taken(found[k], rows, columns) for k in (4, 5)] == [0, 0]
    assert unchanged_share(found) > 0.85


def test_what_flickers_is_seen_where_each_frame_has_another_blank_part():
    frames = movie(60)
    rows, columns = np.arange(60, 69), np.arange(40, 49)
    for k, frame in frames.items():
        frame[np.ix_(rows, columns)] += 0.5 * (k // 2 % 2)
        start = 96 + 24 * (k % 4)  # no row of the lower half is in all frames
        frame[start : start + 24] = np.nan
    found = without_events(pairs_of(frames), frames, White())
    there = np.mean([taken(pair, rows, columns) for pair in found])
    assert there < 0.2 < 0.8 < unchanged_share(found)


def test_a_frame_that_is_blank_everywhere():
    frames = movie(6)
    frames[3][:] = np.nan
    found = without_events(pairs_of(frames), frames, White())
    assert unchanged_share(found) > 0.85


def test_without_pairs_nothing_is_said():
    assert without_events([], {}, White()) == ()
    assert unchanged_share([]) is None
