import numpy as np
import pytest

from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.judge import choose_form, compare_forms, judge_channel
from napari_noise2score.noise.correct import Correction
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.prepare import Prepared, prepare
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network import NetworkSettings, ScoreNetwork
from napari_noise2score.score.risk import Risk
from napari_noise2score.steps import finish

NOISE = PoissonGaussian(4.0, 20.0, 2.0)


@pytest.fixture(scope='module')
def prepared() -> Prepared:
    stack = synthetic_stack('nuclei', frames=4, size=160, photons=2.0, noise=NOISE, seed=1)
    return prepare(ImageSource(stack.noisy, 'TYX'))


@pytest.fixture(scope='module')
def smoother() -> ScoreModel:
    """An untrained network: its answer is the local mean."""
    return ScoreModel(ScoreNetwork(NetworkSettings(8, 2, 1)).eval(), 'preconditioned', {})


def risk(value: float, spread: float = 0.0) -> Risk:
    rng = np.random.default_rng(round(1000 * value))
    return Risk(value + spread * rng.normal(size=100), 1.0)


def test_default_form_is_kept_unless_another_is_clearly_better():
    stabilised, chained, paper = Correction.STABILISED, Correction.CHAINED, Correction.PAPER
    assert choose_form({stabilised: risk(0.3), chained: risk(0.2), paper: risk(0.9)}) is chained
    assert choose_form({stabilised: risk(0.2), chained: risk(0.3), paper: risk(0.9)}) is stabilised
    close = {stabilised: risk(0.2, 1.0), chained: risk(0.19, 1.0), paper: risk(0.9)}
    assert choose_form(close) is stabilised


def test_forms_are_ranked_as_the_truth_ranks_them_at_two_photons(prepared, smoother):
    (channel,) = prepared.channels
    judge = finish(judge_channel(smoother, channel, 0.0, device='cpu'))
    risks = compare_forms([judge], [channel.family])
    assert risks[Correction.STABILISED].value < risks[Correction.CHAINED].value
    assert risks[Correction.CHAINED].beats(risks[Correction.PAPER])
    assert risks[Correction.STABILISED].two_frames == 1.0
    assert choose_form(risks) is Correction.STABILISED
    # a gain that is four times too large smooths nothing away that is not there, but biases
    wrong = PoissonGaussian(16.0, 0.0, 2.0)
    worse = judge.risk(wrong, Correction.STABILISED)
    assert risks[Correction.STABILISED].beats(worse)


def test_perturbation_at_inference_is_as_given_or_chosen(prepared, smoother):
    (channel,) = prepared.channels
    given = finish(judge_channel(smoother, channel, 0.7, device='cpu'))
    assert given.sigma_a == 0.7
    chosen = finish(judge_channel(smoother, channel, None, device='cpu'))
    # a local mean is only made noisier by a perturbation
    assert chosen.sigma_a == 0.0
    plain = chosen.risk(channel.family, Correction.STABILISED)
    assert plain.beats(given.risk(channel.family, Correction.STABILISED))
