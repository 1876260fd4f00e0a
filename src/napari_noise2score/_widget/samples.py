"""Sample data of napari's File menu: noisy synthetic images and their ground truth."""

from __future__ import annotations

from typing import Any

from napari_noise2score.images.samples import Sample, make_sample

LayerData = tuple[Any, dict[str, Any], str]


def confocal() -> list[LayerData]:
    """Confocal microscope, 8 bits: the ground truth and four noisy frames of one field."""
    return _layers('confocal', 'green')


def low_light() -> list[LayerData]:
    """Movie at one to three photons with events at known places, and its ground truth."""
    return _layers('low-light', 'gray')


def z_stack() -> list[LayerData]:
    """Slices through nuclei and filaments, and their ground truth."""
    return _layers('z-stack', 'green')


def wide_field() -> list[LayerData]:
    """Camera with correlated noise: the ground truth and four noisy frames of one field."""
    return _layers('wide-field', 'bop blue')


def speckle() -> list[LayerData]:
    """Speckle of four looks: the ground truth and four noisy frames of one field."""
    return _layers('speckle', 'gray')


def filaments() -> list[LayerData]:
    """Filaments at 30 photons: the ground truth and four noisy frames."""
    return _layers('filaments', 'green')


def nuclei() -> list[LayerData]:
    """Nuclei at 30 photons: the ground truth and four noisy frames."""
    return _layers('nuclei', 'bop blue')


def puncta() -> list[LayerData]:
    """Puncta at 30 photons: the ground truth and four noisy frames."""
    return _layers('puncta', 'magenta')


def _layers(name: str, colormap: str) -> list[LayerData]:
    sample = make_sample(name)
    shared: dict[str, Any] = {
        'colormap': colormap,
        'contrast_limits': (float(sample.truth.min()), float(sample.truth.max())),
        'metadata': {'noise2score_sample': sample.to_dict()},
    }
    truth, axes = (sample.truth[0], 'YX') if sample.still else (sample.truth, sample.axes)
    # napari puts the last layer on top and selects it: the noisy one
    return [
        (truth, {**shared, 'name': f'{name} (ground truth)', **_sizes(sample, axes)}, 'image'),
        (
            sample.noisy,
            {**shared, 'name': f'{name} (noisy)', **_sizes(sample, sample.axes)},
            'image',
        ),
    ]


def _sizes(sample: Sample, axes: str) -> dict[str, Any]:
    """Labels, scale and units of axes, as napari names them."""
    spacing = [sample.spacing[axis] for axis in axes]
    return {
        'axis_labels': tuple(axes.lower()),
        'scale': tuple(size for size, _ in spacing),
        'units': tuple(unit.replace('µ', 'u') for _, unit in spacing),
    }
