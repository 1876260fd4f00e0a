"""PyTorch: loaded when the first job needs it, and kept from taking every core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from napari_noise2score.errors import TrainingError


def engine() -> ModuleType:
    """The pipeline, with PyTorch.

    Raises
    ------
    TrainingError
        If PyTorch is installed but cannot be loaded.
    """
    try:
        from napari_noise2score import pipeline
    except OSError as error:
        raise TrainingError(
            f'PyTorch could not be loaded ({error}). On Windows this happens when Qt was loaded '
            'first: install the newest Microsoft Visual C++ Redistributable, or start napari '
            'with  python -c "import torch, napari; napari.Viewer(); napari.run()"'
        ) from error
    return pipeline


def warm_up() -> None:
    """Load all that a training needs, before it is needed. Takes a few seconds."""
    engine()
    import torch

    # The first optimiser of a process loads PyTorch's compiler, the longest wait of all.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


@contextmanager
def one_core_free() -> Iterator[None]:
    """Leave one processor core to the viewer while PyTorch computes in the calling thread.

    With all cores taken, each of PyTorch's parallel loops waits for the one thread whose core
    draws the viewer: the viewer stutters, and the training is slower than with a core less.
    """
    from napari_noise2score.score.threads import usable_threads, using

    with using(max(1, usable_threads() - 1)):
        yield
