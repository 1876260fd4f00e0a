"""Which errors cost one output only, so that the others are still written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.memory import ran_out


@contextmanager
def losing_one_output(lose: Callable[[Exception], object]) -> Iterator[None]:
    """Call ``lose`` with an error that costs the output within; other errors are raised.

    A `RuntimeError` costs one output only if memory ran out: PyTorch raises that class for
    everything.
    """
    try:
        yield
    except (OSError, InputError, CheckpointError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not ran_out(error):
            raise
        lose(error)
