"""Self-supervised denoising of microscope images: learn the score, correct with Tweedie's formula.

The names below are loaded on first use: ``import napari_noise2score`` costs next to nothing and
loads neither torch nor Qt nor napari.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_noise2score.analysis.bioimageio import export_bioimageio
    from napari_noise2score.errors import CheckpointError, InputError, TrainingError
    from napari_noise2score.images.formats import read_image, write_image
    from napari_noise2score.noise.calibration.calibrate import calibrate
    from napari_noise2score.noise.estimate.blind import estimate_noise
    from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian
    from napari_noise2score.pipeline.correct import correct_image
    from napari_noise2score.pipeline.run import denoise
    from napari_noise2score.pipeline.stages import score_image, train_score
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.settings import DenoiseSettings, TrainSettings

    __version__: str

# Both are read when PyTorch is loaded.
# On Apple GPUs an operation that is missing is computed on the CPU.
os.environ.setdefault('PYTORCH_ENABLE_MPS_FALLBACK', '1')
# Threads that wait for others sleep after a tenth of the usual time: where a core is busy with
# something else, waiting threads would keep those from running that they wait for.
os.environ.setdefault('GOMP_SPINCOUNT', '30000')

__all__ = [
    'CheckpointError',
    'DenoiseSettings',
    'Gaussian',
    'InputError',
    'Poisson',
    'PoissonGaussian',
    'ScoreModel',
    'TrainSettings',
    'TrainingError',
    '__version__',
    'calibrate',
    'correct_image',
    'denoise',
    'estimate_noise',
    'export_bioimageio',
    'read_image',
    'score_image',
    'train_score',
    'write_image',
]

_HOME = {
    'CheckpointError': 'errors',
    'DenoiseSettings': 'settings',
    'Gaussian': 'noise.families',
    'InputError': 'errors',
    'Poisson': 'noise.families',
    'PoissonGaussian': 'noise.families',
    'ScoreModel': 'score.model',
    'TrainSettings': 'settings',
    'TrainingError': 'errors',
    'calibrate': 'noise.calibration.calibrate',
    'correct_image': 'pipeline.correct',
    'denoise': 'pipeline.run',
    'estimate_noise': 'noise.estimate.blind',
    'export_bioimageio': 'analysis.bioimageio',
    'read_image': 'images.formats',
    'score_image': 'pipeline.stages',
    'train_score': 'pipeline.stages',
    'write_image': 'images.formats',
}


def __getattr__(name: str) -> Any:
    if name == '__version__':
        value: Any = _version()
    elif name in _HOME:
        value = getattr(importlib.import_module(f'{__name__}.{_HOME[name]}'), name)
    else:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version('napari-noise2score')
    except PackageNotFoundError:  # run from a source tree that is not installed
        return 'unknown'
