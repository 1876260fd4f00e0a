"""A progress bar for `denoise` in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_noise2score.pipeline.results import Progress
from napari_noise2score.progress import STAGES

_STEPS = 1000


@contextmanager
def notebook_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A function that shows each `Progress` as a bar in a Jupyter notebook; None elsewhere."""
    if not in_notebook():
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(total=_STEPS, bar_format='{desc}: {percentage:3.0f}% |{bar}| {elapsed}') as bar:

        def show(at: Progress) -> None:
            text = STAGES[at.stage]
            if at.left is not None:
                text += f', about {at.left:.0f} s left'
            bar.set_description_str(text, refresh=False)
            bar.n = round(_STEPS * min(1.0, at.fraction))
            bar.refresh()

        yield show


def in_notebook() -> bool:
    """Whether this is the kernel of a Jupyter notebook."""
    ipython = sys.modules.get('IPython')
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, 'kernel')
