"""Wrong uses of the panel: each gets a clear message, nothing is lost, the next run works."""

from __future__ import annotations

import errno
import gc
import os
from weakref import ref

import numpy as np
import pytest

from napari_noise2score._widget.layers import METADATA, unwrapped
from napari_noise2score._widget.views.region_box import PART, WHOLE
from napari_noise2score.images import storage
from napari_noise2score.noise.local_score import Correction
from tests.napari.helpers import noisy_stack

IMAGES = {
    'constant': (lambda: np.full((3, 64, 64), 7, np.uint16), 'no noise'),
    'NaN': (lambda: np.full((3, 64, 64), np.nan), 'the image is NaN or infinite'),
    'one pixel': (lambda: np.full((1, 1), 3.0), r'the image is constant (3)'),
    'a few pixels': (lambda: np.random.default_rng(0).random((5, 5)), 'at least'),
}


def settings_of(panel):
    return panel.settings()


@pytest.fixture
def ready(open_panel, idle):
    """A viewer with the panel, and a check that a good layer is denoised after all."""
    viewer, panel = open_panel()
    panel.form.seconds.value = 0

    def works():
        good = unwrapped(viewer.add_image(noisy_stack(seed=9), name='good'))
        panel.layers.tick([good])
        before = len(viewer.layers)
        panel.train.native.click()
        idle(panel)
        assert 'Error' not in panel.messages.text()
        assert len(viewer.layers) == before + 1

    return viewer, panel, works


@pytest.mark.parametrize('kind', IMAGES)
def test_images_that_cannot_be_denoised(ready, idle, kind):
    make, words = IMAGES[kind]
    viewer, panel, works = ready
    data = make()
    layer = unwrapped(viewer.add_image(data.copy(), name=kind, rgb=False, contrast_limits=(0, 1)))
    panel.layers.tick([layer])
    asked = settings_of(panel)
    panel.train.native.click()
    idle(panel)
    assert words in panel.messages.text(), panel.messages.text()
    assert 'Error' in panel.messages.text()
    np.testing.assert_array_equal(layer.data, data)
    assert settings_of(panel) == asked
    assert panel.layers.layers() == [layer]
    works()


def test_axes_that_do_not_fit(ready):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(), name='cells'))
    for axes in ('YX', 'QYX', 'TTX', 'TCZYX', '', 'TZC'):
        panel.layers.axes_of(layer).setCurrentText(axes)
        panel.footer.begin_request()
        panel.train.native.click()
        assert 'axes' in panel.messages.text(), axes
        assert panel.status.text() == 'Not done; see below.'
        assert panel.controller.run.idle
        assert panel.layers.axes_of(layer).currentText() == axes
    works()


def test_no_layer_and_a_labels_layer(ready):
    viewer, panel, works = ready
    assert not panel.train.enabled
    viewer.add_labels(np.ones((32, 32), int))
    assert not panel.train.enabled
    panel._train()
    assert 'tick at least one Image layer' in panel.messages.text()
    works()


def test_noise_numbers_that_make_no_sense(ready):
    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    for family, name, text, words in (
        ('gaussian', 'sigma', 'five', "'five'"),
        ('gaussian', 'sigma', '-3', 'greater than 0'),
        ('poisson', 'gain', '0', 'greater than 0'),
        ('poisson-gaussian', 'read_noise', 'nan', 'finite'),
    ):
        panel.noise.family.value = family
        panel.noise.fields[family, name].value = text
        panel.footer.begin_request()
        panel.train.native.click()
        assert words in panel.messages.text(), text
        assert panel.noise.fields[family, name].value == text
    panel.noise.family.value = 'auto'
    works()


def test_a_noise_family_that_the_values_contradict(ready, idle):
    viewer, panel, works = ready
    viewer.add_image(noisy_stack().astype(float) - 150, name='cells')
    panel.noise.family.value = 'gamma'
    panel.train.native.click()
    idle(panel)
    assert 'Error' in panel.messages.text()
    assert 'Gamma' in panel.messages.text()
    panel.noise.family.value = 'auto'
    works()


def test_slices_of_what_has_none(ready, idle):
    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.context.value = 'depth'
    panel.train.native.click()
    idle(panel)
    assert 'two slices along Z' in panel.messages.text()
    panel.form.context.value = 'auto'
    works()


def test_a_region_too_small_to_learn_from(ready, idle):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(), name='cells'))
    shapes = viewer.add_shapes([[[2, 2], [2, 5], [5, 5], [5, 2]]])
    panel.layers.tick([layer])
    panel.region.where.value = unwrapped(shapes)
    panel.train.native.click()
    idle(panel)
    assert 'Error' in panel.messages.text()
    assert 'at least' in panel.messages.text()
    panel.region.where.value = None
    works()


def test_a_layer_that_is_deleted_in_training(ready, idle, running):
    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.seconds.value = 2
    panel.train.native.click()
    running(panel)
    viewer.layers.remove('cells')
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert [layer.name for layer in viewer.layers][-1].startswith('cells denoised')
    panel.form.seconds.value = 0
    works()


def test_a_layer_that_is_edited_in_training(ready, idle, running):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(), name='cells'))
    panel.form.seconds.value = 2
    panel.train.native.click()
    running(panel)
    layer.data[:, :10] = 0
    idle(panel)
    assert 'changed during the training' in panel.messages.text()
    assert 'changed during' in ' '.join(unwrapped(viewer.layers[1]).metadata[METADATA]['warnings'])
    panel.form.seconds.value = 0
    works()


def test_a_layer_that_gets_another_shape_after_its_training(ready, idle):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(2), name='cells'))
    panel.train.native.click()
    idle(panel)
    layer.data = noisy_stack(3, 64)
    panel.form.correction.value = Correction.CHAINED
    panel.correct.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert unwrapped(viewer.layers[1]).data.shape == (3, 64, 64)
    works()


def test_a_second_run_is_refused_and_the_first_goes_on(ready, idle, running):
    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.seconds.value = 2
    panel.train.native.click()
    running(panel)
    panel._train()
    panel._estimate()
    assert panel.messages.text().count('One run at a time') >= 1
    assert panel.controller.run.job == 'training'
    idle(panel)
    assert len(viewer.layers) == 2
    panel.form.seconds.value = 0
    works()


def test_no_space_for_a_large_result(ready, idle, monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    with monkeypatch.context() as patch:
        patch.setattr(storage, 'IN_MEMORY', 100)
        patch.setattr(os, 'posix_fallocate', full, raising=False)
        panel.train.native.click()
        idle(panel)
    assert 'choose a region or fewer frames' in panel.messages.text()
    assert panel.correct.enabled  # the score is kept
    works()


def test_a_gpu_that_is_not_there(ready, idle):
    import torch

    absent = 'mps' if torch.cuda.is_available() else 'cuda'
    viewer, panel, works = ready
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.device.value = absent
    panel.train.native.click()
    idle(panel)
    assert absent in panel.messages.text().lower()
    assert 'Error' in panel.messages.text()
    panel.form.device.value = 'auto'
    works()


@pytest.mark.parametrize('region', [False, True])
def test_a_result_of_data_that_a_layer_no_longer_has(ready, idle, region):
    """It is no result of the layer any more, and stands in the way of nothing."""
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(4), name='cells'))
    if region:
        panel.region.frames.value = '2-3'
        panel.region.clean.value = PART
    panel.train.native.click()
    idle(panel)
    old = unwrapped(viewer.layers[1])
    assert [pair.result for pair in panel.results.pairs([layer])] == [old]
    panel.region.frames.value, panel.region.clean.value = '', WHOLE
    for data in (noisy_stack(3, 48), noisy_stack(1)[0]):
        layer.data = data
        assert panel.results.pairs([layer]) == []
        assert not panel.compare.split.enabled
        panel.layers.tick([layer])
        panel.train.native.click()
        idle(panel)
        assert 'Error' not in panel.messages.text()
        (pair,) = panel.results.pairs([layer])
        assert pair.result.data.shape == data.shape
        assert not old.visible
        viewer.layers.remove(pair.result)
    works()


def test_a_plane_of_other_data_is_not_shown(ready, idle):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(2), name='cells'))
    (target,) = panel.layers.targets()
    clean = np.zeros((64, 64), np.float32)
    index = (0, slice(0, 64), slice(0, 64))
    panel.results.show_plane(target, index, clean)
    assert [one.name for one in viewer.layers] == ['cells', 'cells preview']
    layer.data = noisy_stack(2, 48)
    panel.results.show_plane(target, index, clean)
    (target,) = panel.layers.targets()
    panel.results.show_plane(target, (1, slice(0, 48), slice(0, 48)), clean[:48, :48])
    (preview,) = (one for one in viewer.layers if one.name == 'cells preview')
    assert preview.data.shape == (2, 48, 48)
    assert not np.asarray(preview.data[1]).any()
    works()


def test_nothing_holds_a_layer_that_was_removed(ready, idle):
    viewer, panel, works = ready
    layer = unwrapped(viewer.add_image(noisy_stack(2), name='cells'))
    panel.noise.estimate.native.click()
    idle(panel)
    panel.train.native.click()
    idle(panel)
    known = ref(panel.controller.store.score_of(layer).score_map.clean[0])
    viewer.layers.clear()
    del layer
    gc.collect()
    assert known() is None
    works()
