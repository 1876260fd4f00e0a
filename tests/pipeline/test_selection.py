from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES, synthetic_stack
from napari_noise2score.noise.families import Poisson, PoissonGaussian
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.selection import choose_form, compare_forms, evaluate_channel
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.probe import Probe
from napari_noise2score.score.risk import Risk
from napari_noise2score.score.train import beginning
from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings

NOISE = PoissonGaussian(4.0, 20.0, 2.0)


@pytest.fixture(scope='module')
def prepared() -> Prepared:
    stack = synthetic_stack('nuclei', frames=4, size=96, photons=2.0, noise=NOISE, seed=1)
    return model_noise(ImageSource(stack.noisy, 'TYX'))


@pytest.fixture(scope='module')
def smoother() -> ScoreModel:
    """An untrained network: its answer is the local mean."""
    return ScoreModel(ScoreNetwork(NetworkSettings(8, 2, 1)).eval(), 'preconditioned', {})


def risk(value: float, spread: float = 0.0) -> Risk:
    rng = np.random.default_rng(round(1000 * abs(value)))
    return Risk(value + spread * rng.normal(size=100), 1.0)


def test_default_form_is_kept_unless_another_is_clearly_better():
    stabilised, chained, paper = Correction.STABILISED, Correction.CHAINED, Correction.PAPER
    assert choose_form({stabilised: risk(0.3), chained: risk(0.2), paper: risk(0.9)}) is chained
    assert choose_form({stabilised: risk(0.2), chained: risk(0.3), paper: risk(0.9)}) is stabilised
    close = {stabilised: risk(0.2, 1.0), chained: risk(0.19, 1.0), paper: risk(0.9)}
    assert choose_form(close) is stabilised


def test_forms_are_ranked_as_the_truth_ranks_them_at_two_photons(prepared, smoother):
    (channel,) = prepared.channels
    evaluation = finish(evaluate_channel(smoother, channel, 0.0, device='cpu'))
    risks = compare_forms([evaluation], [channel.family])
    assert risks[Correction.STABILISED].value < risks[Correction.CHAINED].value
    assert risks[Correction.CHAINED].beats(risks[Correction.PAPER])
    assert risks[Correction.STABILISED].two_frames == 1.0
    assert choose_form(risks) is Correction.STABILISED
    # a gain that is four times too large smooths nothing away that is not there, but biases
    wrong = PoissonGaussian(16.0, 0.0, 2.0)
    worse = evaluation.risk(wrong, Correction.STABILISED)
    assert risks[Correction.STABILISED].beats(worse)


def test_perturbation_at_inference_is_as_given_or_chosen(prepared, smoother):
    (channel,) = prepared.channels
    given = finish(evaluate_channel(smoother, channel, 0.7, device='cpu'))
    assert given.sigma_a == 0.7
    chosen = finish(evaluate_channel(smoother, channel, None, device='cpu'))
    # a local mean is only made noisier by a perturbation
    assert chosen.sigma_a == 0.0
    plain = chosen.risk(channel.family, Correction.STABILISED)
    assert plain.beats(given.risk(channel.family, Correction.STABILISED))


def test_forms_with_an_impossible_risk_are_not_taken():
    stabilised, chained, paper = Correction.STABILISED, Correction.CHAINED, Correction.PAPER
    wrong = {stabilised: risk(0.003, 0.01), chained: risk(-0.07, 0.01), paper: risk(0.9)}
    assert choose_form(wrong) is stabilised
    # the better one of those that can be
    some = {stabilised: risk(0.3, 0.01), chained: risk(-0.07, 0.01), paper: risk(0.1, 0.01)}
    assert choose_form(some) is paper
    # an evaluation that is wrong of the stabilised form is wrong of the others too
    nothing = {stabilised: risk(-0.1, 0.01), chained: risk(-0.2, 0.01), paper: risk(-0.3, 0.01)}
    assert choose_form(nothing) is stabilised
    assert choose_form({**nothing, paper: risk(0.001, 0.0001)}) is stabilised


def test_a_perturbation_is_not_chosen_by_an_impossible_risk(prepared, smoother, monkeypatch):
    found = iter([risk(0.1, 0.01), risk(-0.1, 0.01)])
    monkeypatch.setattr(Probe, 'risk', lambda self, clean: next(found))
    (channel,) = prepared.channels
    assert finish(evaluate_channel(smoother, channel, None, device='cpu')).sigma_a == 0.0


@pytest.mark.parametrize('photons', [0.1, 1.0])
def test_the_risk_of_a_single_frame_of_few_photons_is_its_distance_from_the_truth(photons):
    """As pixels are drawn anew; a recorrupted risk is below zero there."""
    rng = np.random.default_rng(0)
    light = SCENES['nuclei']((160, 160), rng)
    truth = photons * (0.2 + 0.8 * light / light.mean())
    counts = Poisson(1.0, 0.0)
    known = NoiseRequest('poisson', {'gain': 1.0, 'offset': 0.0})
    image = model_noise(ImageSource(counts.sample(truth, rng).astype(np.float32), 'YX'), known)
    (channel,) = image.channels
    model = beginning([channel], TrainSettings(seconds=0.0, device='cpu'))
    evaluation = finish(evaluate_channel(model, channel, 0.0, device='cpu'))
    level = finish(predict_clean(model, channel, device='cpu', orientations=2))
    score = LocalScore.from_clean(channel.coordinate, channel.table, level[0])
    true, found = [], []
    for form in (Correction.STABILISED, Correction.CHAINED):
        clean = channel.family.correct(channel.channel.plane(0).astype(np.float64), score, form)
        distance = channel.table.mean_of(clean) - channel.table.mean_of(truth)
        true.append(float((distance**2).mean()))
        found.append(evaluation.risk(channel.family, form))
        # the noise that there happens to be scatters by 2 % of its variance at 0.1 photons
        assert found[-1].doubt < 0.03 * found[-1].noise < 0.03
        assert found[-1].known
        assert found[-1].value == pytest.approx(true[-1], abs=3 * found[-1].doubt)
    # what forms differ by does not depend on it
    assert found[1].value - found[0].value == pytest.approx(true[1] - true[0], rel=0.25)
    risks = compare_forms([evaluation], [channel.family])
    assert risks[Correction.STABILISED].beats(risks[Correction.CHAINED])


def test_pixels_without_a_photon_do_not_make_a_wrong_form_the_best():
    """The paper's form blew them up, and the trials did not show it."""
    truth = synthetic_stack('nuclei', frames=1, size=96, seed=3).truth
    clean = 0.2 + 20 * (truth - truth.min()) / np.ptp(truth)
    noisy = np.random.default_rng(0).poisson(clean).astype(np.float32)
    settings = DenoiseSettings(
        NoiseRequest.exactly(Poisson(1.0, 0.0)), training=TrainSettings(seconds=0, device='cpu')
    )
    best = denoise(noisy, 'YX', settings)
    other = denoise(noisy, 'YX', replace(settings, correction=Correction.PAPER))
    error, more = (np.mean((result.image - clean) ** 2) for result in (best, other))
    assert more < 2 * error
    report = best.report
    assert report['correction'] == 'stabilised'
    assert report['risk']['paper']['value'] > report['risk']['stabilised']['value']
