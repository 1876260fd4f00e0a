"""Settings of the pretraining."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from napari_noise2score.fields import check, setting
from napari_noise2score.settings.choices import Device
from napari_noise2score.settings.network import NetworkSettings
from napari_noise2score.settings.tree import to_dict


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """Settings of a pretraining.

    Parameters
    ----------
    steps : int
        Total number of gradient steps; the learning rate decreases with a cosine over them.
    batch : int
        Number of patches in each step.
    patch : int
        Height and width of a patch, pixels.
    learning_rate : float
        Maximum learning rate of Muon.
    seed : int
        Seed of the random numbers.
    device : Device
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    network : NetworkSettings
        Size of the network.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    steps: int = setting(20_000, label='Steps', help='Total number of gradient steps.', least=1)
    batch: int = setting(
        16,
        label='Batch',
        help='Number of patches in each training step.',
        least=1,
        command=False,
    )
    patch: int = setting(
        64, label='Patch', unit='pixels', help='Height and width of a patch.', command=False
    )
    learning_rate: float = setting(
        3e-3,
        label='Learning rate',
        help='Highest learning rate of the Muon optimiser.',
        command=False,
    )
    seed: int = setting(0, label='Seed', help='Seed of the random numbers.')
    device: Device = setting(
        Device.AUTO,
        label='Device',
        help='Device to compute on: auto uses a GPU if there is one.',
    )
    network: NetworkSettings = field(default_factory=partial(NetworkSettings, blocks=2))

    def __post_init__(self) -> None:
        check(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return to_dict(self)
