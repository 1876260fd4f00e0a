"""Where the network runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from napari_noise2score.errors import InputError
from napari_noise2score.memory import ran_out
from napari_noise2score.score.threads import using
from napari_noise2score.settings.devices import ALL_GPUS, device_names

_IMITATED = 1.5
"""So many times as long as float32 takes bfloat16 only where it is imitated."""
_FEWEST_ROUNDS, _TRIAL = 4, 0.02
"""How often both are computed at least, and for how long, s."""


def choose_devices(name: str = 'auto') -> tuple[torch.device, ...]:
    """The devices that a setting names; ``'auto'`` takes CUDA, then MPS, then the CPU.

    Parameters
    ----------
    name : str
        As `TrainSettings.device`: one device, several separated by commas, or ``'cuda:all'``.

    Raises
    ------
    InputError
        If a name is unknown or this machine has no such device.
    """
    names = device_names(name)
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if names == ('auto',):
        return (torch.device('cuda' if has_cuda else 'mps' if has_mps else 'cpu'),)
    gpus = [f'cuda:{number}' for number in range(torch.cuda.device_count() if has_cuda else 0)]
    there = ['cpu', *gpus, *(['mps'] if has_mps else [])]
    accepted = {*there, *(['cuda', ALL_GPUS] if has_cuda else [])}
    for one in names:
        if one not in accepted:
            raise InputError(
                f'device {one!r} is not available here; available: {", ".join(there)}'
            )
    return tuple(map(torch.device, gpus if names == (ALL_GPUS,) else names))


def choose_device(name: str = 'auto') -> torch.device:
    """The device of a setting; the first one if it names several. See `choose_devices`."""
    return choose_devices(name)[0]


def has_fast_bfloat16(
    device: torch.device,
    *,
    native: Callable[[], bool] | None = None,
    imitated: Callable[[], bool] | None = None,
    library: Callable[[], bool] | None = None,
) -> bool:
    """Whether a device multiplies bfloat16 itself; where it only imitates it float32 is faster.

    Nothing is computed in float16: its range is too small for images of much light.

    Parameters
    ----------
    device : torch.device
        The device.
    native, imitated, library : callable, optional
        Whether a processor has instructions for bfloat16, whether its library imitates them, and
        whether there is this library: loops of PyTorch itself are many times slower in bfloat16.
        Asked of this machine if not given.
    """
    if device.type == 'cuda':
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != 'cpu':
        return False
    has = (library or _has_library)() and (native or _cpu_has_bfloat16)()
    return has and not (imitated or _cpu_imitates_bfloat16)()


def _has_library() -> bool:
    onednn: Any = torch.backends.mkldnn
    return bool(onednn.is_available() and onednn.enabled)


@cache
def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    capabilities: dict[str, Any] = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(capabilities.get('avx512_bf16') or capabilities.get('amx_bf16'))


@cache
def _cpu_imitates_bfloat16() -> bool:
    """Whether the processor has bfloat16, but its library does not use it.

    It may be told not to, as by ``ONEDNN_MAX_CPU_ISA``, or not know the processor. Told by the
    time that one thread computes.
    """
    x, weight = torch.ones(1, 32, 32, 32), torch.ones(32, 32, 3, 3)
    return imitates_bfloat16(lambda: F.conv2d(x, weight, padding=1), time.thread_time)


def imitates_bfloat16(work: Callable[[], object], clock: Callable[[], float]) -> bool:
    """Whether some work on the CPU takes clearly longer in bfloat16 than in float32.

    Other work on the machine can double the time of either for a while, also that of a single
    thread (a core that is shared, memory that waits), and the answer decides on the last digits of
    every result. So both are computed in turn, until it is known what each takes undisturbed.

    Parameters
    ----------
    work : callable
        The work, in the precision of the context.
    clock : callable
        Returns the time that one thread has computed, s.
    """
    least = [math.inf, math.inf]
    with using(1), torch.no_grad():
        begin = clock()
        rounds = 0
        while rounds < _FEWEST_ROUNDS or clock() - begin < _TRIAL:
            for low in (False, True):
                with torch.autocast('cpu', torch.bfloat16, enabled=low):
                    before = clock()
                    work()
                    least[low] = min(least[low], clock() - before)
            rounds += 1
    exact, fast = least
    return fast > _IMITATED * exact


def out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch says that the memory of a device, or of the machine, is used up."""
    return isinstance(error, torch.OutOfMemoryError) or ran_out(error)


def free_memory() -> None:
    """Give back what PyTorch keeps of the memory of a device for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
