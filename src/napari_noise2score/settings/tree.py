"""Nested settings: list of their fields, change by name, and plain values for JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from napari_noise2score.errors import InputError
from napari_noise2score.fields import Setting, described, kind_of, plain_value

S = TypeVar('S')


def settings_in(settings: Any) -> tuple[Setting, ...]:
    """The described fields of settings and of the settings in them, in order.

    Parameters
    ----------
    settings : dataclass or instance of one
        An instance gives the current values. Settings that may be None, such as the size of a
        network, are not included.
    """
    return tuple(_settings_in(settings))


def replaced(settings: S, values: Mapping[str, Any]) -> S:
    """A copy of settings with other values by name, also in the settings that they contain.

    Raises
    ------
    InputError
        If a value is not accepted.
    TypeError
        If there is no such field.
    """
    unknown = values.keys() - {one.name for one in settings_in(settings)}
    if unknown:
        raise TypeError(f'no such settings: {", ".join(sorted(unknown))}')
    changed: S = _replaced(settings, values)
    return changed


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain representation for JSON: every field by its name."""
    return {
        spec.name: _plain(getattr(settings, spec.name)) for spec in dataclasses.fields(settings)
    }


def from_dict(cls: type[S], values: Mapping[str, Any]) -> S:
    """Settings from the result of `to_dict`; missing fields have their defaults.

    Raises
    ------
    InputError
        If there is no such field, or a value is not accepted.
    """
    if not isinstance(values, Mapping):
        raise InputError(f'{cls.__name__} is {values!r}; a dictionary of values by name is needed')
    unknown = values.keys() - {spec.name for spec in dataclasses.fields(cast(Any, cls))}
    if unknown:
        raise InputError(f'{cls.__name__} has no {", ".join(sorted(unknown))}')
    return cls(**{name: _restored(kind_of(cls, name)[0], one) for name, one in values.items()})


def _settings_in(settings: Any) -> Iterator[Setting]:
    cls = settings if isinstance(settings, type) else type(settings)
    own = {one.name: one for one in described(settings)}
    for spec in dataclasses.fields(cls):
        if spec.name in own:
            yield own[spec.name]
            continue
        kind, optional = kind_of(cls, spec.name)
        if dataclasses.is_dataclass(kind) and not optional:
            yield from _settings_in(kind if cls is settings else getattr(settings, spec.name))


def _replaced(settings: Any, values: Mapping[str, Any]) -> Any:
    own = {one.name: values[one.name] for one in described(settings) if one.name in values}
    for spec in dataclasses.fields(settings):
        kind, optional = kind_of(type(settings), spec.name)
        if spec.name not in own and dataclasses.is_dataclass(kind) and not optional:
            own[spec.name] = _replaced(getattr(settings, spec.name), values)
    return dataclasses.replace(settings, **own)


def _restored(kind: type[Any], value: Any) -> Any:
    if not dataclasses.is_dataclass(kind) or not isinstance(value, Mapping):
        return value
    return kind.from_dict(value) if hasattr(kind, 'from_dict') else from_dict(kind, value)


def _plain(value: Any) -> Any:
    if hasattr(value, 'to_dict'):
        return value.to_dict()
    return to_dict(value) if dataclasses.is_dataclass(value) else plain_value(value)
