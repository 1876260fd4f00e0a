import pytest
import torch

from napari_noise2score.score import threads as module
from napari_noise2score.score.threads import ThreadTuner


class Machine:
    """A clock on which a step takes as long as `seconds` says for the threads in use."""

    def __init__(self, monkeypatch, threads: int, seconds: dict[int, float]) -> None:
        self.now, self.threads, self.seconds = 0.0, threads, seconds
        monkeypatch.setattr(module.time, 'perf_counter', lambda: self.now)
        monkeypatch.setattr(torch, 'get_num_threads', lambda: self.threads)
        monkeypatch.setattr(torch, 'set_num_threads', self.use)

    def use(self, threads: int) -> None:
        self.threads = threads

    def run(self, tuner: ThreadTuner, steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            tuner.step()
            used.append(self.threads)
            self.now += self.seconds[self.threads]
        return used


@pytest.mark.parametrize(
    ('seconds', 'best'), [({4: 1.0, 3: 1.3}, 4), ({4: 5.0, 3: 1.3}, 3), ({4: 1.0, 3: 0.9}, 3)]
)
def test_the_faster_number_is_used_nearly_always(monkeypatch, seconds, best):
    machine = Machine(monkeypatch, 4, seconds)
    with ThreadTuner() as tuner:
        used = machine.run(tuner, 500)
        assert used.count(best) > 460
        assert set(used) == {3, 4}
    assert machine.threads == 4


def test_a_machine_that_becomes_busy_is_noticed(monkeypatch):
    machine = Machine(monkeypatch, 2, {2: 1.0, 1: 1.5})
    with ThreadTuner() as tuner:
        assert machine.run(tuner, 300).count(2) > 270
        machine.seconds = {2: 6.0, 1: 1.5}
        assert machine.run(tuner, 300).count(1) > 170


def test_one_thread_or_an_exact_training_are_left_alone(monkeypatch):
    machine = Machine(monkeypatch, 1, {1: 1.0})
    assert set(machine.run(ThreadTuner(), 50)) == {1}
    machine = Machine(monkeypatch, 4, {4: 1.0})
    assert set(machine.run(ThreadTuner(active=False), 50)) == {4}


def test_the_number_is_restored_after_an_error(monkeypatch):
    machine = Machine(monkeypatch, 2, {2: 1.0, 1: 0.1})

    def fail() -> None:
        with ThreadTuner() as tuner:
            machine.run(tuner, 20)
            assert machine.threads == 1
            raise ValueError

    with pytest.raises(ValueError, match=r'^$'):
        fail()
    assert machine.threads == 2
