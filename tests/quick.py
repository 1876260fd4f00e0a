"""Less work for tests that look at something else than how good a result is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest


@contextmanager
def few_trials() -> Iterator[None]:
    """The risk and the response of a result are measured at two places of an image at most.

    With small images these trials are most of the work. What is chosen by the risk, the form of
    the correction and the perturbation, may differ.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('napari_noise2score.pipeline.selection.PLACES', 2)
        patch.setattr('napari_noise2score.pipeline.selection._FEWEST_PLACES', 1)
        patch.setattr('napari_noise2score.pipeline.response._PLACES', 1)
        patch.setattr('napari_noise2score.pipeline.response._FEWEST_PLACES', 1)
        yield


@contextmanager
def small_batches() -> Iterator[None]:
    """A step of a training uses two patches, unless another number is requested."""
    from napari_noise2score.settings import TrainSettings

    names = [field.name for field in fields(TrainSettings)]
    make = TrainSettings.__init__
    defaults = dict(
        zip(names[-len(make.__defaults__ or ()) :], make.__defaults__ or (), strict=True)
    )
    assert 'batch' in defaults
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, '__defaults__', tuple({**defaults, 'batch': 2}.values()))
        yield
