"""Every kind of layer that napari holds goes through the panel and keeps what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_noise2score._widget.layers import unwrapped
from tests.napari.helpers import noisy_stack

SIDES = {'T': 3, 'C': 2, 'Z': 2, 'Y': 40, 'X': 48, 'S': 3}
UNITS = {'T': 's', 'C': 'pixel', 'Z': 'um', 'Y': 'um', 'X': 'um'}


class Sliced:
    """An array of which parts only can be had, as of zarr."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self.shape, self.dtype = data, data.shape, data.dtype
        self.ndim = data.ndim

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._data[index]


def noisy(axes: str, dtype: Any = np.uint16) -> np.ndarray:
    """A noisy image with those axes."""
    planes = noisy_stack(36, 48)[:, :40]
    shape = tuple(SIDES[letter] for letter in axes)
    count = int(np.prod([SIDES[letter] for letter in axes if letter not in 'YX'], dtype=int))
    upright = [letter for letter in axes if letter not in 'YX']
    data = planes[:count].reshape([SIDES[letter] for letter in upright] + [40, 48])
    order = [(*upright, 'Y', 'X').index(letter) for letter in axes]
    data = data.transpose(order)
    assert data.shape == shape
    if np.dtype(dtype) == np.uint8:
        data = np.clip(data // 2, 0, 255)
    return np.ascontiguousarray(data.astype(dtype))


def clean(
    panel: Any, idle: Callable[[Any], None], layer: Any, output: str, again: bool = False
) -> Any:
    """The result of one run, or of ``again`` a correction after it."""
    panel.layers.tick([layer])
    panel.form.seconds.value = 0
    panel.form.output.value = output
    (panel.correct if again else panel.train).native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text(), panel.messages.text()
    viewer = panel._viewer
    at = [unwrapped(other) for other in viewer.layers].index(layer)
    return unwrapped(viewer.layers[at + 1])


@pytest.mark.parametrize(
    'axes',
    ['YX', 'XY', 'TYX', 'ZYX', 'CYX', 'TZYX', 'TCYX', 'CZYX', 'ZCYX', 'TCZYX', 'YXS', 'TYXS'],
)
def test_every_combination_of_axes(open_panel, idle, axes):
    viewer, panel = open_panel()
    data = noisy(axes)
    spatial = axes.removesuffix('S')
    look = {
        'scale': [0.1 * (i + 1) for i in range(len(spatial))],
        'translate': [i - 2.5 for i in range(len(spatial))],
        'units': [UNITS[letter] for letter in spatial],
        'axis_labels': [letter.lower() for letter in spatial],
    }
    rgb = axes.endswith('S')
    layer = unwrapped(viewer.add_image(data.copy(), name='cells', rgb=rgb, **look))
    assert panel.layers.axes_of(layer).currentText() == axes
    for output in ('float32', 'source'):
        result = clean(panel, idle, layer, output, again=output == 'source')
        as_source = rgb or output == 'source'
        assert result.data.dtype == (data.dtype if as_source else np.float32)
        assert result.data.shape == data.shape
        assert result.rgb == rgb
        np.testing.assert_allclose(result.extent.world, layer.extent.world)
        assert result.units == layer.units
        assert result.axis_labels == layer.axis_labels
        noise = np.std(np.diff(data.astype(float), axis=axes.index('X')))
        assert np.std(np.diff(result.data.astype(float), axis=axes.index('X'))) < 0.7 * noise
        assert abs(result.data.mean() - data.mean()) < 3
    np.testing.assert_array_equal(layer.data, data)


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint32, np.float32, np.float64])
def test_every_dtype(open_panel, idle, dtype):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(noisy('TYX', dtype), name='cells'))
    assert clean(panel, idle, layer, 'source').data.dtype == dtype


@pytest.mark.parametrize('kind', ['dask', 'sliced', 'multiscale', 'read-only'])
def test_arrays_of_other_kinds(open_panel, idle, kind):
    viewer, panel = open_panel()
    data = noisy('TYX')
    given: Any = data
    if kind == 'dask':
        given = da.from_array(data, chunks=(1, 20, 48))
    elif kind == 'sliced':
        given = Sliced(data)
    elif kind == 'multiscale':
        given = [data, data[:, ::2, ::2]]
    else:
        data.flags.writeable = False
    layer = unwrapped(
        viewer.add_image(given, name='cells', multiscale=kind == 'multiscale', scale=(1, 2, 2))
    )
    result = clean(panel, idle, layer, 'float32')
    plain = unwrapped(viewer.add_image(data.copy(), name='plain', scale=(1, 2, 2)))
    np.testing.assert_array_equal(result.data, clean(panel, idle, plain, 'float32').data)
    assert isinstance(result.data, np.ndarray)
    np.testing.assert_allclose(result.extent.world, plain.extent.world)
