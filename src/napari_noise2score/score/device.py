"""Where the network runs, and how precisely."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch

from napari_noise2score.errors import InputError
from napari_noise2score.memory import ran_out

DEVICES = ('auto', 'cpu', 'cuda', 'mps')


def choose_device(name: str = 'auto') -> torch.device:
    """The device called ``name``; ``'auto'`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    InputError
        If the name is unknown or this machine has no such device.
    """
    has = {
        'cpu': True,
        'cuda': torch.cuda.is_available(),
        'mps': torch.backends.mps.is_available(),
    }
    if name == 'auto':
        return torch.device('cuda' if has['cuda'] else 'mps' if has['mps'] else 'cpu')
    if name not in has:
        raise InputError(f'device {name!r} is unknown; known are {", ".join(DEVICES)}')
    if not has[name]:
        there = ', '.join(kind for kind, found in has.items() if found)
        raise InputError(f'device {name!r} is not available here; available: {there}')
    return torch.device(name)


def fast_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Context that computes in bfloat16 where the device is faster so, else in float32."""
    if device.type == 'cuda' and torch.cuda.is_bf16_supported():
        return torch.autocast('cuda', torch.bfloat16)
    if device.type == 'cpu' and _cpu_has_bfloat16():
        return torch.autocast('cpu', torch.bfloat16)
    return nullcontext()


@cache
def _cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself (elsewhere it is slower than float32)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(capabilities.get('avx512_bf16') or capabilities.get('amx_bf16'))


def out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch says that the memory of a device, or of the machine, is used up."""
    return isinstance(error, torch.OutOfMemoryError) or ran_out(error)


def free_memory() -> None:
    """Give back what PyTorch keeps of the memory of a device for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
