"""The state of a training in a file, from which it continues with the same numbers.

A safetensors file: numbers and text, never code. The header names what the training belongs to;
with other images, settings or versions it does not continue, as the result would be another one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from napari_noise2score.errors import CheckpointError
from napari_noise2score.files import written_whole
from napari_noise2score.score.checksum import checksum
from napari_noise2score.score.training_origin import TrainingOrigin

FORMAT = 'napari-noise2score training'
VERSION = '1'

_TENSOR, _ARRAY = '$tensor', '$array'
"""Keys that stand in the text for numbers that are stored as such."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """Where a training is, and all that its next steps depend on.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Training time so far, s; pauses and interruptions do not count.
    origin : TrainingOrigin
        What the training belongs to.
    parts : dict
        What each part of the training gave as its ``state()``: texts, numbers, tensors and arrays
        in dictionaries and lists.
    finished : bool
        Whether the training has ended; then ``parts`` is what it delivers.
    """

    step: int
    seconds: float
    origin: TrainingOrigin
    parts: dict[str, Any]
    finished: bool = False

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state; an earlier one stays whole until this one is complete.

        Raises
        ------
        OSError
            If it cannot be written; then the earlier one is still there.
        """
        tensors: list[Tensor] = []
        parts = _packed(self.parts, tensors, {})
        header = {
            'format': FORMAT,
            'version': VERSION,
            'step': str(self.step),
            'seconds': repr(self.seconds),
            'finished': str(int(self.finished)),
            'origin': json.dumps(self.origin.to_dict()),
            'parts': json.dumps(parts),  # with NaN: before the first step the loss is none
        }
        named = {str(number): values for number, values in enumerate(tensors)}
        header['crc32'] = checksum(named, header)
        with written_whole(path) as part:
            part.write_bytes(to_bytes(named, header))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainingState:
        """Read a state that :meth:`save` wrote.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged, no state of a training, or of another version.
        """
        path = Path(path)
        try:
            with safe_open(path, framework='pt') as file:
                header = file.metadata() or {}
                # copies: Windows replaces no file that something in memory still refers to
                tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f'{path}: is damaged, or not the state of a training ({error}); remove it to '
                'begin a new training'
            ) from error
        if (header.get('format'), header.get('version')) != (FORMAT, VERSION):
            found = f'{header.get("format")!r}, version {header.get("version")!r}'
            raise CheckpointError(
                f'{path}: is {found}; {FORMAT!r}, version {VERSION!r}, is needed'
            )
        if header.pop('crc32', None) != checksum(tensors, header):
            raise CheckpointError(
                f'{path}: is a damaged state of a training (it has another checksum than it '
                'states); remove it to begin a new training'
            )
        try:
            arrays = {key: values.numpy() for key, values in tensors.items()}
            stored = {_TENSOR: tensors, _ARRAY: arrays}
            parts = _unpacked(json.loads(header['parts']), stored)
            origin = TrainingOrigin.from_dict(json.loads(header['origin']))
            step, seconds = int(header['step']), float(header['seconds'])
            return cls(step, seconds, origin, parts, bool(int(header['finished'])))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f'{path}: is a damaged state of a training ({error})') from error


def _packed(value: Any, tensors: list[Tensor], known: dict[int, Any]) -> Any:
    """A value as JSON; its tensors and arrays go into a list, each once."""
    if isinstance(value, Tensor | np.ndarray):
        if id(value) not in known:
            key = _ARRAY if isinstance(value, np.ndarray) else _TENSOR
            known[id(value)] = {key: str(len(tensors))}
            tensors.append(torch.as_tensor(value).detach().cpu().contiguous())
        return known[id(value)]
    if isinstance(value, Mapping):
        return {key: _packed(one, tensors, known) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(one, tensors, known) for one in value]
    return value


def _unpacked(value: Any, stored: Mapping[str, Mapping[str, Any]]) -> Any:
    """What was packed; what was one object before is one object again."""
    if isinstance(value, list):
        return [_unpacked(one, stored) for one in value]
    if not isinstance(value, dict):
        return value
    for key, values in stored.items():
        if key in value:
            return values[value[key]]
    return {key: _unpacked(one, stored) for key, one in value.items()}
