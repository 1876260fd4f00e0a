"""What PyTorch calls before every network and every step, so that tests see the work itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from napari_noise2score.score.network.plain import ScoreNetwork


@contextmanager
def seeing(see: Callable[..., object]) -> Iterator[None]:
    """Call ``see`` with the inputs of each score network before it is computed."""

    def hook(module, inputs) -> None:
        if isinstance(module, ScoreNetwork):
            see(*inputs)

    handle = register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def before_each_step(call: Callable[[], object]) -> Iterator[None]:
    """Call ``call`` before an optimiser changes weights."""

    def hook(optimiser, arguments, options) -> None:
        call()

    handle = register_optimizer_step_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def failing_after(steps: int, error: BaseException) -> AbstractContextManager[None]:
    """Trainings raise ``error`` after so many steps."""
    done = []

    def count() -> None:
        if len(done) == steps:
            raise error
        done.append(1)

    return before_each_step(count)
