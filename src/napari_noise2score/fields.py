"""Fields of settings that describe themselves: label, help, unit, range and choices.

Command line, forms, Preferences, copied command lines, model files and reports are made from this
metadata, so that a new setting is one field. No torch, no Qt.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from enum import Enum
from functools import cache
from numbers import Integral, Real
from typing import Any, Union, get_args, get_origin, get_type_hints

from napari_noise2score.errors import InputError


def setting(
    default: Any = MISSING,
    *,
    label: str,
    help: str,  # noqa: A002 - the name that argparse uses
    **more: Any,
) -> Any:
    """A dataclass field that describes itself.

    Parameters
    ----------
    default : object, optional
        Value where none is given.
    label : str
        Name in a form.
    help : str
        One full sentence on what it does: the help of the command line, and the first sentence of
        the tooltip unless ``in_form`` is given.
    **more : object
        Other attributes of `Setting`, such as ``unit``, ``least`` or ``choices``.
    """
    return field(default=default, metadata={'label': label, 'help': help, **more})


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of a settings class, described.

    Attributes
    ----------
    name : str
        Name of the field.
    kind : type
        Its type, without None: bool, int, float, str or an enumeration.
    optional : bool
        Whether None is accepted.
    value : object
        Default of the class, or the value in an instance.
    label, help, details : str
        Name in a form; one sentence on what it does; further sentences of a tooltip.
    in_form : str
        What a tooltip says instead of ``help``, if that names values by the words of the command
        line: the menu of a form shows their labels.
    unit : str
        Unit, empty for a plain number.
    least, most : float, optional
        Smallest and largest value that are accepted.
    above, below : float, optional
        Bounds that are themselves not accepted.
    step : float, optional
        Step of a number in a form; a whole step makes a field of whole numbers.
    most_shown : float, optional
        Largest value in a form, where larger ones are accepted elsewhere.
    choices : mapping
        Values with their labels in a menu. Others are refused, unless ``more_choices``.
    more_choices : bool
        Whether values other than ``choices`` are accepted.
    option : str
        Name on the command line; that of the field if empty.
    metavar : str
        Placeholder of the value in the help of the command line.
    command, panel, preference : bool
        Whether it is an option of the command line, a field of the panel, and one of napari's
        Preferences.
    folded : bool
        Whether the panel shows it under *More settings* only.
    """

    name: str
    kind: type[Any]
    optional: bool
    value: Any
    label: str
    help: str
    details: str = ''
    in_form: str = ''
    unit: str = ''
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    step: float | None = None
    most_shown: float | None = None
    choices: Mapping[Any, str] = field(default_factory=dict)
    more_choices: bool = False
    option: str = ''
    metavar: str = ''
    command: bool = True
    panel: bool = True
    preference: bool = False
    folded: bool = True

    @property
    def title(self) -> str:
        """Label with the unit."""
        return f'{self.label} ({self.unit})' if self.unit else self.label

    @property
    def tooltip(self) -> str:
        """Everything that is said of it where its menu shows labels."""
        return f'{self.in_form or self.help} {self.details}'.strip()

    @property
    def description(self) -> str:
        """Everything that is said of it where its values are shown as they are."""
        return f'{self.help} {self.details}'.strip()

    @property
    def accepted(self) -> tuple[Any, ...]:
        """All values that are accepted, if they are few: of an enumeration, or its choices."""
        if issubclass(self.kind, Enum):
            return tuple(self.kind)
        return () if self.more_choices else tuple(self.choices)

    def checked(self, value: Any, prefix: str = '') -> Any:
        """The value as the field keeps it.

        Raises
        ------
        InputError
            If it is not accepted; ``prefix`` comes before the name.
        """
        if value is None and self.optional:
            return None
        name, accepted = prefix + self.name, self.accepted
        if accepted:
            if value not in accepted:
                known = ', '.join(map(str, map(plain_value, accepted)))
                raise InputError(f'{name} {plain_value(value)!r} is unknown; accepted are {known}')
            return self.kind(value)
        if self.kind is bool and not isinstance(value, bool):
            raise InputError(f'{name} is {value!r}; True or False is needed')
        if self.kind in (int, float) and not self._in_range(value):
            raise InputError(f'{name} is {value!r}; {self._range_words()} is needed')
        return plain_value(value)

    def _in_range(self, value: Any) -> bool:
        number = isinstance(value, Integral if self.kind is int else Real)
        if not number or isinstance(value, bool) or not math.isfinite(value):
            return False
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def _range_words(self) -> str:
        words = 'a whole number' if self.kind is int else 'a finite number'
        if self.least is not None and self.most is not None:
            return f'{words} from {self.least} to {self.most}'
        bounds = {
            'of {} or more': self.least,
            'of {} or less': self.most,
            'above {}': self.above,
            'below {}': self.below,
        }
        parts = [text.format(bound) for text, bound in bounds.items() if bound is not None]
        return ' '.join([words, ' and '.join(parts)]).strip()


def described(settings: Any) -> tuple[Setting, ...]:
    """The fields of a settings class or instance that describe themselves."""
    cls = settings if isinstance(settings, type) else type(settings)
    found = []
    for spec in dataclasses.fields(cls):
        if 'label' in spec.metadata:
            kind, optional = kind_of(cls, spec.name)
            missing = spec.default is MISSING
            value = None if missing else spec.default
            if cls is not settings:
                value = getattr(settings, spec.name)
            found.append(Setting(spec.name, kind, optional or missing, value, **spec.metadata))
    return tuple(found)


def check(settings: Any, prefix: str = '') -> None:
    """Check every described field, and convert values to its enumeration; for `__post_init__`.

    Raises
    ------
    InputError
        If a value is not accepted; ``prefix`` comes before the name of the field.
    """
    for one in described(settings):
        object.__setattr__(settings, one.name, one.checked(one.value, prefix))


def plain_value(value: Any) -> Any:
    """The value of a member of an enumeration; anything else as it is."""
    return value.value if isinstance(value, Enum) else value


def kind_of(cls: Any, name: str) -> tuple[type[Any], bool]:
    """The type of a field without None, and whether None is accepted."""
    hint = _hints_of(cls)[name]
    if get_origin(hint) not in (Union, types.UnionType):
        return get_origin(hint) or hint, False
    kinds = [one for one in get_args(hint) if one is not type(None)]
    return get_origin(kinds[0]) or kinds[0], len(kinds) < len(get_args(hint))


@cache
def _hints_of(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)
