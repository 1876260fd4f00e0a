"""Which weights are delivered where the risk and what comes back of the noise disagree."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.score.checkpoints import CheckpointSelection
from napari_noise2score.score.flat_places import RETURNED, FlatPlaces
from napari_noise2score.score.risk import Risk

PLACES, SIZE = 8, 64


class Trial:
    """Places of a given risk, and a network whose only weight is the number of the evaluation."""

    def __init__(self, *, good=True, paired=True):
        rng = np.random.default_rng(0)
        self.noise = rng.normal(size=(2 * PLACES, SIZE, SIZE)).astype(np.float32)
        self.risks = []
        probe = SimpleNamespace(
            noisy=self.noise,
            paired=np.full(PLACES, paired),
            image=np.zeros(2 * PLACES, np.int64),
            normal=np.zeros(PLACES, bool),
            witness=np.full((PLACES, SIZE, SIZE), np.nan, np.float32),
            risk=lambda clean: self.risks[-1],
        )
        self.network = torch.nn.Linear(1, 1, bias=False).requires_grad_(False)
        self.checkpoints = CheckpointSelection(probe, good=good)
        self.count = 0

    def evaluate(self, risk, returned=0.0):
        """``risk`` of the same spread at all places; ``returned`` of the noise has come back."""
        self.risks.append(Risk(risk + 1e-3 * np.arange(PLACES), 0.0))
        self.network.weight.fill_(self.count)
        clean = returned * self.noise
        self.checkpoints.evaluate(self.network, lambda probe: clean, self.count)
        self.count += 1

    def uncertain(self, risk):
        """An evaluation whose difference from the first is within its error."""
        spread = np.resize([-0.1, 0.1], PLACES)
        self.risks.append(Risk(self.risks[0].places + spread + risk - self.risks[0].value, 0.0))
        self.network.weight.fill_(self.count)
        self.checkpoints.evaluate(self.network, lambda probe: 0 * self.noise, self.count)
        self.count += 1

    def delivered(self):
        step = self.checkpoints.deliver(self.network).step
        assert float(self.network.weight) == step
        return step


def test_a_lower_risk_is_delivered():
    trial = Trial()
    for risk in (0.3, 0.2, 0.25):
        trial.evaluate(risk)
    assert trial.delivered() == 1
    assert trial.checkpoints.first.value > trial.checkpoints.best.value


def test_a_gain_of_the_size_of_rounding_is_none():
    """At the same noise it may be as significant as any: it depends on the processor."""
    trial = Trial()
    trial.evaluate(0.3)
    for number in range(1, 5):
        trial.evaluate(0.3 - 1e-6 * number)
    assert trial.checkpoints.best.beats(trial.checkpoints.first)
    assert not trial.checkpoints.gained
    assert trial.checkpoints.exhausted
    assert trial.delivered() == 0


def test_of_a_single_image_the_last_weights_are_delivered_if_no_judge_objects():
    """What a training gains there is less than the error of the risk."""
    trial = Trial(paired=False)
    trial.evaluate(0.3)
    for value in (0.31, 0.29, 0.32):
        trial.uncertain(value)
    assert trial.delivered() == 3
    assert trial.checkpoints.best.value == pytest.approx(0.32)


def test_of_a_single_image_weights_that_let_noise_back_in_are_not_delivered():
    """Nor earlier ones of that training: it has learned from the start what harms."""
    trial = Trial(paired=False)
    trial.evaluate(0.3)
    trial.evaluate(0.25, RETURNED / 2)
    trial.evaluate(0.1, 3 * RETURNED)
    assert trial.checkpoints.flat.returned == pytest.approx(3 * RETURNED, rel=1e-3)
    assert trial.delivered() == 0


def test_of_a_single_image_weights_of_a_clearly_higher_risk_are_not_delivered():
    trial = Trial(paired=False)
    for risk in (0.3, 0.28, 0.4):
        trial.evaluate(risk)
    assert trial.checkpoints.refused == 1
    assert trial.delivered() == 0


def test_most_places_say_whether_images_are_single():
    trial = Trial()
    paired = np.arange(PLACES) < PLACES // 2 + 1
    assert not CheckpointSelection(SimpleNamespace(paired=paired), good=True).single
    assert CheckpointSelection(SimpleNamespace(paired=~paired), good=True).single
    assert not trial.checkpoints.single


def test_evaluations_that_let_noise_back_in_are_counted_in_a_row():
    trial = Trial(paired=False)
    counts = []
    for returned in (0, 2 * RETURNED, 0, 2 * RETURNED, 3 * RETURNED):
        trial.evaluate(0.3, returned)
        counts.append(trial.checkpoints.refused)
    assert counts == [0, 1, 0, 1, 2]


def test_frames_that_are_compared_need_no_second_judge():
    trial = Trial()
    trial.evaluate(0.3)
    trial.evaluate(0.1, 0.5)
    assert trial.delivered() == 1


def test_a_lower_risk_within_its_error_is_no_reason_to_leave_good_weights():
    trial = Trial()
    trial.evaluate(0.3)
    trial.uncertain(0.29)
    assert trial.checkpoints.best.value < trial.checkpoints.first.value
    assert trial.delivered() == 0


def test_from_scratch_the_last_weights_are_delivered_unless_others_were_clearly_better():
    trial = Trial(good=False)
    for risk in (1.0, 0.3, 0.3):
        trial.evaluate(risk, returned=1.0)
    assert trial.delivered() == 2
    trial.evaluate(0.9)
    assert trial.delivered() == 1


def test_nothing_is_delivered_before_an_evaluation():
    with pytest.raises(RuntimeError, match='no network has been evaluated yet'):
        Trial().delivered()


@pytest.mark.parametrize(
    ('flat', 'words'),
    [
        (FlatPlaces(0.05, 0.0), 'added 5 % of the noise to flat places again'),
        (FlatPlaces(0.0, 0.02), 'moved flat places away from the image, by 2 % of the noise'),
        (FlatPlaces(0.0, 0.0, 1.3), 'The distribution of the noise is not normal'),
        (FlatPlaces(), 'did not improve on the pretrained weights'),
    ],
)
def test_why_the_start_is_applied_is_put_into_words(flat, words):
    training = {
        'steps_done': 20,
        'delivered_step': 0,
        'start_risk': {'value': 0.2},
        'risk': {'value': 0.2},
        'flat_places': flat.to_dict(),
    }
    assert words in gain_words(training)


def applied(risk, **more):
    """What a training that was applied says of itself: its risk was 0.2 before."""
    return {
        'steps_done': 20,
        'delivered_step': 20,
        'start_risk': {'value': 0.2},
        'risk': {'value': risk},
        'gain': {'standard_error': 0.01},
        **more,
    }


def test_a_gain_within_its_error_is_told_as_one_that_cannot_be_measured():
    words = gain_words(applied(0.195, flat_places=FlatPlaces().to_dict()))
    assert 'too small to be measured here' in words
    assert 'fell by 0.5 % ± 1 % of the noise variance' in words


def test_the_share_of_a_recording_that_was_compared_is_told():
    training = applied(0.1, unchanging=0.93)
    assert gain_words(training).endswith(
        'compared in 93 % of the recording, where nothing changes.'
    )
    assert 'compared' not in gain_words({**training, 'unchanging': None})
