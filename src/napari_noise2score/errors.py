"""The errors a caller may want to catch.

None of them is a :class:`RuntimeError`: Qt generator workers swallow that one, and a panel
would then say "training" for ever.
"""

from __future__ import annotations


class InputError(ValueError):
    """Something given is not acceptable; the text says what was got and what would be."""


class NoNoiseError(InputError):
    """An image has no noise: it is constant, or was processed."""


class TrainingError(Exception):
    """The training failed and has no usable score; the text says what to change."""


class CheckpointError(Exception):
    """A score model file cannot be read or is not one of ours."""


def one_line(error: BaseException) -> str:
    """Text of an error without line breaks; empty if it has none."""
    return ' '.join(str(error).split())
