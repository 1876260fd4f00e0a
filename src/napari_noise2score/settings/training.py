"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.fields import check, setting
from napari_noise2score.settings.choices import Device, Loss, StartFrom
from napari_noise2score.settings.devices import ALL_GPUS, device_names
from napari_noise2score.settings.network import NetworkSettings
from napari_noise2score.settings.retired import without_slices
from napari_noise2score.settings.tree import from_dict, to_dict

_WEEK = 7 * 24 * 3600
"""Longest training time of a form, s."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Settings of a training. It ends at ``seconds`` or after ``steps``, whichever comes first.

    Parameters
    ----------
    seconds : float or None
        Training time, s; 0 applies the initial weights; None for no limit. With a time limit the
        result depends on the speed of the computer; for bit-identical repeats on a CPU give
        ``steps`` alone.
    steps : int or None
        Number of gradient steps; None for no limit.
    init : str
        Initial weights: ``'warm'``, the pretrained weights that ship with the package;
        ``'scratch'``, random weights; or the path of a model file.
    loss : Loss
        Loss of the training; a name in `napari_noise2score.score.loss.LOSSES`.
    frames : bool
        Whether frames of one scene are targets for each other, in addition to the perturbation.
    redraw : bool
        Whether the noise of pixels is resampled, in addition to the perturbation. This needs good
        initial weights and independent noise, and is not done if there are frames of one scene.
    batch : int
        Number of patches in each step, of all devices together.
    patch : int
        Height and width of a patch, pixels; a multiple of the size multiple of the network.
    learning_rate : float
        Maximum learning rate of Adam; it warms up and then decreases with a cosine.
    network : NetworkSettings, optional
        Size of a network with random initial weights.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``; ``'cuda:1'`` is a GPU by its number.
        Several GPUs share the work with ``'cuda:all'`` or, for example, ``'cuda:0,cuda:1'``.
    seed : int
        Seed of the random numbers of the training.
    save_every : float
        Time between two savings of the state of the training, s; 0 saves nothing. It does not
        change the result.

    Raises
    ------
    InputError
        If a value is out of its range, or there is no limit.

    Examples
    --------
    >>> from napari_noise2score import TrainSettings
    >>> repeatable = TrainSettings(seconds=None, steps=500, device='cpu')
    >>> repeatable.seed, repeatable.trains
    (0, True)
    >>> TrainSettings(seconds=0).trains  # applies the pretrained weights
    False
    """

    seconds: float | None = setting(
        60.0,
        label='Training time',
        unit='s',
        help='Longest time to train, in seconds; 0 applies the pretrained weights without '
        'training.',
        details='A minute gives most of the quality; a training ends early when the result no '
        'longer improves. Stop ends it early and applies the trained model.',
        least=0,
        step=10,
        most_shown=_WEEK,
        folded=False,
        preference=True,
    )
    steps: int | None = setting(
        None,
        label='Training steps',
        help='Largest number of gradient steps; if it is given alone, there is no time limit.',
        least=0,
        panel=False,
    )
    init: str = setting(
        StartFrom.WARM.value,
        label='Start from',
        help='Weights that the training begins with: pretrained (warm), random (scratch), or '
        'those of a model file.',
        in_form='Weights that the training begins with.',
        details='The pretrained weights were trained on synthetic images only. They give a '
        'preview at once, and a training from them never delivers a result with a larger '
        'estimated error. From random weights, the network learns from these images only, which '
        'takes longer. From a model, the training continues.',
        choices={
            StartFrom.WARM: 'Pretrained weights',
            StartFrom.SCRATCH: 'Random weights',
            StartFrom.UNSAVED: 'The model below',
        },
        more_choices=True,
        metavar='warm|scratch|M',
    )
    loss: Loss = setting(
        Loss.PRECONDITIONED,
        label='Loss',
        help='Loss of the training: preconditioned or published (AR-DAE), or sliced (sliced '
        'score matching).',
        panel=False,
    )
    frames: bool = setting(
        True,
        label='Frames of one scene',
        help=(
            'Whether frames that show the same scene are used as training targets for each other.'
        ),
        panel=False,
    )
    redraw: bool = setting(
        True,
        label='Resampled noise',
        help='Whether the network also learns from pixels whose noise is resampled, in addition '
        'to the perturbation.',
        panel=False,
    )
    batch: int = setting(
        8,
        label='Batch',
        help='Number of patches in each training step, of all devices together.',
        least=1,
        command=False,
        panel=False,
    )
    patch: int = setting(
        64,
        label='Patch',
        unit='pixels',
        help='Height and width of a patch.',
        command=False,
        panel=False,
    )
    learning_rate: float = setting(
        2e-3,
        label='Learning rate',
        help='Highest learning rate of the Adam optimiser.',
        above=0,
        below=1,
        command=False,
        panel=False,
    )
    network: NetworkSettings | None = None
    device: str = setting(
        Device.AUTO.value,
        label='Device',
        help='Device to compute on: auto uses a GPU if there is one; cuda is an NVIDIA GPU, mps '
        'an Apple GPU. Several NVIDIA GPUs share the work with cuda:all, or with their numbers, '
        'such as cuda:0,cuda:1.',
        in_form='Device to compute on; automatic uses a GPU if there is one.',
        details='In the same time, a GPU trains many times more steps than the CPU. With several '
        'GPUs, the patches of each training step are divided among them.',
        choices={
            Device.AUTO.value: 'Automatic',
            Device.CPU.value: 'CPU',
            Device.CUDA.value: 'NVIDIA GPU (cuda)',
            ALL_GPUS: 'All GPUs (cuda:all)',
            Device.MPS.value: 'Apple GPU (mps)',
        },
        more_choices=True,
        metavar='D',
        preference=True,
    )
    seed: int = setting(
        0,
        label='Seed',
        help='Seed of the random numbers.',
        least=0,
        most=2**63 - 1,
        panel=False,
    )
    save_every: float = setting(
        30.0,
        label='Save the training every',
        unit='s',
        help='Time between two savings of the training, in seconds, so that --resume can continue '
        'it after a crash; 0 saves nothing.',
        least=0,
        panel=False,
    )

    def __post_init__(self) -> None:
        check(self)
        device_names(self.device)
        if self.seconds is None and self.steps is None:
            raise InputError('neither seconds nor steps are given; a training needs one limit')
        if self.init == StartFrom.SCRATCH and not self.trains:
            raise InputError(
                'from scratch without training, the weights stay random; train for some time, '
                'or start from the pretrained weights (init warm, --init warm)'
            )
        if self.init != StartFrom.SCRATCH and self.network is not None:
            raise InputError(
                f'a network is given, but init is {self.init!r}, which has its own network; a '
                "network is accepted with init 'scratch' only"
            )
        self.check_patch(self.network or NetworkSettings())

    @property
    def trains(self) -> bool:
        """Whether there is a training."""
        return self.seconds != 0 and self.steps != 0

    def check_patch(self, network: NetworkSettings) -> None:
        """Raise InputError if the network does not accept patches of this size."""
        multiple = network.size_multiple
        if self.patch < 16 or self.patch % multiple:
            raise InputError(
                f'patch is {self.patch} pixels; a multiple of {multiple}, 16 or more, is needed'
            )

    @property
    def decisive(self) -> dict[str, Any]:
        """Plain values of the settings that change the result of a training."""
        return {name: one for name, one in self.to_dict().items() if name != 'save_every'}

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainSettings:
        """Settings from the result of `to_dict`, also of earlier versions.

        Raises
        ------
        InputError
            If there is no such setting, a value is not accepted, or the network saw several slices
            at once.
        """
        return from_dict(cls, without_slices(values, 'slices'))

    def progress(self, step: int, seconds: float) -> float:
        """Completed share of the training, 0 to 1."""
        if not self.trains:
            return 1.0
        by_steps = step / self.steps if self.steps is not None else 0.0
        by_time = seconds / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(by_steps, by_time))
