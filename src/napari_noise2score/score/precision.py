"""Reduced precision: used where a device computes faster in bfloat16, and gets it right.

That a processor has an instruction does not mean that it is used without a fault. So each kind of
layer of a network is tried against float32 before the network runs in bfloat16, at about the size
that it has in a training. The trial is made once in a process, with fixed numbers, so its outcome
depends on the machine and on PyTorch alone. What a trial can miss, a result that is not finite, is
computed again in float32 by those who use a `Precision`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.score.device import has_fast_bfloat16

TOLERANCE = 2.0**-6
"""Relative difference (root mean square) from float32 up to which a layer is right.

All that goes in can be held in bfloat16, so what comes out differs by one rounding to 8 bits: a
difference of 2^-9 at most. Ten times that is no rounding any more.
"""

_COUNT = 2
"""Inputs of a trial."""
_WIDTH = 64 * 32
"""Width of an input, pixels, times its channels, as in a training; half as many rows."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layer:
    """A kind of layer: class, channels and kernel."""

    kind: type[nn.Module]
    inputs: int
    outputs: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()

    @classmethod
    def of(cls, module: nn.Module) -> Layer | None:
        """The kind of a module; None for one that computes in the precision of its input."""
        if isinstance(module, nn.Linear):
            return cls(nn.Linear, module.in_features, module.out_features)
        if isinstance(module, nn.Conv2d):
            assert not isinstance(module.padding, str)
            return cls(
                nn.Conv2d,
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                module.stride,
                module.padding,
            )
        return None

    def example(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """An input, weights and biases for such a layer, on the CPU; numbers of bfloat16."""
        width = _WIDTH // max(self.inputs, self.outputs)
        size = (width // 2, width) if self.kernel else ()
        shapes = (
            (_COUNT, self.inputs, *size),
            (self.outputs, self.inputs, *self.kernel),
            (self.outputs,),
        )
        drawn = (torch.randn(shape, generator=generator) for shape in shapes)
        x, weight, bias = (values.bfloat16().float() for values in drawn)
        return x, weight, bias

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Its output."""
        if self.kind is nn.Linear:
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight, bias, self.stride, self.padding)


IsRight: TypeAlias = Callable[[torch.device, Layer, bool], bool]
"""Whether a layer is right in bfloat16 on a device; with its gradients if the last one is True."""


class Precision:
    """How precisely networks are computed on a device.

    Parameters
    ----------
    device : torch.device
        Where.
    reduced : bool, optional
        Whether bfloat16 is to be used where it is right; if not given, where the device is
        faster so.
    is_right : callable
        The trial of a kind of layer.

    Notes
    -----
    If any layer is wrong in bfloat16 all of the network runs in float32.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        reduced: bool | None = None,
        is_right: IsRight | None = None,
    ) -> None:
        self._device, self._is_right = device, is_right or tried
        self._reduced = has_fast_bfloat16(device) if reduced is None else reduced
        self.full_from: int | None = None
        """Step of a training from which on bfloat16 is not used any more."""

    @property
    def reduced(self) -> bool:
        """Whether anything may be computed in bfloat16."""
        return self._reduced

    def give_up(self, step: int) -> None:
        """Compute everything in float32 from now on: step ``step`` of a training failed."""
        self._reduced, self.full_from = False, step

    @contextmanager
    def of(self, network: object) -> Iterator[None]:
        """Context for computing a network, and its gradients if they are enabled."""
        learning = torch.is_grad_enabled()
        reduced = self._reduced and all(
            self._is_right(self._device, layer, learning) for layer in layers_of(network)
        )
        with torch.autocast(self._device.type, torch.bfloat16) if reduced else self._full():
            yield

    def _full(self) -> AbstractContextManager[Any]:
        """Float32, in whatever context."""
        kind = self._device.type
        inside = kind in ('cpu', 'cuda') and torch.is_autocast_enabled(kind)
        return torch.autocast(kind, enabled=False) if inside else nullcontext()

    def finite(self, network: object, noisy: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """What ``compute`` gives; in float32 if it is not finite in bfloat16 for a finite image.

        Parameters
        ----------
        network : Module, or a function that stands for one
            The one that is computed.
        noisy : Tensor
            The image: where it is not finite itself, float32 gives nothing else.
        compute : callable
            Computes; called twice if need be, so it must give the same again.
        """
        with self.of(network):
            found = compute()
        if not self._reduced or found.isfinite().all() or not noisy.isfinite().all():
            return found
        with self._full():
            return compute()


def layers_of(network: object) -> frozenset[Layer]:
    """All kinds of layer in a network; a function that stands for one has none."""
    modules = network.modules() if isinstance(network, nn.Module) else ()
    return frozenset(filter(None, map(Layer.of, modules)))


@cache
def tried(device: torch.device, layer: Layer, learning: bool) -> bool:
    """Whether a kind of layer gives in bfloat16 what it gives in float32, within rounding.

    Parameters
    ----------
    device : torch.device
        Where.
    layer : Layer
        Which kind.
    learning : bool
        Whether its gradients have to be right too, for its input and for its weights.
    """
    try:
        exact, fast = (_results(device, layer, learning, low) for low in (False, True))
    except RuntimeError as error:  # PyTorch has no such operation on this device
        log.info('%s is computed in float32: %s', layer, error)
        return False
    distances = (float((a - b).norm() / b.norm()) for a, b in zip(fast, exact, strict=True))
    right = all(distance <= TOLERANCE for distance in distances)  # not if one is no number
    if not right:
        log.info('%s is computed in float32: bfloat16 is wrong on %s', layer, device)
    return right


def _results(device: torch.device, layer: Layer, learning: bool, low: bool) -> list[Tensor]:
    """Output and, where it learns, the gradients of input, weights and biases, all float32."""
    generator = torch.Generator().manual_seed(0)
    given = [_laid(values.to(device)) for values in layer.example(generator)]
    given = [values.requires_grad_(learning) for values in given]
    with torch.set_grad_enabled(learning):
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            output = layer.compute(*given)
        if not learning:
            return [output.float()]
        direction = torch.rand(output.shape, generator=generator).bfloat16()
        gradients = torch.autograd.grad(output, given, direction.to(device, output.dtype))
    return [values.detach().float() for values in (output, *gradients)]


def _laid(values: Tensor) -> Tensor:
    """Laid out in memory as `napari_noise2score.score.network` does it."""
    if values.ndim < 4:
        return values.contiguous()
    return values.contiguous(memory_format=torch.channels_last)
