"""How to train, and where a training is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_noise2score.errors import InputError
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.network import NetworkSettings, check_planes
from napari_noise2score.score.warm.weights import SCRATCH, WARM

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train. Ends at ``seconds`` or after ``steps``, whichever comes first.

    Parameters
    ----------
    seconds : float or None
        Training time, s; 0 for what the training would start from; None for no limit. A limit in
        time makes the result depend on the speed of the machine; for bit-equal repeats on a CPU
        give ``steps`` alone.
    steps : int or None
        Gradient steps; None for no limit.
    loss : str
        A name in `napari_noise2score.score.loss.LOSSES`.
    frames : bool
        Whether frames that are found to show one scene are targets for each other, beside the
        perturbation.
    redraw : bool
        Whether, from good weights, pixels are drawn anew where no frames show one scene and the
        noise of pixels is independent, beside the perturbation.
    batch : int
        Patches a step.
    patch : int
        Height and width of a patch, pixels, a multiple of the network's size multiple.
    learning_rate : float
        Peak rate of Adam; warms up and falls on a cosine.
    seed : int
        Start of every random number of the training.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    init : str
        What to start from: ``'warm'``, the weights that ship with the package; ``'scratch'``,
        random ones; or the path of a model file.
    network : NetworkSettings, optional
        Size of a network that starts from scratch.
    slices : int
        Neighbouring slices of a z-stack that the network sees at once, to clean the one in their
        middle: odd, 1 to 9; 1 is slice by slice. What the training starts from may see fewer, but
        not more.

    Raises
    ------
    InputError
        If a value is out of its range, or there is no limit at all.
    """

    seconds: float | None = field(default=60.0, metadata={'label': 'Training time (s)'})
    steps: int | None = None
    loss: str = 'preconditioned'
    frames: bool = True
    redraw: bool = True
    batch: int = 8
    patch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0
    device: str = 'auto'
    init: str = WARM
    network: NetworkSettings | None = None
    slices: int = 1

    def __post_init__(self) -> None:
        if self.seconds is None and self.steps is None:
            raise InputError('neither seconds nor steps are given; a training needs one limit')
        if self.seconds is not None and not 0 <= self.seconds < math.inf:
            raise InputError(f'training time is {self.seconds} s; 0 or more is needed, and finite')
        if self.steps is not None and self.steps < 0:
            raise InputError(f'training steps are {self.steps}; 0 or more are needed')
        if self.init == SCRATCH and not self.trains:
            raise InputError(
                'no training from scratch leaves random weights; train for some time, or start '
                'from the pretrained weights (init warm, --init warm)'
            )
        if self.init != SCRATCH and self.network is not None:
            raise InputError(
                f'a network is given, but init is {self.init!r}, which has one of its own; '
                "init 'scratch' takes a network"
            )
        check_planes(self.slices, 'slices')
        if self.network is not None and self.network.planes not in (1, self.slices):
            raise InputError(
                f'a network that sees {self.network.planes} planes is given, but slices is '
                f'{self.slices}; give slices alone'
            )
        if self.loss not in LOSSES:
            raise InputError(f'loss {self.loss!r} is unknown; known are {", ".join(LOSSES)}')
        if self.batch < 1:
            raise InputError(f'batch is {self.batch}; at least 1 patch is needed')
        self.check_patch(self.network or NetworkSettings())
        if not 0 < self.learning_rate < 1:
            raise InputError(f'learning rate is {self.learning_rate}; it must be between 0 and 1')
        if not 0 <= self.seed < 2**63:
            raise InputError(f'seed is {self.seed}; a whole number from 0 up is needed')

    @property
    def trains(self) -> bool:
        """Whether anything is to be trained at all."""
        return self.seconds != 0 and self.steps != 0

    def check_patch(self, network: NetworkSettings) -> None:
        """Raise InputError if the network cannot take patches of this size."""
        multiple = 2 ** (network.levels - 1)
        if self.patch < 16 or self.patch % multiple:
            raise InputError(
                f'patch is {self.patch} pixels; a multiple of {multiple} from 16 up is needed'
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return asdict(self)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the training that is done, 0 to 1."""
        if not self.trains:
            return 1.0
        by_steps = step / self.steps if self.steps is not None else 0.0
        by_time = seconds / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(by_steps, by_time))


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a training is, after each step.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Time since the start.
    loss : float
        Running mean of the loss; 1 is the trivial score 0.
    fraction : float
        Share of the training that is done, 0 to 1.
    start_risk, risk : float or None
        Estimated error of the start and of what has been learned so far, in units of the noise
        variance, where they are known: at the last of the looks that are taken now and then.
    model : callable
        Gives a copy of what has been learned so far, while the training waits.
    """

    step: int
    seconds: float
    loss: float
    fraction: float
    start_risk: float | None = None
    risk: float | None = None
    model: Callable[[], ScoreModel] | None = field(default=None, repr=False, compare=False)
