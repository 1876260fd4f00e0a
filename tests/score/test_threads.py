import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_noise2score.progress import finish
from napari_noise2score.score import threads as module
from napari_noise2score.score import train as training
from napari_noise2score.score.cores import usable_cores
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.threads import (
    ThreadChooser,
    Threads,
    ThreadTuner,
    quickest_threads,
    usable_threads,
    using,
)
from napari_noise2score.score.train import train
from napari_noise2score.settings import TrainSettings
from tests.hooks import seeing
from tests.score.helpers import noisy_planes


class Machine:
    """A clock on which a step takes as long as `seconds` says for the threads in use."""

    def __init__(self, threads: int, seconds: dict[int, float]) -> None:
        self.now, self.threads, self.seconds = 0.0, threads, seconds
        self.own = Threads(lambda: self.threads, lambda n: self.use(n), lambda: None)

    def use(self, threads: int) -> None:
        self.threads = threads

    def tuner(self, **options) -> ThreadTuner:
        return ThreadTuner(**options, threads=self.own, clock=lambda: self.now)

    def run(self, tuner: ThreadTuner, steps: int) -> list[int]:
        used = []
        for _ in range(steps):
            tuner.step()
            used.append(self.threads)
            self.now += self.seconds[self.threads]
        return used

    def trial(self, pixels: int):
        """What a `ThreadChooser` tries."""

        def loop() -> None:
            self.now += self.seconds[self.threads] * pixels / 1e6

        return loop

    def chooser(self) -> ThreadChooser:
        return ThreadChooser(self.trial, lambda: self.now, self.own)


@pytest.mark.parametrize(
    ('seconds', 'best'), [({4: 1.0, 3: 1.3}, 4), ({4: 5.0, 3: 1.3}, 3), ({4: 1.0, 3: 0.9}, 3)]
)
def test_the_faster_number_is_used_nearly_always(seconds, best):
    machine = Machine(4, seconds)
    with machine.tuner() as tuner:
        used = machine.run(tuner, 500)
        assert used.count(best) > 460
        assert set(used) == {3, 4}
    assert machine.threads == 4


def test_a_machine_that_becomes_busy_is_noticed():
    machine = Machine(2, {2: 1.0, 1: 1.5})
    with machine.tuner() as tuner:
        assert machine.run(tuner, 300).count(2) > 270
        machine.seconds = {2: 6.0, 1: 1.5}
        assert machine.run(tuner, 300).count(1) > 170


def test_one_thread_or_an_exact_training_are_left_alone():
    machine = Machine(1, {1: 1.0})
    assert set(machine.run(machine.tuner(), 50)) == {1}
    machine = Machine(4, {4: 1.0})
    assert set(machine.run(machine.tuner(active=False), 50)) == {4}


def test_the_number_is_restored_after_an_error():
    machine = Machine(2, {2: 1.0, 1: 0.1})

    def fail() -> None:
        with machine.tuner() as tuner:
            machine.run(tuner, 20)
            assert machine.threads == 1
            raise ValueError

    with pytest.raises(ValueError, match=r'^$'):
        fail()
    assert machine.threads == 2


def test_time_that_the_caller_takes_does_not_count():
    machine = Machine(4, {4: 1.0, 3: 1.3})
    with machine.tuner() as tuner:
        for _ in range(500):
            machine.run(tuner, 1)
            if machine.threads == 4:
                machine.now += 60
                tuner.leave_out(60)
        assert machine.run(tuner, 100).count(4) > 90


def test_a_training_begins_with_what_a_trial_has_found():
    machine = Machine(16, {16: 5.0, 15: 4.0, 8: 1.0})
    with machine.tuner(most=16, first=8) as tuner:
        assert machine.run(tuner, 500).count(8) > 490
    assert machine.threads == 16


@pytest.mark.parametrize(
    ('most', 'seconds', 'best'),
    [
        (2, {2: 1.0, 1: 1.9}, 2),
        (2, {2: 9.0, 1: 1.9}, 1),
        (3, {3: 9.0, 2: 1.0, 1: 1.9}, 2),
        (16, {16: 1.0, 15: 1.07, 8: 2.0}, 16),  # and fewer are not tried
        (16, {16: 9.0, 15: 1.1, 8: 2.0}, 15),
        (16, {16: 9.0, 15: 9.0, 8: 2.0, 4: 4.0}, 8),
        (16, {16: 90.0, 15: 80.0, 8: 60.0, 4: 50.0, 2: 10.0, 1: 2.0}, 1),
        (1, {}, 1),
    ],
)
def test_the_fastest_number_is_found_by_a_trial(most, seconds, best):
    machine = Machine(most, seconds)
    assert machine.chooser().best(most, 128**2) == best
    assert machine.threads == most


def test_threads_that_are_slow_at_first_only_are_tried_again():
    """New ones begin on one core, and spread over the others after a while."""
    machine = Machine(2, {2: 9.0, 1: 2.0})
    chooser = machine.chooser()
    use = machine.use

    def spread(threads: int) -> None:
        use(threads)
        if threads == 1:
            machine.seconds = {2: 1.0, 1: 2.0}

    machine.use = spread
    assert chooser.best(2, 128**2) == 2


def test_trials_are_repeated_and_take_little_time():
    machine = Machine(2, {2: 1.0, 1: 1.5})
    chooser, tried = machine.chooser(), 0.0
    found = []
    for second in range(1000):
        if second == 500:
            machine.seconds = {2: 6.0, 1: 1.5}
        begin = machine.now
        found.append(chooser.best(2, 512**2))
        tried += machine.now - begin
        machine.now += 1
    assert found[:500] == [2] * 500
    assert found[520:] == [1] * 480
    assert tried < 0.03 * 1000


def test_no_trial_takes_longer_for_a_large_image():
    machine = Machine(2, {2: 1.0, 1: 1.5})
    machine.chooser().best(2, 512**2)
    large = machine.now
    machine.now = 0.0
    machine.chooser().best(2, 128**2)
    assert large == pytest.approx(machine.now)


def test_the_number_is_given_back_after_each_view():
    machine = Machine(4, {4: 9.0, 3: 1.0, 2: 2.0, 1: 4.0})
    with quickest_threads(torch.device('cpu'), 128**2, machine.chooser()):
        assert machine.threads == 3
    assert machine.threads == 4
    with pytest.raises(ValueError, match=r'^$'), machine.own.using(2):
        raise ValueError
    assert machine.threads == 4
    with quickest_threads(torch.device('cuda'), 128**2, machine.chooser()):
        assert machine.threads == 4


def test_a_thread_that_begins_meanwhile_does_not_take_what_is_lent_to_another(two_threads):
    """Two viewers: PyTorch would give the second what the first has set for itself."""
    inside, leave = threading.Event(), threading.Event()
    found = []

    def first() -> None:
        with using(1):
            inside.set()
            leave.wait(30)

    def second() -> None:
        found.append(usable_threads())
        with using(usable_threads()):
            found.append(torch.get_num_threads())
        found.append(torch.get_num_threads())

    one = threading.Thread(target=first)
    one.start()
    assert inside.wait(30)
    for _ in range(2):
        other = threading.Thread(target=second)
        other.start()
        other.join()
    leave.set()
    one.join()
    most = min(2, usable_cores() or 2)
    assert found == [most, most, 2] * 2
    assert usable_threads() == most


def test_no_more_threads_than_the_process_may_use_cores():
    for cores, expected in ((2, 2), (None, 16), (64, 16)):
        assert Threads(get=lambda: 16, cores=lambda cores=cores: cores).usable == expected


class Decided(ThreadChooser):
    """Tries nothing: ``best`` threads are best."""

    def __init__(self, best: int) -> None:
        super().__init__(lambda pixels: lambda: None, threads=Threads(cores=lambda: 2))
        self._best = best

    def best(self, most: int, pixels: int) -> int:
        return min(self._best, most)


@contextmanager
def recorded(best: int) -> Iterator[list[int]]:
    """Numbers of threads with which networks are computed, where ``best`` are fastest."""
    used: list[int] = []
    chooser = Decided(best)
    with (
        pytest.MonkeyPatch.context() as patch,
        seeing(lambda *inputs: used.append(torch.get_num_threads())),
    ):
        for place in (module, training):
            patch.setattr(place, 'CHOOSER', chooser)
        patch.setattr(training, 'usable_threads', lambda: 2)
        yield used


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_are_chosen_wherever_the_network_runs(two_threads):
    at_once = TrainSettings(seconds=0, device='cpu')
    with recorded(best=1) as used:
        model = finish(train([noisy_planes()], at_once))
        finish(predict_clean(model, noisy_planes(), device='cpu', orientations=2))
    assert set(used) == {1}
    assert len(used) > 4
    timed = replace(at_once, seconds=0.5, batch=2, patch=32)
    with recorded(best=1) as used:
        finish(train([noisy_planes()], timed))
    assert used[0] == 1
    assert torch.get_num_threads() == 2


def test_a_training_of_so_many_steps_keeps_its_threads(two_threads):
    """The last bits of a gradient may depend on them; so on nothing else that the machine does."""
    weights = []
    for best in (1, 2):
        settings = TrainSettings(seconds=None, steps=2, batch=2, patch=32, device='cpu')
        with recorded(best) as used:
            model = finish(train([noisy_planes()], settings))
        assert set(used) == {2}
        weights.append(model.digest)
    assert weights[0] == weights[1]


@pytest.mark.parametrize('size', [24, 40, 48, 56, 64, 96])
def test_what_a_network_gives_does_not_depend_on_its_threads(two_threads, size):
    """Not even in the last bits: workers of a cluster have other threads than one process."""
    clean, planes = [], noisy_planes(1, size)
    model = finish(train([planes], TrainSettings(seconds=0, device='cpu')))
    for number in (1, 2):
        with recorded(best=number):
            steps = predict_clean(model, planes, device='cpu', orientations=1, exact=True)
            clean.append(finish(steps))
    np.testing.assert_array_equal(*clean)


def test_small_planes_are_left_to_one_thread(two_threads):
    used = []
    for pixels in (32**2, 128**2):
        with quickest_threads(torch.device('cpu'), pixels, Decided(2)):
            used.append(torch.get_num_threads())
    assert used == [1, 2]


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        pytest.param('GOMP_SPINCOUNT', '30000', id='threads that wait go to sleep'),
        pytest.param('THP_MEM_ALLOC_ENABLE', '1', id='memory comes in large pages'),
    ],
)
def test_pytorch_is_told_before_it_is_loaded(name, value):
    words = f'import napari_noise2score.pipeline.run, os; print(os.environ[{name!r}])'
    environment = {key: value for key, value in os.environ.items() if key != name}
    for given, expected in ({}, value), ({name: '7'}, '7'):
        found = subprocess.run(
            [sys.executable, '-c', words],
            env=environment | given,
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == expected
