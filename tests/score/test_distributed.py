"""A training on two devices: two processes of the CPU, which are averaged by Gloo."""

import copy
from dataclasses import replace
from operator import methodcaller

import psutil
import pytest
import torch

from napari_noise2score.errors import CheckpointError, TrainingError
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.progress import finish
from napari_noise2score.score import training_files
from napari_noise2score.score.distributed import Team, team_of
from napari_noise2score.score.gradient import CLIP
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.sampler import SamplerState
from napari_noise2score.score.train import train
from napari_noise2score.score.training_files import SavedTraining
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.score.training_run import TrainingRun
from napari_noise2score.score.training_state import TrainingState
from napari_noise2score.settings import NetworkSettings, TrainSettings
from tests.score.helpers import FLAT, noisy_planes

SMALL = NetworkSettings(channels=8, levels=2, blocks=1)
TWO = TrainSettings(
    seconds=None, steps=8, batch=5, patch=32, init='scratch', network=SMALL, device='cpu,cpu'
)
CPU = torch.device('cpu')
EXACT = Precision(CPU, reduced=False)


def weights_of(model) -> dict[str, torch.Tensor]:
    return model.network.state_dict()


def assert_same(one, other) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Recorded:
    """Trainings with files of their states; gives what the first process computes with."""

    def __init__(self, monkeypatch, path) -> None:
        self.path, self.runs = path, []
        array = noisy_planes(2, 64).array[:, None]
        self.images = [PlanesInMemory(array, FLAT, Correlation.white(), True)]
        monkeypatch.setattr(training_files, '_SELDOM', 0)
        init = TrainingRun.__init__

        def recorded(run, *arguments):
            init(run, *arguments)
            self.runs.append(run)

        monkeypatch.setattr(TrainingRun, '__init__', recorded)

    def train(self, settings=TWO, state=None):
        origin = TrainingOrigin({}, settings.decisive, None, [])
        saved = SavedTraining(self.path, origin, 0.0, state)
        return train(self.images, settings, precision=EXACT, saved=saved)

    @property
    def processes(self) -> list[int]:
        return self.runs[0].team._processes.alive

    def averages(self):
        """The running averages of both processes."""
        run = self.runs[0]
        (other,) = run.team.replies('so_far')
        return weights_of(run.so_far()), weights_of(other)

    def gradient_of_one_process(self, network, states, progress) -> torch.Tensor:
        """Gradient of the mean loss of the patches that both processes draw next."""
        loss = 0.0
        for number, state in enumerate(states):
            team = Team(CPU, number, 2)
            run = TrainingRun(self.images, TWO, None, EXACT, team)
            run.objective.sampler.restore(SamplerState.from_dict(state))
            count = team.share(TWO.batch)
            loss += run.objective.loss(run._denoiser(network), count, progress) * count
        (loss / TWO.batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        return gradient_in(network)


def gradient_in(network) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in network.parameters()])


def test_two_processes_make_the_steps_of_one_continue_an_interrupted_training_and_fail_together(
    monkeypatch, tmp_path
):
    recorded = Recorded(monkeypatch, tmp_path / 'a.safetensors')
    steps = recorded.train()
    for done in (1, 2, 3):
        assert next(steps).step == done
    run = recorded.runs[0]
    state = TrainingState.load(recorded.path)
    before = copy.deepcopy(run.learner.network)
    states = [run.sampler_state(), *run.team.replies('sampler_state')]
    assert not torch.equal(states[0]['random'], states[1]['random'])
    next(steps)
    gradient = gradient_in(run.learner.network)
    one, other = recorded.averages()
    assert_same(one, other)
    assert all(values.isfinite().all() for values in one.values())
    expected = recorded.gradient_of_one_process(before, states, 3 / 8)
    assert (gradient - expected).norm() < 1e-5 * expected.norm()

    run.restore(state.parts)
    run.step(3 / 8)
    for again in recorded.averages():
        assert_same(again, one)

    psutil.Process(recorded.processes[0]).kill()
    with pytest.raises(TrainingError, match='the process of device cpu failed: ended '):
        finish(steps)
    assert recorded.processes == []
    assert not torch.distributed.is_initialized()
    with pytest.raises(CheckpointError, match=r'used 2 devices, but 1 are given'):
        finish(recorded.train(replace(TWO, device='cpu'), state))


def test_at_the_end_the_processes_end_by_themselves():
    with team_of((CPU, CPU), methodcaller('follow', None)) as team:
        (process,) = map(psutil.Process, team._processes.alive)
        assert [team.share(5), team.number, team.count] == [3, 0, 2]
        team.dismiss()
        process.wait(20)
    assert not torch.distributed.is_initialized()


def test_shares_of_a_batch_and_seeds_of_the_processes():
    teams = [Team(CPU, number, 3) for number in range(3)]
    assert [team.share(8) for team in teams] == [3, 3, 2]
    assert teams[0].seed(7) == 7
    seeds = [team.seed(seed) for seed in (0, 1, 2**63 - 1) for team in teams]
    assert len(set(seeds)) == 9


def test_a_training_without_a_step_starts_no_process(monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError('a process was started')

    monkeypatch.setattr('subprocess.Popen', refused)
    settings = TrainSettings(seconds=0, device='cpu,cpu')
    assert finish(train([noisy_planes(1, 64)], settings)).training['steps_done'] == 0
