"""Enumerations: settings with a few named values."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from napari_noise2score.errors import InputError


class Device(StrEnum):
    """Device on which the network is computed."""

    AUTO = 'auto'
    CPU = 'cpu'
    CUDA = 'cuda'
    MPS = 'mps'


class StartFrom(StrEnum):
    """Initial weights of a training; any other text is the path of a model file."""

    WARM = 'warm'
    """The pretrained weights that ship with the package."""
    SCRATCH = 'scratch'
    """Random weights."""
    UNSAVED = 'model'
    """A model that is not in a file: the model in use in the panel."""


class Loss(StrEnum):
    """The loss of a training, see `napari_noise2score.score.loss`."""

    PRECONDITIONED = 'preconditioned'
    PUBLISHED = 'published'
    SLICED = 'sliced'


class Output(StrEnum):
    """Data type of a clean image."""

    FLOAT = 'float32'
    """Single precision."""
    SOURCE = 'source'
    """The data type of the image."""


class Context(StrEnum):
    """What the network sees beside a plane."""

    AUTO = 'auto'
    """The other frames, or the other slices where there is no time axis."""
    NONE = 'none'
    """Nothing: every plane is denoised by itself."""
    TIME = 'time'
    DEPTH = 'depth'

    def axis_of(self, axes: str, shape: Sequence[int]) -> str | None:
        """The axis of the context of an image, ``'T'`` or ``'Z'``; None for no context.

        Parameters
        ----------
        axes : str
            Axes of the image.
        shape : sequence of int
            Its shape.

        Raises
        ------
        InputError
            If a context is requested for an axis that has fewer than two planes.
        """
        long = [letter for letter in 'TZ' if letter in axes and shape[axes.index(letter)] > 1]
        if self is Context.AUTO:
            return next(iter(long), None)
        wanted = {Context.TIME: 'T', Context.DEPTH: 'Z'}.get(self)
        if wanted is None:
            return None
        if wanted not in long:
            what = 'two frames along T' if wanted == 'T' else 'two slices along Z'
            raise InputError(
                f'context is {self.value}, but axes {axes}, shape {tuple(shape)}, do not have '
                f'{what}; name the axis, or give context none'
            )
        return wanted


class ModelPer(StrEnum):
    """Groups of images that share a model."""

    ALL = 'all'
    """One model is trained on all images together."""
    IMAGE = 'image'
    CHANNEL = 'channel'
    TIME = 'time'

    @property
    def axes(self) -> str:
        """Axes that are treated as channel axes in addition to C and S."""
        return 'T' if self is ModelPer.TIME else ''
