"""A trained model: the network, the meaning of its output, and its training data.

It is saved as safetensors, which contains numbers and text but never code.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.files import written_whole
from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.plain import json_line, plain
from napari_noise2score.score.checksum import checksum
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning, Noisy
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.model_header import FORMAT, READABLE, SUFFIX, VERSION
from napari_noise2score.score.network.choice import network_of, widths_of
from napari_noise2score.score.network.parts import Network
from napari_noise2score.score.parameterisation import Parameterisation
from napari_noise2score.score.precision import Precision
from napari_noise2score.settings import NetworkSettings
from napari_noise2score.settings.retired import RetiredError, without_slices


@dataclass(slots=True, eq=False)
class ScoreModel:
    """A network that gives the score of images like those it was trained on.

    Attributes
    ----------
    network : ScoreNetwork or ContextNetwork
        On the CPU, in evaluation mode.
    loss : str
        The loss of the training, which determines the meaning of the output of the network.
    training : dict
        Settings and outcome of the training, plain values.
    data : dict
        The training data: source names, shapes, noise models; plain values.
    """

    network: Network
    loss: str
    training: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def parameterisation(self) -> Parameterisation:
        """Meaning of the output of the network."""
        return LOSSES[self.loss].parameterisation

    @property
    def pretrained(self) -> bool:
        """Whether it was trained on clean images, and has seen no noisy one yet."""
        return 'pretraining' in self.training

    def at_level(self, level: float) -> ScoreModel:
        """A copy that takes a level, in the unit-noise coordinate, as its zero.

        Far from its zero, in noise standard deviations, a network has seen no image.
        """
        network = copy.deepcopy(self.network)
        network.centre.fill_(level)
        return replace(self, network=network)

    def denoiser(
        self,
        images: Sequence[Noisy],
        device: torch.device,
        precision: Precision | None = None,
    ) -> Denoiser:
        """The denoiser of these images; the network is moved to the device."""
        noise = NoiseConditioning(images, device)
        return Denoiser(self.network.to(device), self.parameterisation, noise, precision)

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, hexadecimal: the same for every copy of them."""
        digest = hashlib.sha256()
        for key, value in sorted(self.network.state_dict().items()):
            if key != 'centre':  # set anew for the data of every training
                digest.update(key.encode())
                digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def state(self) -> dict[str, Any]:
        """The model without its data, as a part of a saved training."""
        training: dict[str, Any] = plain(self.training)
        return {
            'network': self.network.settings.to_dict(),
            'weights': self.network.state_dict(),
            'loss': str(self.loss),
            'training': training,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> ScoreModel:
        """From what `state` returned."""
        network = network_of(NetworkSettings.from_dict(state['network']))
        network.load_state_dict(state['weights'])
        network = network.eval().requires_grad_(False)
        return cls(network, state['loss'], state['training'])

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Write the model; an existing file is not changed until the new one is complete.

        Parameters
        ----------
        path : path
            Path of the file.
        compact : bool
            Store the weights in half precision: half the size, and an error of 0.05 % of each.
        """
        precision = torch.float16 if compact else torch.float32
        tensors = {
            key: value.detach().to('cpu', precision).contiguous()
            for key, value in self.network.state_dict().items()
        }
        header = {
            'format': FORMAT,
            'version': str(VERSION),
            'weights_crc32': checksum(tensors),
            'settings': json_line(
                {
                    'network': self.network.settings.to_dict(),
                    'loss': self.loss,
                    'training': self.training,
                    'data': self.data,
                }
            ),
        }
        with written_whole(path) as part:
            part.write_bytes(to_bytes(tensors, header))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreModel:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, no model of ours, of a newer version, or of an earlier
            one whose networks this one does not have.
        """
        path = Path(path)
        if not path.is_file():
            there = 'is not a file' if path.exists() else 'no such file'
            raise CheckpointError(f'{path}: {there}; a {SUFFIX} model file is needed')
        try:
            with safe_open(path, framework='pt') as file:
                header = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f'{path}: damaged, or not a model file ({error})') from error
        if header.get('format') != FORMAT:
            raise CheckpointError(
                f'{path}: not a {FORMAT} file; got {header.get("format", "none")!r}'
            )
        if header.get('version') not in READABLE:
            raise CheckpointError(
                f'{path}: file version {header.get("version")!r}; '
                f'this program reads {" and ".join(READABLE)}'
            )
        if header['version'] != '1' and header.get('weights_crc32') not in (
            None,  # of files that were written before there was a checksum
            checksum(tensors),
        ):
            raise CheckpointError(
                f'{path}: damaged model file (its weights have another checksum than the file '
                'states)'
            )
        try:
            settings = json.loads(header['settings'])
            size = NetworkSettings.from_dict(settings['network'])
            tensors = {key: value.float() for key, value in tensors.items()}
            if header['version'] == '1':
                tensors = _conditioned(tensors)
            _check_size(size, tensors)
            network = network_of(size)
            network.load_state_dict(tensors)
            loss, data = settings['loss'], settings['data']
            training = without_slices(settings['training'], 'slices')
            if loss not in LOSSES or not isinstance(training, dict) or not isinstance(data, dict):
                raise KeyError(f'loss {loss!r}')
        except RetiredError as error:
            raise CheckpointError(f'{path}: {error}') from error
        except (KeyError, TypeError, ValueError, InputError, RuntimeError) as error:
            text = str(error).partition('\n')[0] or type(error).__name__
            raise CheckpointError(f'{path}: damaged model file ({text})') from error
        if not all(torch.isfinite(value).all() for value in tensors.values()):
            raise CheckpointError(f'{path}: damaged model file (weights are not finite)')
        return cls(network.eval().requires_grad_(False), loss, training, data)


def _check_size(size: NetworkSettings, tensors: Mapping[str, Tensor]) -> None:
    """Raise `ValueError` if a network is far larger than its weights, before it takes memory."""
    widths = widths_of(size)
    least = sum(2 * 9 * width**2 for width in widths) * size.blocks  # of residual blocks alone
    there = sum(values.numel() for values in tensors.values())
    if there < least:
        raise ValueError(f'it has {there} weights; a network of {size} has more than {least}')


def _conditioned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of version 1, without conditioning on the noise, as those of a network with it."""
    head = tensors['head.weight']
    zeros = head.new_zeros(len(head), 1, *head.shape[2:])
    correlated = head.new_zeros(len(head), len(NEAREST))
    return {
        **tensors,
        'head.weight': torch.cat([head, zeros], dim=1),
        'correlated.weight': correlated,
    }
