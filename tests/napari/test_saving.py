"""Results that are saved as OME-Zarr while they are computed, and shown from there."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import yaozarrs
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_noise2score._widget.control.saving import destinations
from napari_noise2score._widget.layers import METADATA
from napari_noise2score._widget.views import save_field
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import read_ome_zarr, record_of
from tests.napari.helpers import noisy_stack


@pytest.fixture
def panel_with(open_panel):
    """Opens the panel with layers, ready for results without training."""

    def open_it(**layers):
        viewer, panel = open_panel()
        for name, data in layers.items():
            viewer.add_image(
                data,
                name=name,
                scale=(2.0, 0.25, 0.5)[-data.ndim :],
                translate=(0, 3, 4)[-data.ndim :],
                units=('s', 'um', 'um')[-data.ndim :],
                colormap='green',
                contrast_limits=(30, 900),
            )
        panel.form.seconds.value = 0
        panel.layers.tick(list(viewer.layers))
        return viewer, panel

    return open_it


def press(panel, button, idle):
    getattr(panel, button).native.click()
    idle(panel)


def test_a_result_is_saved_and_shown_from_its_file(panel_with, idle, tmp_path):
    data = noisy_stack(frames=1, size=260)
    viewer, panel = panel_with(cells=data)
    press(panel, 'train', idle)
    in_memory = viewer.layers[1]
    panel.save.path.value = str(tmp_path / 'out' / 'clean.ome.zarr')
    press(panel, 'train', idle)
    path = tmp_path / 'out' / 'clean.ome.zarr'
    yaozarrs.validate_zarr_store(path)
    assert [file.name for file in path.parent.iterdir()] == ['clean.ome.zarr']
    saved = viewer.layers[1]
    assert panel.status.text() == 'Done: one layer added.'
    assert saved.multiscale
    assert [type(level) for level in saved.data] == [da.Array] * 2
    assert [level.shape for level in saved.data] == [(1, 260, 260), (1, 130, 130)]
    np.testing.assert_array_equal(saved.data[0].compute(), in_memory.data)
    for name in ('colormap', 'contrast_limits', 'units'):
        assert getattr(saved, name) == getattr(in_memory, name)
    np.testing.assert_allclose(saved.scale, in_memory.scale)
    np.testing.assert_allclose(saved.translate, in_memory.translate)
    assert saved.name.startswith('cells denoised')
    assert not in_memory.visible
    report = saved.metadata[METADATA]
    residuals = [one.metadata[METADATA]['channels'][0]['residual'] for one in (saved, in_memory)]
    assert residuals[0] == residuals[1]
    assert not any('not checked' in words for words in report['warnings'])
    assert record_of(path) == report


def test_the_file_states_what_the_layer_does(panel_with, idle, tmp_path):
    _, panel = panel_with(cells=noisy_stack())
    panel.save.path.value = str(tmp_path)
    press(panel, 'train', idle)
    image = read_ome_zarr(tmp_path / 'cells_denoised.ome.zarr')
    assert image.axes == 'TYX'
    sizes = {letter: (step.size, step.unit) for letter, step in image.acquisition.spacing.items()}
    assert sizes == {'T': (2.0, 's'), 'Y': (0.25, 'µm'), 'X': (0.5, 'µm')}
    (channel,) = image.acquisition.channels
    assert (channel.name, channel.colour) == ('cells', (0, 255, 0))
    assert image.inherited.origin == {'Y': 3.0, 'X': 4.0}
    window = image.inherited.omero['channels'][0]['window']
    assert (window['start'], window['end']) == (30.0, 900.0)


def test_a_region_is_saved_at_its_position(panel_with, idle, tmp_path):
    viewer, panel = panel_with(cells=noisy_stack(size=96))
    corners = np.array([[0, 3 + 8 * 0.25, 4], [0, 3 + 8 * 0.25, 4 + 20], [0, 15, 24], [0, 15, 4]])
    shapes = viewer.add_shapes([corners])
    panel.region.where.value = getattr(shapes, '__wrapped__', shapes)
    panel.region.clean.value = 'part'
    panel.save.path.value = str(tmp_path / 'part.zarr')
    press(panel, 'train', idle)
    result = viewer.layers[1]
    image = read_ome_zarr(tmp_path / 'part.zarr')
    assert result.data[0].shape == image.data.shape == (2, 40, 40)
    assert image.inherited.origin == {'Y': 5.0, 'X': 4.0}
    np.testing.assert_allclose(result.translate, (0, 5, 4))


def test_a_layer_whose_axes_are_in_another_order_keeps_them(open_panel, idle, tmp_path):
    data = noisy_stack().transpose(2, 0, 1)
    viewer, panel = open_panel()
    viewer.add_image(data, name='turned', axis_labels=('x', 't', 'y'), scale=(0.5, 2, 0.25))
    panel.form.seconds.value = 0
    press(panel, 'train', idle)
    panel.save.path.value = str(tmp_path / 'turned.zarr')
    press(panel, 'train', idle)
    saved, expected = viewer.layers[1], viewer.layers[2]
    assert saved.data[0].shape == data.shape
    np.testing.assert_array_equal(saved.data[0].compute(), expected.data)
    assert read_ome_zarr(tmp_path / 'turned.zarr').axes == 'TYX'


def test_colours_are_saved_as_channels_and_shown_as_colours(open_panel, idle, tmp_path):
    data = (np.moveaxis(noisy_stack(frames=3), 0, -1) / 6).clip(0, 255).astype(np.uint8)
    viewer, panel = open_panel()
    viewer.add_image(data, name='colours', rgb=True)
    panel.form.seconds.value = 0
    press(panel, 'train', idle)
    panel.save.path.value = str(tmp_path / 'colours.zarr')
    press(panel, 'train', idle)
    saved, expected = viewer.layers[1], viewer.layers[2]
    assert saved.rgb
    assert saved.data[0].dtype == np.uint8
    np.testing.assert_array_equal(saved.data[0].compute(), expected.data)


def test_it_is_corrected_again_from_its_score(panel_with, idle, tmp_path):
    viewer, panel = panel_with(cells=noisy_stack())
    panel.save.path.value = str(tmp_path / 'first.zarr')
    press(panel, 'train', idle)
    score = panel.controller.store.score_of(panel.layers.layers()[0])
    panel.noise.family.value = 'gaussian'
    panel.noise.fields['gaussian', 'sigma'].value = '20'
    panel.save.path.value = str(tmp_path / 'second.zarr')
    press(panel, 'correct', idle)
    assert panel.controller.store.score_of(panel.layers.layers()[0]) is score
    second, first = (np.asarray(layer.data[0]) for layer in viewer.layers[1:3])
    assert not np.array_equal(first, second)
    panel.save.path.value = ''
    press(panel, 'correct', idle)
    assert len(viewer.layers) == 4
    assert isinstance(viewer.layers[1].data, np.ndarray)
    np.testing.assert_array_equal(viewer.layers[1].data, second)


def test_comparisons_work_with_a_saved_result(panel_with, idle, tmp_path):
    viewer, panel = panel_with(cells=noisy_stack())
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    press(panel, 'train', idle)
    clean = viewer.layers[1].data[0].compute()
    panel.compare.split.native.click()
    split = viewer.layers[2].data[0]
    np.testing.assert_array_equal(split[:, -1], clean[0, :, -1])
    panel.compare.split.native.click()
    press(panel.compare, 'residual', lambda _: idle(panel))
    assert 'removed noise' in viewer.layers[2].name


def test_the_preview_makes_room_for_the_saved_result(panel_with, idle, tmp_path, qtbot):
    viewer, panel = panel_with(cells=noisy_stack())
    panel.form.seconds.value = 1
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    panel.train.native.click()
    qtbot.waitUntil(lambda: any('preview' in one.name for one in viewer.layers), timeout=60_000)
    idle(panel)
    assert [one.name.partition(' ')[2][:8] for one in viewer.layers] == ['', 'denoised']
    assert viewer.layers[1].multiscale


def test_each_of_several_layers_has_its_file(panel_with, idle, tmp_path):
    viewer, panel = panel_with(one=noisy_stack(), two=noisy_stack(seed=1))
    panel.save.path.value = str(tmp_path / 'results')
    press(panel, 'train', idle)
    names = {file.name for file in (tmp_path / 'results').iterdir()}
    assert names == {'one_denoised.ome.zarr', 'two_denoised.ome.zarr'}
    assert sum(layer.multiscale for layer in viewer.layers) == 2


def refused(panel):
    panel.train.native.click()
    assert panel.controller.run.job is None
    return panel.messages.text()


def test_what_exists_is_refused_before_any_work(panel_with, tmp_path):
    _, panel = panel_with(cells=noisy_stack())
    (tmp_path / 'clean.zarr').mkdir()
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    assert 'exists already; an OME-Zarr is not overwritten' in refused(panel)
    panel.save.path.value = str(tmp_path / 'clean.tif')
    assert 'ends in .tif, but results are saved as OME-Zarr' in refused(panel)
    assert 'such as clean.ome.zarr' in panel.messages.text()


def test_the_file_of_a_layer_is_refused(open_panel, tmp_path):
    from napari_noise2score.images.formats import write_image

    path = tmp_path / 'source.zarr'
    write_image(path, noisy_stack(), 'TYX')
    viewer, panel = open_panel()
    viewer.open(path, plugin='napari')
    panel.save.path.value = str(path)
    assert 'is the file of the layer' in refused(panel)
    panel.save.path.value = str(path / 'inside.zarr')
    assert 'lies inside the Zarr store' in refused(panel)


def test_too_little_disk_space_is_told_before_the_work(panel_with, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=2**16))
    _, panel = panel_with(cells=noisy_stack(frames=2, size=64))
    panel.save.path.value = str(tmp_path / 'clean.ome.zarr')
    text = refused(panel)
    assert f'Save to: {tmp_path / "clean.ome.zarr"}: not enough disk space: ' in text
    assert '64 KiB free, but the outputs up to this one need 107 KiB' in text
    assert not list(tmp_path.iterdir())


def test_one_name_for_several_layers_is_refused(panel_with, tmp_path):
    _, panel = panel_with(one=noisy_stack(), two=noisy_stack(seed=1))
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    assert 'is one OME-Zarr, but 2 layers are ticked; give a folder' in refused(panel)


def test_names_that_would_be_the_same_are_refused(panel_with, tmp_path):
    _, panel = panel_with(**{'a/b': noisy_stack(), 'a:b': noisy_stack(seed=1)})
    panel.save.path.value = str(tmp_path)
    assert 'would be the result of both' in refused(panel)


def test_stop_leaves_nothing_of_a_result(panel_with, idle, tmp_path, qtbot, monkeypatch):
    viewer, panel = panel_with(cells=noisy_stack(frames=40, size=128))
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    panel.train.native.click()
    qtbot.waitUntil(lambda: 'saving: ' in panel.status.text(), timeout=60_000)
    panel.stop.native.click()
    idle(panel)
    assert panel.controller.run.reason == 'cancelled'
    assert list(tmp_path.iterdir()) == []
    assert not any('denoised' in layer.name for layer in viewer.layers)


def test_a_full_disk_is_an_error_that_leaves_nothing(panel_with, idle, tmp_path, monkeypatch):
    from napari_noise2score.images.ome_zarr.writer import Writer

    def full(self, window, values):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Writer, 'write', full)
    _, panel = panel_with(cells=noisy_stack())
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    press(panel, 'train', idle)
    assert 'No space left on device' in panel.messages.text()
    assert panel.controller.store.model is not None
    assert list(tmp_path.iterdir()) == []


def test_a_large_layer_is_read_plane_by_plane(open_panel, idle, tmp_path, monkeypatch):
    planes, read = noisy_stack(frames=24, size=64), []
    data = da.from_array(planes, chunks=(1, 64, 64))
    real = da.Array.compute

    def noted(self, *more, **options):
        read.append(self.shape)
        return real(self, *more, **options)

    viewer, panel = open_panel()
    viewer.add_image(data, name='large', contrast_limits=(0, 900))
    panel.form.seconds.value = 0
    panel.form.live.value = False
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    monkeypatch.setattr(da.Array, 'compute', noted)
    press(panel, 'train', idle)
    assert viewer.layers[-1].data[0].shape == data.shape
    assert len(read) > 24
    assert {int(np.prod(shape)) for shape in read} <= {64 * 64, 64, 1}


def test_the_dialog_suggests_a_name_beside_the_file(panel_with, tmp_path, monkeypatch):
    _, panel = panel_with(cells=noisy_stack())
    asked = []

    def choose(parent, title, suggested, kinds):
        asked.append(suggested)
        return tmp_path / 'mine.zarr'

    monkeypatch.setattr(save_field, 'ask_save', choose)
    panel.save.choose.native.click()
    assert asked == [Path.home() / 'cells_denoised.ome.zarr']
    assert panel.save.place == str(tmp_path / 'mine.zarr')


def test_for_several_layers_the_dialog_asks_for_a_folder(panel_with, tmp_path, monkeypatch):
    _, panel = panel_with(one=noisy_stack(), two=noisy_stack())
    monkeypatch.setattr(save_field, 'ask_folder', lambda *question: tmp_path)
    panel.save.choose.native.click()
    assert panel.save.place == str(tmp_path)
    assert isinstance(panel.save.choose.native, QPushButton)


def test_the_copied_command_line_saves_there_too(panel_with, tmp_path):
    _, panel = panel_with(one=noisy_stack(), two=noisy_stack())

    def copied():
        panel.copy.native.click()
        words = shlex.split(QGuiApplication.clipboard().text())
        return words[words.index('--output') + 1]

    panel.save.path.value = str(tmp_path)
    assert copied() == str(tmp_path)
    panel.layers.tick(panel.layers.layers()[:1])
    assert copied() == str(tmp_path / 'two_denoised.ome.zarr')
    panel.save.path.value = str(tmp_path / 'clean.zarr')
    (tmp_path / 'clean.zarr').mkdir()
    assert copied() == str(tmp_path / 'clean.zarr')


def test_names_of_destinations(tmp_path):
    assert destinations(['a b/c', 'd'], str(tmp_path)) == [
        tmp_path / 'a_b_c_denoised.ome.zarr',
        tmp_path / 'd_denoised.ome.zarr',
    ]
    assert destinations(['a'], 's3://bucket/x.zarr') == [Path('s3://bucket/x.zarr')]
    assert destinations(['a'], '~/x.zarr') == [Path.home() / 'x.zarr']
    with pytest.raises(InputError, match='is one OME-Zarr, but 2 layers'):
        destinations(['a', 'b'], 'x.zarr')
