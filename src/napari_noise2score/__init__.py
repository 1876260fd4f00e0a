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
    from napari_noise2score.images.formats import list_scenes, read_image, write_image
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.noise.calibration.calibrate import calibrate
    from napari_noise2score.noise.estimate.blind import estimate_noise
    from napari_noise2score.noise.families import (
        Bernoulli,
        Exponential,
        Gamma,
        Gaussian,
        Poisson,
        PoissonGaussian,
        Tweedie,
    )
    from napari_noise2score.noise.local_score import Correction
    from napari_noise2score.noise.request import NoiseRequest
    from napari_noise2score.pipeline.api import denoise, prepare, score_image, train_score
    from napari_noise2score.pipeline.correct import correct_image
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings

    __version__: str

# These are read when PyTorch is loaded.
# On Apple GPUs an operation that is missing is computed on the CPU.
os.environ.setdefault('PYTORCH_ENABLE_MPS_FALLBACK', '1')
# Threads that wait for others sleep after a tenth of the usual time: where a core is busy with
# something else, waiting threads would keep those from running that they wait for.
os.environ.setdefault('GOMP_SPINCOUNT', '30000')
# Tensors of 2 MB and more are in large pages of memory, where Linux has them. Those of a large
# image are new memory each time, and thousands of small pages take half as long as the network.
os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')

__all__ = [
    'Bernoulli',
    'CheckpointError',
    'Correction',
    'DenoiseSettings',
    'Exponential',
    'Gamma',
    'Gaussian',
    'ImageSource',
    'InputError',
    'NetworkSettings',
    'NoiseRequest',
    'Poisson',
    'PoissonGaussian',
    'ScoreModel',
    'TrainSettings',
    'TrainingError',
    'Tweedie',
    '__version__',
    'calibrate',
    'correct_image',
    'denoise',
    'estimate_noise',
    'export_bioimageio',
    'list_scenes',
    'prepare',
    'read_image',
    'score_image',
    'train_score',
    'write_image',
]

_HOME = {
    'Bernoulli': 'noise.families',
    'CheckpointError': 'errors',
    'Correction': 'noise.local_score',
    'DenoiseSettings': 'settings',
    'Exponential': 'noise.families',
    'Gamma': 'noise.families',
    'Gaussian': 'noise.families',
    'ImageSource': 'images.source',
    'InputError': 'errors',
    'NetworkSettings': 'settings',
    'NoiseRequest': 'noise.request',
    'Poisson': 'noise.families',
    'PoissonGaussian': 'noise.families',
    'ScoreModel': 'score.model',
    'TrainSettings': 'settings',
    'TrainingError': 'errors',
    'Tweedie': 'noise.families',
    'calibrate': 'noise.calibration.calibrate',
    'correct_image': 'pipeline.correct',
    'denoise': 'pipeline.api',
    'estimate_noise': 'noise.estimate.blind',
    'export_bioimageio': 'analysis.bioimageio',
    'list_scenes': 'images.formats',
    'prepare': 'pipeline.api',
    'read_image': 'images.formats',
    'score_image': 'pipeline.api',
    'train_score': 'pipeline.api',
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
