"""How far the work is, on a terminal."""

from __future__ import annotations

import sys
from typing import Any

_BAR = '{desc} |{bar}| {percentage:3.0f} % [{elapsed}<{remaining}]'


def run(steps: Any) -> Any:
    """Run a generator of progress to its end, with a bar on a terminal."""
    from tqdm import tqdm

    from napari_noise2score.progress import finish

    with tqdm(total=1000, bar_format=_BAR, disable=None, file=sys.stderr, leave=False) as bar:

        def show(progress: Any) -> None:
            training = getattr(progress, 'training', progress)
            stage = getattr(progress, 'stage', 'train' if hasattr(progress, 'step') else 'score')
            loss = getattr(training, 'loss', None)
            text = stage if loss is None else f'{stage}, step {training.step}, loss {loss:.3f}'
            bar.set_description_str(text, refresh=False)
            bar.n = round(1000 * progress.fraction)
            bar.refresh() if progress.fraction >= 1 else bar.update(0)

        return finish(steps, show)
