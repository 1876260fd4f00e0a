"""Generators that yield progress: run one within another, or to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

STAGES = {'estimate': 'estimating the noise', 'train': 'training', 'correct': 'correcting'}
"""What the stages of a work are called while it runs."""

P = TypeVar('P')
Q = TypeVar('Q')
R = TypeVar('R')


def seconds_left(begin: float, fraction: float) -> float | None:
    """Estimated seconds until the end of the work, of which ``fraction`` is done; None at the
    start.

    ``begin`` is the start time, by `time.perf_counter`.
    """
    return (time.perf_counter() - begin) * (1 / fraction - 1) if fraction else None


def relay(steps: Generator[P, None, R], convert: Callable[[P], Q]) -> Generator[Q, None, R]:
    """Run a generator within another: yield its progress converted, return what it returns.

    It is closed when the outer generator is closed.
    """
    try:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                result: R = end.value
                return result
            yield convert(progress)
    finally:
        steps.close()


def finish(steps: Generator[Any, None, R], on_progress: Callable[[Any], None] | None = None) -> R:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: R = end.value
            return result
        if on_progress is not None:
            on_progress(progress)
