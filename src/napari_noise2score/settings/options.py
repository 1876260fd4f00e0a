"""Settings as command-line options: added to a parser, read from it, and written as text."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar, cast

from napari_noise2score.fields import Setting, described, plain_value
from napari_noise2score.settings.tree import settings_in

S = TypeVar('S')


def add_fields(
    parser: argparse._ActionsContainer,
    settings: Any,
    *,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
) -> None:
    """Add an option for each field of settings.

    Parameters
    ----------
    parser : ArgumentParser or group of one
        The options are added to it.
    settings : dataclass or instance of one
        Its described fields get an option; the values of an instance are the defaults. Nested
        settings are not added.
    only, leave_out : collection of str
        Names of the fields to add (by default all), and of those to exclude.
    """
    for one in described(settings):
        if one.command and one.name not in leave_out and (only is None or one.name in only):
            add_option(parser, one)


def add_option(parser: argparse._ActionsContainer, one: Setting) -> None:
    """Add the option of one field."""
    text = one.help.removesuffix('.').replace('%', '%%')
    if text[:2].istitle():  # otherwise it begins with an abbreviation
        text = text[0].lower() + text[1:]
    default = plain_value(one.value)
    shown = {True: 'yes', False: 'no'}.get(default, default) if one.kind is bool else default
    if default is not None:
        text += f' (default: {f"{shown:g}" if one.kind is float else shown})'
    name, dest = _option(one), _dest(one)
    if one.kind is bool:
        action = argparse.BooleanOptionalAction
        parser.add_argument(name, dest=dest, action=action, default=default, help=text)
        return
    parser.add_argument(
        name,
        dest=dest,
        type=one.kind if one.kind in (int, float) else str,
        choices=[plain_value(value) for value in one.accepted] or None,
        default=None if one.optional else default,
        metavar=one.metavar or None,
        help=text,
    )


def read_fields(options: argparse.Namespace, settings: S) -> S:
    """Settings with the values of the given options, which `add_fields` has added.

    Raises
    ------
    InputError
        If a value is not accepted.
    """
    given = {one.name: getattr(options, _dest(one), None) for one in described(settings)}
    known = {name: value for name, value in given.items() if value is not None}
    read: S = dataclasses.replace(cast(Any, settings), **known)
    return read


def option_words(settings: Any) -> list[str]:
    """The command-line options for these settings and for the settings in them."""
    words: list[str] = []
    for one in settings_in(settings):
        if not one.command or one.value is None:
            continue
        name = _option(one)
        if one.kind is bool:
            words.append(name if one.value else name.replace('--', '--no-', 1))
        else:
            words += [name, _text(plain_value(one.value))]
    return words


def _option(one: Setting) -> str:
    return '--' + (one.option or one.name).replace('_', '-')


def _dest(one: Setting) -> str:
    return (one.option or one.name).replace('-', '_')


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
