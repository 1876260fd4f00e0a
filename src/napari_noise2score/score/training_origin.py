"""What a training belongs to: versions, settings, start and images, and how two differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from napari_noise2score.plain import plain


@dataclass(frozen=True, slots=True)
class TrainingOrigin:
    """What the numbers of a training depend on; plain values.

    Attributes
    ----------
    versions : dict
        Versions of this package and of PyTorch, by name.
    settings : dict
        Settings of the training, by name, without those that do not change its numbers.
    start : str or None
        SHA-256 of the weights that the training begins with; None for random ones.
    images : list of dict
        For each image ``name``, ``axes``, ``shape``, ``region``, ``places`` (its channels),
        ``crc32`` of its grey levels, ``noise`` (the model of each channel) and ``coordinate``
        (CRC-32 of what the training sees of the noise).
    """

    versions: dict[str, Any]
    settings: dict[str, Any]
    start: str | None
    images: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        found: dict[str, Any] = plain(dataclasses.asdict(self))
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingOrigin:
        """From what `to_dict` returned.

        Raises
        ------
        TypeError, KeyError
            If anything is missing, or more is there.
        """
        return cls(**values)

    def differences(self, now: TrainingOrigin) -> list[str]:
        """How another training differs from this earlier one, in words; empty if it does not."""
        return list(_differences(self.to_dict(), now.to_dict()))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key, words in (('versions', 'the version of {}'), ('settings', 'the setting {}')):
        for name in dict.fromkeys([*before[key], *now[key]]):
            values = [origin[key].get(name) for origin in (before, now)]
            if values[0] != values[1]:
                yield '{} was {} and is {}'.format(words.format(name), *values)
    if before['start'] != now['start']:
        yield 'the weights to begin with are other ones'
    counts = [len(values['images']) for values in (before, now)]
    if counts[0] != counts[1]:
        yield 'there were {} images and there are {}'.format(*counts)
        return
    for one, other in zip(before['images'], now['images'], strict=True):
        difference = _image_words(one, other)
        if difference is not None:
            yield difference


def _image_words(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """How an image differs, by the first reason that there is; its name does not count."""
    for key in ('axes', 'shape', 'region', 'places'):
        if before[key] != now[key]:
            was, is_now = before[key] or 'the whole', now[key] or 'the whole'
            return f'{key} of {now["name"]} were {was} and are {is_now}'
    if before['crc32'] != now['crc32']:
        return f'{now["name"]} has other grey levels'
    if before['noise'] != now['noise']:
        return f'the noise model of {now["name"]} was {before["noise"]} and is {now["noise"]}'
    if before['coordinate'] != now['coordinate']:
        return f'the noise of {now["name"]} is treated in another way'
    return None
