"""Enumerations: settings with a few named values."""

from __future__ import annotations

from enum import StrEnum


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
