"""Where the network runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from napari_noise2score.errors import InputError
from napari_noise2score.memory import ran_out
from napari_noise2score.score.threads import using
from napari_noise2score.settings.devices import ALL_GPUS, device_names

_CLEARLY = 0.8
"""This part of the time in float32 lies between bfloat16 with units for it and without them."""
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
    slower: Callable[[], bool] | None = None,
    library: Callable[[], bool] | None = None,
) -> bool:
    """Whether a device has units for matrices of bfloat16; without them float32 is faster.

    Nothing is computed in float16: its range is too small for images of much light.

    Parameters
    ----------
    device : torch.device
        The device.
    native, slower, library : callable, optional
        Whether a processor has such units, whether its library does not use them, and whether
        there is this library: loops of PyTorch itself are many times slower in bfloat16. Asked of
        this machine if not given.
    """
    if device.type == 'cuda':
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != 'cpu':
        return False
    has = (library or _has_library)() and (native or _cpu_has_units)()
    return has and not (slower or _cpu_is_slower)()


def _has_library() -> bool:
    onednn: Any = torch.backends.mkldnn
    return bool(onednn.is_available() and onednn.enabled)


def has_units(capabilities: Mapping[str, object]) -> bool:
    """Whether a processor has units that multiply matrices of bfloat16 (AMX).

    AVX-512 has an instruction for it too, which does not do more at a time than float32, and the
    numbers have to be converted: the convolutions of the networks take 1 to 1.9 times as long.

    Parameters
    ----------
    capabilities : mapping
        As of ``torch.cpu.get_capabilities``.
    """
    return bool(capabilities.get('amx_bf16'))


def _cpu_has_units() -> bool:
    return has_units(getattr(torch.cpu, 'get_capabilities', dict)())


@cache
def _cpu_is_slower() -> bool:
    """Whether the processor has units for bfloat16, but its library does not use them.

    It may be told not to, as by ``ONEDNN_MAX_CPU_ISA``, or not know the processor. Told by the
    time that one thread computes.
    """
    x, weight = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 3, 3)
    return slower_in_bfloat16(lambda: F.conv2d(x, weight, padding=1), time.thread_time)


def slower_in_bfloat16(work: Callable[[], object], clock: Callable[[], float]) -> bool:
    """Whether some work on the CPU is not clearly faster in bfloat16 than in float32.

    With units for it, it takes half as long or less, without them as long or longer. Other
    work on the machine can double the time of either for a while, also that of a single thread
    (a core that is shared, memory that waits), and the answer decides on the last digits of
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
    return fast > _CLEARLY * exact


def out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch says that the memory of a device, or of the machine, is used up."""
    return isinstance(error, torch.OutOfMemoryError) or ran_out(error)


def free_memory() -> None:
    """Give back what PyTorch keeps of the memory of a device for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
