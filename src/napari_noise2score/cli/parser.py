"""A parser of arguments whose error is one line, and that takes no option for another one."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from napari_noise2score.cli.console import note

_MOST = 3
"""Most options that are suggested."""


class Parser(argparse.ArgumentParser):
    """A parser for the program and, made by it, those of its commands.

    Options are not abbreviated: what a new option begins with would change what an old script
    means. An option that is not known is told which ones are like it.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **{**options, 'allow_abbrev': False})
        self._given: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]  # for more kinds of namespaces
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the arguments; what is left over is an error of the command that gets it."""
        self._given = sys.argv[1:] if args is None else list(args)
        found, left = super().parse_known_args(self._given, namespace)
        if left:
            self.error(f'unrecognized arguments: {" ".join(left)}')
        return found, left

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and end."""
        hints = ''.join(f'; {hint}' for hint in self._hints(message))
        note(f'{message}{hints} (see {self.prog} --help)')
        raise SystemExit(2)

    def _hints(self, message: str) -> Iterator[str]:
        """What may have been meant by options that are not known."""
        known = list(self._option_string_actions)
        unknown = [name for name in self._options_given() if name not in known]
        for name in dict.fromkeys(unknown):
            longer = [one for one in known if one.startswith(name)]
            # an option is longer than its letters say: -seconds, --max_memory
            meant = '--' + name.lstrip('-').replace('_', '-').lower()
            like = longer or difflib.get_close_matches(meant, known, n=1)
            if like and len(like) <= _MOST:
                words = f'did you mean {" or ".join(like)}?'
                told = len(unknown) == 1 and name in message
                yield words if told else f'{name} is unknown, {words}'

    def _options_given(self) -> Iterator[str]:
        """Names of the options among the arguments; those of a command are left to its parser."""
        for word in self._given:
            if word == '--' or (self._subparsers is not None and not word.startswith('-')):
                return
            name = word.partition('=')[0]
            if re.match(r'--?[A-Za-z]', name):
                yield name
