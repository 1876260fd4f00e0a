"""Names of devices: one, or several of one machine."""

from __future__ import annotations

import re
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.settings.choices import Device

ALL_GPUS = 'cuda:all'
"""Name of all NVIDIA GPUs of a machine."""

ACCEPTED = (
    f'{", ".join(Device)}, one NVIDIA GPU by its number (cuda:1), all of them ({ALL_GPUS}) or '
    'several (cuda:0,cuda:1)'
)
"""The accepted names, for messages."""

_NUMBERED = re.compile(r'cuda:(0|[1-9]\d*)')


def device_names(text: Any) -> tuple[str, ...]:
    """The devices that a setting names, in order; whether they exist is not checked.

    Several devices are separated by commas. They are numbered GPUs, each named once, or ``cpu``
    more than once, which is of use without a GPU only, to try several processes.

    Raises
    ------
    InputError
        If a name is unknown, or these devices cannot work together.

    Examples
    --------
    >>> device_names('cuda:0, cuda:2')
    ('cuda:0', 'cuda:2')
    """
    names = tuple(part.strip() for part in text.split(',')) if isinstance(text, str) else ()
    known = all(
        name in (*Device, ALL_GPUS) or _NUMBERED.fullmatch(name) is not None for name in names
    )
    if not names or not known:
        raise InputError(f'device {text!r} is unknown; accepted are {ACCEPTED}')
    if len(names) == 1 or set(names) == {Device.CPU.value}:
        return names
    if not all(_NUMBERED.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise InputError(
            f'device is {text!r}; several devices have to be NVIDIA GPUs with different numbers '
            '(cuda:0,cuda:1), or the CPU only (cpu,cpu)'
        )
    return names
