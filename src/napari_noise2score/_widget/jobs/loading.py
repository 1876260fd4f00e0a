"""Loading of PyTorch, and the number of cores that it uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_noise2score.errors import TrainingError


def load_torch() -> None:
    """Load PyTorch; modules that need it can be imported afterwards.

    Raises
    ------
    TrainingError
        If PyTorch is installed but cannot be loaded.
    """
    try:
        import torch  # noqa: F401
    except OSError as error:
        raise TrainingError(
            f'PyTorch could not be loaded ({error}). On Windows this happens when Qt was loaded '
            'first: install the newest Microsoft Visual C++ Redistributable, or start napari '
            'with  python -c "import torch, napari; napari.Viewer(); napari.run()"'
        ) from error


def warm_up() -> None:
    """Load all modules that a training needs, in advance. This takes a few seconds."""
    load_torch()
    import torch

    import napari_noise2score.pipeline.run  # noqa: F401

    # The first optimiser of a process loads PyTorch's compiler, which takes most of the time.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


@contextmanager
def one_core_free() -> Iterator[None]:
    """Leave one processor core to the viewer while PyTorch computes in the calling thread.

    If PyTorch uses all cores, each of its parallel loops waits for the thread whose core also
    draws the viewer: the viewer is not fluent, and the training is slower than with one core less.
    """
    from napari_noise2score.score.threads import usable_threads, using

    with using(max(1, usable_threads() - 1)):
        yield
