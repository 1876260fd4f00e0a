"""Loaded by the workers of a test cluster, which then work as the process of the tests does."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

_UNTIL_THE_END = ExitStack()


def dask_setup(worker: Any) -> None:
    """Called by Dask."""
    from tests.quick import few_trials

    _UNTIL_THE_END.enter_context(few_trials())
