"""Values that a setting can have, where they are few and have names."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Where the network is computed."""

    AUTO = 'auto'
    CPU = 'cpu'
    CUDA = 'cuda'
    MPS = 'mps'


class StartFrom(StrEnum):
    """What a training begins with; any other text is the path of a model file."""

    WARM = 'warm'
    """The pretrained weights that ship with the package."""
    SCRATCH = 'scratch'
    """Random weights."""
    UNSAVED = 'model'
    """A model that is in no file: the one in use in the panel."""


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
    """That of the image."""


class ModelPer(StrEnum):
    """What gets a model of its own."""

    ALL = 'all'
    """Nothing: one model is trained on all images together."""
    IMAGE = 'image'
    CHANNEL = 'channel'
    TIME = 'time'

    @property
    def axes(self) -> str:
        """Axes that are treated as channel axes besides C and S."""
        return 'T' if self is ModelPer.TIME else ''
