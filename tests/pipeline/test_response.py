"""What the other frames smoothed, measured with spots of light in single planes."""

import numpy as np
import pytest

from napari_noise2score import prepare
from napari_noise2score.analysis.smoothing import smoothing_words
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.blend import Blend
from napari_noise2score.pipeline.blending import WithContext
from napari_noise2score.pipeline.context_levels import with_neighbours
from napari_noise2score.pipeline.pretrained import context_model
from napari_noise2score.pipeline.response import Response, measure_responses
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.settings import Context


@pytest.fixture(scope='module')
def channel():
    clean = 100 * synthetic_stack('nuclei', frames=1, size=96, seed=3).truth
    noise = np.random.default_rng(0).normal(0, 10, (12, *clean.shape))
    prepared = prepare(
        (clean / clean.max() * 100 + noise).astype(np.float32),
        'TYX',
        NoiseRequest.exactly(Gaussian(10.0)),
        device='cpu',
    )
    (found,) = with_neighbours(prepared, Context.TIME).channels
    return found


def test_without_a_share_of_the_others_nothing_is_smoothed_in_time(channel):
    beside = WithContext(context_model(channel), Blend.constant(0.0), 'T')
    found = finish(measure_responses(warm_start(), beside, channel, device='cpu'))
    assert found.keys() == {'steady', 'unsteady'}
    for response in found.values():
        assert response.beside == (0.0, 0.0)
        assert 0.1 < response.own < 1


def test_with_the_others_a_part_of_a_spot_is_seen_beside_it(channel):
    beside = WithContext(context_model(channel), Blend.constant(1.0), 'T')
    found = finish(measure_responses(warm_start(), beside, channel, device='cpu'))['steady']
    assert all(part > 0.005 for part in found.beside)


def test_a_short_movie_has_no_frames_on_both_sides(channel):
    beside = WithContext(context_model(channel), Blend.constant(1.0), 'T')
    data = channel.channel.source.data[:4]
    prepared = prepare(data, 'TYX', NoiseRequest.exactly(Gaussian(10.0)), device='cpu')
    (short,) = with_neighbours(prepared, Context.TIME).channels
    assert finish(measure_responses(warm_start(), beside, short, device='cpu')) == {}


@pytest.mark.parametrize(
    ('own', 'beside', 'width'),
    [(1.0, (0.0, 0.0), 1.0), (0.8, (0.4, 0.2), 2.0), (0.6, (0.45, 0.0), 8 / 3)],
)
def test_the_width_is_that_at_half_of_the_maximum(own, beside, width):
    assert Response(own, beside).width == pytest.approx(width, rel=0.1)


def test_a_width_beyond_the_measured_planes_is_not_known():
    response = Response(0.2, (0.2, 0.15))
    assert response.width == float('inf')
    assert response.to_dict() == {'own': 0.2, 'beside': [0.2, 0.15], 'width': None}


@pytest.mark.parametrize('own', [0.0, -0.01])
def test_a_plane_that_shows_nothing_of_its_own_has_no_width(own):
    assert Response(own, (0.2, 0.1)).to_dict()['width'] is None


def record(place: dict[str, int], axis: str = 'T', **responses: Response) -> dict:
    response = {name: one.to_dict() for name, one in responses.items()}
    return {'place': place, 'context': {'axis': axis, 'response': response}}


def test_what_was_smoothed_is_said_in_words():
    steady, unsteady = Response(0.9, (0.02, 0.0)), Response(0.75, (0.1, -0.02))
    report = {'channels': [record({}, steady=steady, unsteady=unsteady)]}
    assert smoothing_words(report) == [
        'The other frames were used: where nothing changes, 90 % of a weak event in a single '
        'frame are kept in it, and 4 % appear in the frames beside it; where it does, 75 % of a '
        'weak event in a single frame are kept in it, and 16 % appear in the frames beside it.'
    ]


def test_each_channel_has_a_sentence_and_none_without_others():
    slices = record({'C': 1}, 'Z', steady=Response(0.5, (0.1, 0.1)))
    (sentence,) = smoothing_words({'channels': [{'place': {'C': 0}, 'context': None}, slices]})
    assert sentence.startswith('C 1: The other slices were used: where nothing changes, 50 % of')
