"""Sample data of napari's File menu: noisy synthetic scenes and their ground truth."""

from __future__ import annotations

from typing import Any

from napari_noise2score.images.synthetic import PIXEL_SIZE, synthetic_stack

LayerData = tuple[Any, dict[str, Any], str]


def filaments() -> list[LayerData]:
    """Filaments at 30 photons: the ground truth and four noisy frames."""
    return _layers('filaments', 'green')


def nuclei() -> list[LayerData]:
    """Nuclei at 30 photons: the ground truth and four noisy frames."""
    return _layers('nuclei', 'bop blue')


def puncta() -> list[LayerData]:
    """Puncta at 30 photons: the ground truth and four noisy frames."""
    return _layers('puncta', 'magenta')


def _layers(scene: str, colormap: str) -> list[LayerData]:
    stack = synthetic_stack(scene)
    shared: dict[str, Any] = {
        'colormap': colormap,
        'contrast_limits': (float(stack.truth.min()), float(stack.truth.max())),
        'metadata': {
            'noise2score_sample': {
                'scene': stack.scene,
                'seed': stack.seed,
                'noise': stack.noise.to_dict(),
            }
        },
    }
    # napari puts the last layer on top and selects it: the noisy one
    return [
        (
            stack.truth,
            {
                **shared,
                'name': f'{scene} (ground truth)',
                'axis_labels': ('y', 'x'),
                'scale': (PIXEL_SIZE, PIXEL_SIZE),
                'units': ('um', 'um'),
            },
            'image',
        ),
        (
            stack.noisy,
            {
                **shared,
                'name': f'{scene} (noisy)',
                'axis_labels': ('t', 'y', 'x'),
                'scale': (1.0, PIXEL_SIZE, PIXEL_SIZE),
                'units': ('s', 'um', 'um'),
            },
            'image',
        ),
    ]
