"""What is steered after a training: noise, form, numbers, comparison. In a real viewer."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from napari_noise2score._widget.layers import METADATA, unwrapped
from napari_noise2score._widget.layers.live_view import view_of
from napari_noise2score._widget.views.report_pages import ask_pages
from napari_noise2score.images.source import ImageSource
from tests.napari.helpers import noisy_stack


@pytest.fixture
def denoised(open_panel, idle):
    """A viewer with a stack and its result."""
    viewer, panel = open_panel()
    source = unwrapped(viewer.add_image(noisy_stack(3), name='cells'))
    panel.form.seconds.value = 0
    panel.train.native.click()
    idle(panel)
    return viewer, panel, source, unwrapped(viewer.layers[1])


def preview_of(viewer):
    return next((unwrapped(a) for a in viewer.layers if a.name == 'cells preview'), None)


def test_another_noise_changes_the_slice_in_sight_and_correct_the_layer(denoised, qtbot, idle):
    viewer, panel, source, result = denoised
    viewer.dims.set_current_step(0, 1)
    before = source.data.copy()
    panel.noise.family.value = 'gaussian'
    began = time.perf_counter()
    panel.noise.fields['gaussian', 'sigma'].value = '40'
    panel.noise.edited.emit()
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=10_000)
    preview = preview_of(viewer)

    def differs(frame):
        return not np.array_equal(np.asarray(preview.data[frame]), result.data[frame])

    qtbot.waitUntil(lambda: differs(1), timeout=10_000)
    assert time.perf_counter() - began < 10
    assert not differs(0)
    assert not differs(2)
    strong = np.asarray(preview.data[1])

    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: differs(2), timeout=10_000)
    panel.correct.native.click()
    idle(panel)
    assert preview_of(viewer) is None
    again = unwrapped(viewer.layers[2])
    assert again.metadata[METADATA]['channels'][0]['noise'] == {'family': 'gaussian', 'sigma': 40}
    np.testing.assert_allclose(again.data[1], strong, atol=1e-3)
    np.testing.assert_array_equal(source.data, before)


def test_another_context_needs_no_training(open_panel, idle):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(8), name='cells', axis_labels=('t', 'y', 'x'))
    panel.form.seconds.value = 0
    panel.form.context.value = 'time'
    panel.train.native.click()
    idle(panel)
    result = unwrapped(viewer.layers[1])
    assert result.metadata[METADATA]['channels'][0]['context']['axis'] == 'T'
    panel.form.context.value = 'none'
    panel.correct.native.click()
    idle(panel)
    alone = unwrapped(viewer.layers[1])  # above its source
    report = alone.metadata[METADATA]
    assert report['channels'][0]['context'] is None
    assert report['settings']['context'] == 'none'
    assert alone.name.endswith(', context none)')
    assert np.abs(alone.data - result.data).max() > 1
    panel.form.context.value = 'time'
    panel.correct.native.click()
    idle(panel)
    np.testing.assert_allclose(unwrapped(viewer.layers[1]).data, result.data, atol=1e-3)


def test_a_context_that_a_layer_does_not_have_is_an_error(denoised, idle):
    viewer, panel, _, _ = denoised
    panel.form.context.value = 'depth'
    panel.correct.native.click()
    idle(panel)
    assert 'depth' in panel.messages.text()
    assert len(viewer.layers) == 2


def test_half_typed_numbers_change_nothing(denoised, qtbot):
    viewer, panel, _, _ = denoised
    panel.noise.family.value = 'gaussian'
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=10_000)
    qtbot.wait(500)
    preview = preview_of(viewer)
    still = np.asarray(preview.data)
    for text in ('-', '1e', '-3'):
        panel.noise.fields['gaussian', 'sigma'].value = text
        panel.noise.edited.emit()
        qtbot.wait(300)
        np.testing.assert_array_equal(np.asarray(preview.data), still)
    assert 'Error' not in panel.messages.text()
    assert panel.controller.run.idle


def test_a_run_ends_a_glance(denoised, qtbot, idle):
    viewer, panel, _, _ = denoised
    panel.form.correction.value = 'paper'
    qtbot.wait(160)
    panel.train.native.click()
    assert panel.controller.run.job == 'training'
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert preview_of(viewer) is None


def test_the_result_may_have_the_numbers_of_the_layer(denoised, idle):
    viewer, panel, _, result = denoised
    panel.form.output.value = 'source'
    panel.correct.native.click()
    idle(panel)
    whole = unwrapped(viewer.layers[1])
    assert whole.data.dtype == np.uint16
    assert whole.metadata[METADATA]['dtype'] == 'uint16'
    np.testing.assert_array_equal(whole.data, np.clip(np.rint(result.data), 0, 65535))


def test_toggle_split_and_removed_noise(denoised, qtbot, idle):
    viewer, panel, source, result = denoised
    panel.compare.toggle.native.click()
    assert (source.visible, result.visible) == (True, False)
    panel.compare.toggle.native.click()
    assert (source.visible, result.visible) == (False, True)

    result.contrast_limits = 10, 200
    panel.compare.split.native.click()
    split = next(unwrapped(a) for a in viewer.layers if a.name == 'cells noisy | clean')
    assert split.contrast_limits == [10, 200]
    assert not panel.compare.slider.isHidden()
    panel.compare.slider.setValue(250)
    shown = np.asarray(split.data)
    border = source.data.shape[-1] // 4
    np.testing.assert_array_equal(shown[..., :border], source.data[..., :border])
    np.testing.assert_array_equal(shown[..., border:], result.data[..., border:])
    panel.compare.split.native.click()
    assert split not in viewer.layers
    assert viewer.layers.selection.active.name.startswith('cells denoised')
    panel.compare.split.native.click()
    viewer.layers.remove(viewer.layers['cells noisy | clean'])
    assert not panel.compare.split.native.isChecked()

    panel.compare.residual.native.click()
    idle(panel)
    removed = unwrapped(viewer.layers['cells removed noise'])
    assert removed.data.std() == pytest.approx(1, abs=0.2)
    assert abs(removed.data.mean()) < 0.1


def test_without_a_result_there_is_nothing_to_compare(denoised):
    viewer, panel, _, result = denoised
    box = panel.compare
    assert box.toggle.enabled
    viewer.layers.remove(result)
    buttons = box.toggle, box.split, box.residual, box.change
    assert not any(button.enabled for button in buttons)


def test_each_channel_may_have_a_score_of_its_own(open_panel, idle, qtbot):
    viewer, panel = open_panel()
    data = np.stack([noisy_stack(2, seed=seed) for seed in (0, 1)])
    viewer.add_image(data, name='cells', axis_labels=('c', 't', 'y', 'x'))
    panel.form.model_per.value = 'channel'
    panel.form.seconds.value = 1
    panel.train.native.click()
    qtbot.waitUntil(lambda: 'Training 2 of 2' in panel.status.text(), timeout=60_000)
    idle(panel)
    result = unwrapped(viewer.layers[1])
    assert result.data.shape == data.shape
    report = result.metadata[METADATA]
    assert report['scores'] == 2
    assert '2 models were trained' in panel.messages.text()
    panel.correct.native.click()
    idle(panel)
    again = unwrapped(viewer.layers[1])
    np.testing.assert_array_equal(again.data, result.data)
    panel.compare.change.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()


def test_the_newest_is_what_is_seen(denoised, idle):
    viewer, panel, _, first = denoised
    panel.compare.residual.native.click()
    idle(panel)
    panel.compare.split.native.click()
    assert viewer.layers[-1].name == 'cells noisy | clean'
    panel.compare.split.native.click()
    panel.correct.native.click()
    idle(panel)
    second = unwrapped(viewer.layers[1])
    assert (first.visible, second.visible) == (False, True)


def test_a_report_is_written_and_opened(denoised, idle, monkeypatch, tmp_path):
    _, panel, _, result = denoised
    page, opened = tmp_path / 'r.html', []
    views = 'napari_noise2score._widget.views.report_pages'
    monkeypatch.setattr(f'{views}.ask_save', lambda *asked: page)
    monkeypatch.setattr(
        f'{views}.QDesktopServices.openUrl', lambda url: opened.append(url.toLocalFile())
    )
    assert panel.compare.report.enabled
    panel.compare.report.native.click()
    idle(panel)
    assert opened == [str(page)]
    assert 'Is it blurred?' in page.read_text(encoding='utf-8')
    values = json.loads(page.with_suffix('.json').read_text())
    assert values['recipe']['crc32'] == result.metadata[METADATA]['crc32']
    assert 'The report was written.' in panel.status.text()
    assert str(page) in panel.messages.text()


def test_what_was_said_of_a_result_stays_until_there_is_another(denoised, idle, qtbot):
    _, panel, *_ = denoised
    panel.controller.events.notes_reported.emit(('cells: the gain is unsteady',))
    said = panel.messages.text().splitlines()
    assert said[-1] == 'Note: cells: the gain is unsteady'
    panel.copy.native.click()
    assert set(said) < set(panel.messages.text().splitlines())
    panel.compare.residual.native.click()
    idle(panel)
    assert panel.messages.text().splitlines() == said  # the copied command was another request
    panel.footer.show_error('wrong')
    panel.correct.native.click()
    idle(panel)
    assert 'wrong' not in panel.messages.text()
    assert 'unsteady' not in panel.messages.text()


def test_a_report_that_is_cancelled_or_cannot_be_written(denoised, idle, monkeypatch, tmp_path):
    _, panel, _, result = denoised
    views = 'napari_noise2score._widget.views.report_pages'
    monkeypatch.setattr(f'{views}.ask_save', lambda *asked: None)
    panel.compare.report.native.click()
    assert panel.controller.run.idle
    monkeypatch.setattr(f'{views}.ask_save', lambda *asked: tmp_path / 'none' / 'r.html')
    panel.compare.report.native.click()
    idle(panel)
    assert 'r.html' in panel.messages.text()
    assert result.metadata[METADATA]


def test_pages_of_layers_with_one_name_are_two_files(monkeypatch, tmp_path):
    views = 'napari_noise2score._widget.views.report_pages'
    monkeypatch.setattr(f'{views}.ask_folder', lambda *asked: tmp_path)
    pages = ask_pages(None, ['a b', 'a/b', 'c'])
    assert [page.name for page in pages] == ['a_b.html', 'a_b-2.html', 'c.html']
    names = [page.name for page in ask_pages(None, ['a b', 'a_b', 'a_b-2', 'Cell', 'cell'])]
    assert len({name.lower() for name in names}) == 5


def test_what_training_changed_needs_a_result_of_these_values(denoised, idle, monkeypatch):
    """The values are compared beside the viewer: they may be on a slow disk."""
    _, panel, source, _ = denoised
    threads, checksum = set(), ImageSource.checksum

    def of_thread(image):
        threads.add(threading.current_thread())
        return checksum(image)

    monkeypatch.setattr(ImageSource, 'checksum', of_thread)
    source.data = noisy_stack(3, seed=4)
    panel.controller.show_change(panel.layers.targets())
    idle(panel)
    assert 'no up-to-date result; press Train first' in panel.messages.text()
    assert threads
    assert threading.main_thread() not in threads


def test_a_result_is_placed_as_its_layer_is_when_it_comes(denoised, qtbot, idle):
    viewer, panel, source, _ = denoised
    panel.noise.family.value = 'gaussian'
    panel.noise.fields['gaussian', 'sigma'].value = '40'
    panel.noise.edited.emit()
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=10_000)
    source.scale, source.translate = (1, 0.5, 0.5), (0, 7, 3)
    panel.correct.native.click()
    idle(panel)
    result = unwrapped(viewer.layers[2])
    np.testing.assert_array_equal(result.scale, source.scale)
    np.testing.assert_array_equal(result.translate, source.translate)


def test_the_slice_in_sight_with_layers_of_different_units(open_panel):
    viewer, panel = open_panel()
    placed = {'scale': (0.5, 0.1, 0.1), 'units': ('um', 'um', 'um')}
    layer = unwrapped(viewer.add_image(noisy_stack(5), name='cells', **placed))
    viewer.add_image(noisy_stack(5), name='other', scale=(500, 100, 100), units=('nm',) * 3)
    viewer.dims.set_current_step(0, 3)
    (target,) = (one for one in panel.layers.targets() if one.layer is layer)
    assert list(view_of(viewer, target).place.values()) == [3]
