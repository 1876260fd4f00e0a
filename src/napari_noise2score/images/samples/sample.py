"""What a sample is: noisy planes, their ground truth, and all that is known of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.acquisition import Acquisition, Spacing
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.families import NoiseFamily

SIZE = 256
"""Height and width of the samples of modalities, pixels."""


@dataclass(frozen=True, slots=True)
class Event:
    """Light that comes and goes at one place of a movie.

    Attributes
    ----------
    kind : str
        ``'flash'`` (a spot for a frame or two) or ``'transient'`` (a larger place that lights up
        and fades).
    frame : int
        First frame, from 0.
    frames : int
        Number of frames with more than a tenth of its brightest light.
    row, column : float
        Centre, pixels.
    width : float
        Standard deviation, pixels.
    photons : float
        Light at its centre in its brightest frame, photons.
    """

    kind: str
    frame: int
    frames: int
    row: float
    column: float
    width: float
    photons: float

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A noisy image with known noise and ground truth.

    Attributes
    ----------
    name : str
        Name of the sample.
    about : str
        What it shows, in a few words.
    noisy : array
        Grey levels.
    truth : array of float32
        The same without noise: the mean that infinitely many noisy images would have. Same shape.
    axes : str
        A letter for each axis.
    noise : NoiseFamily
        Variance of the noise at each clean level, rounding to whole grey levels included.
    seed : int
        Seed that makes the same sample again.
    spacing : mapping of str to (float, str)
        Distance of pixels, slices and frames with its unit, by axis.
    correlation : Correlation
        Correlation of the noise of neighbouring pixels, in standard deviations of the noise.
    events : tuple of Event
        What happens at known places.
    still : bool
        Whether all frames show the same scene, so that they differ only by their noise.
    """

    name: str
    about: str
    noisy: NDArray[Any]
    truth: NDArray[np.float32]
    axes: str
    noise: NoiseFamily
    seed: int
    spacing: Mapping[str, tuple[float, str]]
    correlation: Correlation = field(default_factory=Correlation.white)
    events: tuple[Event, ...] = ()
    still: bool = False

    @property
    def acquisition(self) -> Acquisition:
        """Sizes for a file."""
        return Acquisition({axis: Spacing(*stated) for axis, stated in self.spacing.items()})

    @property
    def noise_words(self) -> str:
        """The noise model, with the correlation where there is one."""
        if self.correlation.is_white:
            return str(self.noise)
        return f'{self.noise}, {self.correlation.words}'

    def to_dict(self) -> dict[str, Any]:
        """What is known of it, plain for JSON."""
        return {
            'scene': self.name,
            'seed': self.seed,
            'noise': self.noise.to_dict(),
            'correlation': self.correlation.to_dict(),
            'events': [event.to_dict() for event in self.events],
        }
