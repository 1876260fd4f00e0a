"""A training on several devices of one machine, with a process for each device.

The first process is that of the caller. It decides everything: which step is next, restarts, the
end. Its orders make the other processes call the same methods with their own patches. Each process
has a share of the patches of a step; the gradients are averaged with `torch.distributed` (NCCL for
GPUs, Gloo otherwise), and all processes make the same step with the same weights.

The average is made after the backward pass, not during it as by `DistributedDataParallel`. The
network is small, so that this costs little, and no process waits in NCCL for one that has failed:
before each use of NCCL, Gloo adds numbers of all processes, and raises an error if one is missing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.score.processes import Link, LostError, Processes
from napari_noise2score.score.threads import usable_threads

_LONGEST_STEP = timedelta(minutes=30)
"""Time that a process waits for the others in a step."""


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of a process in a training.

    Attributes
    ----------
    number : int
        Its number, from 0.
    devices : tuple of str
        The devices of all processes.
    meeting : str
        A file by which the processes find each other.
    """

    number: int
    devices: tuple[str, ...]
    meeting: str

    @property
    def device(self) -> torch.device:
        """The device of the process."""
        return torch.device(self.devices[self.number])


class Team:
    """The processes of a training, as one of them sees them; by default it is alone.

    Parameters
    ----------
    device : torch.device
        The device of this process.
    number, count : int
        Number of this process, from 0, and number of all processes.
    """

    def __init__(self, device: torch.device, number: int = 0, count: int = 1) -> None:
        self.device, self.number, self.count = device, number, count

    def seed(self, seed: int) -> int:
        """Seed of the random numbers of this process; that of the first is ``seed`` itself."""
        if not self.number:
            return seed
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1, np.uint64)[0])

    def share(self, batch: int) -> int:
        """Number of patches of this process in a step of ``batch`` patches."""
        return len(range(self.number, batch, self.count))

    def order(self, name: str, *arguments: Any) -> None:
        """Make all other processes call a method; only the first process gives orders."""

    def replies(self, name: str) -> list[Any]:
        """Results of a method in all other processes; only for the first process."""
        return []

    def equalise(self, network: nn.Module) -> None:
        """Give all processes the weights of the first."""

    def average(self, network: nn.Module, batch: int, loss: float) -> float:
        """Average loss and gradients over the ``batch`` patches of all processes.

        Parameters
        ----------
        network : Module
            Its weights have the gradient of the patches of this process, and get that of all.
        batch : int
            Number of patches of all processes.
        loss : float
            Mean loss of the patches of this process.

        Returns
        -------
        float
            Mean loss of all patches.
        """
        return loss


class Member(Team):
    """One of several processes.

    Parameters
    ----------
    seat : Seat
        Its place.
    link : Link, optional
        Where its orders come from; the first process has none.
    """

    def __init__(self, seat: Seat, link: Link | None = None) -> None:
        super().__init__(seat.device, seat.number, len(seat.devices))
        self._link = link
        # with NCCL, which GPUs need, a group of its own for what is on the CPU
        with _watched():
            self._on_cpu = dist.new_group(backend='gloo') if _backend(seat) == 'nccl' else None

    def follow(self, run: Any) -> None:
        """Call the methods of ``run`` that the first process orders, until the end."""
        assert self._link is not None
        while (order := self._link.receive()) is not None:
            name, arguments, replies = order
            result = getattr(run, name)(*arguments)
            if replies:
                self._link.send(result)

    def equalise(self, network: nn.Module) -> None:
        """Give all processes the weights of the first."""
        self._sum(0.0)
        with torch.no_grad(), _watched():
            for weight in network.parameters():
                values = weight.detach().contiguous()
                dist.broadcast(values, 0)
                weight.copy_(values)

    def average(self, network: nn.Module, batch: int, loss: float) -> float:
        """Average loss and gradients over the patches of all processes."""
        part = self.share(batch) / batch
        mean = self._sum(part * loss)
        with _watched():
            average_gradients(network, part)
        return mean

    def _sum(self, value: float) -> float:
        """Sum of a value of each process; raises an error if a process is missing."""
        total = torch.tensor([value], dtype=torch.float64)
        with _watched():
            dist.all_reduce(total, group=self._on_cpu)
        return float(total)


class Leader(Member):
    """The first of several processes, which gives the orders."""

    def __init__(self, seat: Seat, processes: Processes) -> None:
        super().__init__(seat)
        self._processes = processes

    def order(self, name: str, *arguments: Any) -> None:
        """Make all other processes call a method."""
        self._processes.order((name, arguments, False))

    def replies(self, name: str) -> list[Any]:
        """Results of a method in all other processes."""
        self._processes.order((name, (), True))
        return self._processes.replies()

    def dismiss(self) -> None:
        """Tell all other processes that the training is over."""
        with suppress(TrainingError):  # one that has ended is not needed any more
            self._processes.order(None)


def average_gradients(network: nn.Module, part: float) -> None:
    """Replace the gradients of a network by their weighted mean over all processes.

    ``part`` is the weight of this process; those of all processes have the sum 1. A weight
    without a gradient has the gradient zero.
    """
    weights = list(network.parameters())
    gradients = [_gradient_of(weight) for weight in weights]
    together = torch.cat([gradient.reshape(-1) for gradient in gradients]).mul_(part)
    dist.all_reduce(together)
    sizes = [gradient.numel() for gradient in gradients]
    for weight, gradient, mean in zip(
        weights, gradients, torch.split(together, sizes), strict=True
    ):
        weight.grad = gradient.copy_(mean.view(gradient.shape))


def _gradient_of(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


@contextmanager
def team_of(devices: Sequence[torch.device], work: Callable[[Member], None]) -> Iterator[Team]:
    """The processes of a training, from its beginning to its end.

    Parameters
    ----------
    devices : sequence of torch.device
        A device for each process. With one device, no process is started.
    work : callable
        What the other processes do; it is sent to them as bytes.

    Raises
    ------
    InputError
        If ``work`` cannot be sent, or PyTorch cannot connect processes.
    TrainingError
        If a process fails.
    """
    if len(devices) == 1:
        yield Team(devices[0])
        return
    if not dist.is_available() or dist.is_initialized():
        reason = 'is used by this program' if dist.is_available() else 'is not in this PyTorch'
        raise InputError(
            f'{len(devices)} devices need torch.distributed, which {reason}; give one'
        )
    names = tuple(map(str, devices))
    with tempfile.TemporaryDirectory(prefix='noise2score-', ignore_cleanup_errors=True) as folder:
        meeting = str(Path(folder, 'meeting'))
        seats = [Seat(number, names, meeting) for number in range(len(names))]
        works = [partial(_member, seat, work) for seat in seats[1:]]
        with Processes(works, [f'device {name}' for name in names[1:]]) as processes:
            processes.replies()  # each has its images and its device
            try:
                with _group(seats[0]):
                    leader = Leader(seats[0], processes)
                    yield leader
                    leader.dismiss()
            except LostError as error:
                raise processes.failure() from error


def _member(seat: Seat, work: Callable[[Member], None], link: Link) -> None:
    """The work of another process than the first."""
    torch.set_num_threads(max(1, usable_threads() // len(seat.devices)))
    if seat.device.type == 'cuda':
        torch.cuda.set_device(seat.device)
    torch.zeros(1, device=seat.device)  # an error of the device is raised now
    link.send(None)
    with _group(seat):
        work(Member(seat, link))


@contextmanager
def _group(seat: Seat) -> Iterator[None]:
    """The connection of the processes."""
    backend = _backend(seat)
    store = dist.FileStore(seat.meeting, len(seat.devices))  # type: ignore[attr-defined]
    with _watched():
        dist.init_process_group(
            backend,
            store=store,
            rank=seat.number,
            world_size=len(seat.devices),
            timeout=_LONGEST_STEP,
            device_id=seat.device if backend == 'nccl' else None,
        )
    try:
        yield
    except BaseException:
        _abort(backend)
        raise
    dist.destroy_process_group()


def _abort(backend: str) -> None:
    """End the connection without the other processes, which may be lost."""
    abort = getattr(dist.distributed_c10d, '_abort_process_group', None)  # not in older PyTorch
    if backend == 'nccl' and abort is not None:
        abort()
    else:
        dist.destroy_process_group()


def _backend(seat: Seat) -> str:
    return 'nccl' if seat.device.type == 'cuda' and dist.is_nccl_available() else 'gloo'


@contextmanager
def _watched() -> Iterator[None]:
    """Errors of the connection are those of lost processes."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LostError(str(error)) from error
