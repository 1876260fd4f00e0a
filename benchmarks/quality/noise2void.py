"""CAREamics' Noise2Void, trained on the stack for a given time.

Written for careamics 0.3; its settings are left as they are, but for patches, batch and time.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.settings import TrainSettings

OLDEST = '0.3'
"""Version of careamics from which on this works."""
BATCH = 16
PATCH = 64
ENDLESS = 1_000_000
MOST_VALIDATION = 8
ACCELERATORS = {'cuda': 'gpu'}


def noise2void(
    noisy: NDArray[np.uint8], training: TrainSettings
) -> tuple[NDArray[np.float32], int]:
    """Clean stack (T, Y, X), grey levels, and how many steps were made."""
    with trained(noisy, training) as (predict, steps):
        return predict(), steps


Predict: TypeAlias = Callable[..., NDArray[np.float32]]
"""A clean stack (T, Y, X), grey levels; with ``tile_size`` and ``tile_overlap`` in tiles."""


@contextmanager
def trained(noisy: NDArray[Any], training: TrainSettings) -> Iterator[tuple[Predict, int]]:
    """A network that was trained on a stack (T, Y, X), which it denoises, and its steps."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        values = noisy.astype(np.float32)
        learner = _learner(training, noisy.shape, Path(folder))
        learner.train(train_data=values)
        last = Path(folder) / 'last.ckpt'  # its own checkpoints come every ten epochs
        learner.trainer.save_checkpoint(last)

        def predict(**tiles: Any) -> NDArray[np.float32]:
            found, _ = learner.predict(
                values, checkpoint=last, batch_size=1, num_workers=0, **tiles
            )
            return np.reshape(found[0], noisy.shape).astype(np.float32)

        yield predict, int(learner.trainer.global_step)


def _learner(training: TrainSettings, shape: tuple[int, ...], folder: Path) -> Any:
    from careamics import CAREamist
    from careamics.config.factories import create_advanced_n2v_config
    from lightning.pytorch.callbacks import Timer

    patches = shape[0] * (shape[1] // PATCH) * (shape[2] // PATCH)
    config = create_advanced_n2v_config(
        experiment_name='noise2void',
        data_type='array',
        axes='SYX',
        patch_size=(PATCH, PATCH),
        batch_size=BATCH,
        num_epochs=ENDLESS,
        n_val_patches=max(1, min(MOST_VALIDATION, patches // 8)),
        num_workers=0,
        seed=training.seed + 1,  # it takes no zero
        trainer_params={
            'accelerator': ACCELERATORS.get(training.device, training.device),
            'devices': 1,
            'max_steps': training.steps or -1,
            'enable_model_summary': False,
        },
    )
    limits = []
    if training.seconds is not None:
        limits.append(Timer(duration={'seconds': training.seconds}, interval='step'))
    return CAREamist(config, work_dir=folder, callbacks=limits, enable_progress_bar=False)
