"""Layers of which a part holds no noise: that part is handed through, and said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noise2score._widget.layers import METADATA, unwrapped
from tests.napari.helpers import noisy_stack


@pytest.fixture
def ready(open_panel, idle):
    """A viewer with the panel, which trains nothing, and what waits for its result."""
    viewer, panel = open_panel()
    panel.form.seconds.value = 0

    def denoise(*layers):
        panel.layers.tick(list(layers))
        panel.train.native.click()
        idle(panel)
        assert 'Error' not in panel.messages.text()

    return viewer, panel, denoise


def test_an_empty_channel_comes_back_as_it_was(ready):
    viewer, panel, denoise = ready
    data = np.stack([noisy_stack(), np.zeros((2, 64, 64), np.uint16), noisy_stack(seed=3)])
    layer = unwrapped(viewer.add_image(data, name='cells', axis_labels=('C', 'T', 'Y', 'X')))
    denoise(layer)
    result = viewer.layers[1]
    assert not result.data[1].any()
    assert result.data[0].std() < data[0].std()
    assert 'cells: C 1 is constant (0) and is returned as it is.' in panel.messages.text()
    noise = [channel['noise'] for channel in result.metadata[METADATA]['channels']]
    assert [record is None for record in noise] == [False, True, False]


def test_what_was_removed_of_an_empty_channel_is_nothing(ready, idle):
    viewer, panel, denoise = ready
    data = np.stack([noisy_stack(), np.full((2, 64, 64), 9, np.uint16)])
    layer = unwrapped(viewer.add_image(data, name='cells', axis_labels=('C', 'T', 'Y', 'X')))
    denoise(layer)
    panel.compare.residual.native.click()
    idle(panel)
    removed = next(one for one in viewer.layers if 'removed noise' in one.name).data
    assert not removed[1].any()
    assert removed[0].std() == pytest.approx(0.95, abs=0.1)


def test_the_estimate_names_a_constant_channel(ready, idle):
    viewer, panel, _ = ready
    data = np.stack([np.full((2, 64, 64), 7, np.uint16), noisy_stack()])
    layer = unwrapped(viewer.add_image(data, name='cells', axis_labels=('C', 'T', 'Y', 'X')))
    panel.layers.tick([layer])
    panel.noise.estimate.native.click()
    idle(panel)
    assert 'cells (C 1) - Poisson-Gaussian: gain' in panel.noise.words.text()
    assert 'cells: C 0 is constant (7) and is returned as it is.' in panel.messages.text()


def test_a_constant_layer_does_not_keep_the_others(ready):
    viewer, panel, denoise = ready
    empty = unwrapped(viewer.add_image(np.zeros((2, 64, 64), np.uint16), name='empty'))
    cells = unwrapped(viewer.add_image(noisy_stack(), name='cells'))
    denoise(empty, cells)
    by_name = {layer.name: layer for layer in viewer.layers}
    assert not by_name['empty (constant, unchanged)'].data.any()
    assert any(name.startswith('cells denoised') for name in by_name)
    assert 'empty: The image is constant (0) and is returned as it is.' in panel.messages.text()


def test_a_layer_of_truth_values_and_one_far_from_zero(ready):
    viewer, panel, denoise = ready
    far = unwrapped(viewer.add_image(noisy_stack().astype(np.uint32) + 2**31, name='far'))
    denoise(far)
    result = viewer.layers[1]
    assert result.data.dtype == np.float64
    assert (result.data - 2.0**31).std() < noisy_stack().std()
    fields = panel.noise.fields
    assert float(fields['poisson-gaussian', 'offset'].value) == pytest.approx(2**31 + 20, abs=15)
    bits = noisy_stack() > np.random.default_rng(0).normal(140, 60, (2, 64, 64))
    layer = unwrapped(viewer.add_image(bits.astype(bool), name='bits'))
    panel.noise.family.value = 'bernoulli'
    denoise(layer)
    assert 0 < viewer.layers['bits denoised (Bernoulli, stabilised)'].data.mean() < 1
