"""Layers in and out, on napari's model without a window."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers import (
    METADATA,
    ResultLayers,
    add_result,
    full_data,
    image_layers,
    likely_axes,
    target_of,
)
from napari_noise2score._widget.layers.live_view import view_of
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region

TRANSFORMS = {
    'none': {},
    'scale and translate': {'scale': (1, 0.2, 0.3), 'translate': (0, 5, -7)},
    'rotate': {'scale': (1, 0.2, 0.3), 'rotate': 30},
    'shear': {'shear': (0.0, 0.0, 0.4)},
    'affine': {
        'scale': (2, 3, 4),
        'translate': (1, 2, 3),
        'affine': np.array([[1, 0, 0, 5], [0, 0.8, -0.6, 1], [0, 0.6, 0.8, 2], [0, 0, 0, 1.0]]),
    },
}
LOOK = {
    'units': ('s', 'um', 'um'),
    'axis_labels': ('t', 'y', 'x'),
    'colormap': 'magma',
    'contrast_limits': (10, 900),
    'gamma': 0.7,
    'blending': 'additive',
    'opacity': 0.6,
    'interpolation2d': 'linear',
    'interpolation3d': 'nearest',
    'projection_mode': 'max',
    'rendering': 'attenuated_mip',
    'iso_threshold': 0.3,
}


def target(layer):
    return target_of(layer, likely_axes(layer))


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_result_has_every_property_of_its_source(transform):
    viewer = ViewerModel()
    data = np.random.default_rng(0).integers(0, 1000, (3, 12, 15)).astype(np.uint16)
    source = viewer.add_image(data, name='cells', **TRANSFORMS[transform], **LOOK)
    viewer.add_image(data, name='other')
    clean = data.astype(np.float32) + 0.5
    before = data.copy()

    result = add_result(viewer, target(source), clean, 'cells denoised', {'seed': 0})

    assert [layer.name for layer in viewer.layers] == ['cells', 'cells denoised', 'other']
    assert result.data.dtype == np.float32
    np.testing.assert_array_equal(result.data, clean)
    np.testing.assert_array_equal(source.data, before)
    assert result.metadata == {METADATA: {'seed': 0}}
    assert source.metadata == {}
    for name in ('scale', 'translate', 'rotate', 'shear'):
        np.testing.assert_allclose(getattr(result, name), getattr(source, name), err_msg=name)
    np.testing.assert_allclose(result.affine.affine_matrix, source.affine.affine_matrix)
    np.testing.assert_allclose(result.extent.world, source.extent.world)
    point = (1.0, 4.0, 7.0)
    np.testing.assert_allclose(result.data_to_world(point), source.data_to_world(point))
    for name in LOOK:
        assert getattr(result, name) == getattr(source, name), name
    assert result.contrast_limits_range == source.contrast_limits_range


@pytest.mark.parametrize('levels', [False, True])
def test_counts_that_are_black_from_0_to_255_have_a_result_that_can_be_seen(levels):
    """napari shows 8-bit data from 0 to 255, and says so of no other type."""
    viewer = ViewerModel()
    counts = np.random.default_rng(0).poisson(0.3, (3, 12, 15)).astype(np.uint8)
    clean = np.linspace(0.1, 0.5, counts.size, dtype=np.float32).reshape(counts.shape)
    if levels:
        source = viewer.add_image([counts, counts[:, ::2, ::2]], multiscale=True)
        result = add_result(viewer, target(source), [clean, clean[:, ::2, ::2]], 'clean', {})
        clean = clean[:, ::2, ::2]
    else:
        source = viewer.add_image(counts)
        result = add_result(viewer, target(source), clean, 'clean', {})
    assert source.contrast_limits == [0, 255]
    limits = [clean.min(), clean.max()]
    np.testing.assert_allclose(result.contrast_limits, limits, rtol=1e-3)
    np.testing.assert_allclose(result.contrast_limits_range, limits, rtol=1e-3)


def test_the_preview_of_black_counts_can_be_seen_and_keeps_limits_that_were_set():
    viewer = ViewerModel()
    counts = np.random.default_rng(0).poisson(0.3, (3, 12, 15)).astype(np.uint8)
    clean = np.linspace(0.1, 0.5, counts.size, dtype=np.float32).reshape(counts.shape)
    source = target(viewer.add_image(counts, name='counts'))
    results = ResultLayers(viewer)
    results.show_plane(source, (1, slice(12), slice(15)), clean[1])
    preview = viewer.layers[-1]
    np.testing.assert_allclose(
        preview.contrast_limits, [clean[1].min(), clean[1].max()], rtol=1e-3
    )
    preview.contrast_limits = 0.2, 0.3
    results.show_plane(source, (2, slice(12), slice(15)), clean[2])
    results.add_result(source, clean, 'clean', {'region': ''})
    assert viewer.layers[-1].contrast_limits == [0.2, 0.3]


@pytest.mark.parametrize('why', ['chosen', 'bright', 'constant', 'colours', 'not computed'])
def test_other_results_look_like_their_sources(why):
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    noisy = rng.poisson(80 if why == 'bright' else 0.3, (12, 15, 3)).astype(np.uint8)
    limits = {'contrast_limits': (0, 254)} if why == 'chosen' else {}
    source = viewer.add_image(noisy, rgb=why == 'colours', **limits)
    clean = np.full(noisy.shape, 0.3, np.float32)
    if why != 'constant':
        clean[0] = 0.4
    image = da.from_array(clean) if why == 'not computed' else clean
    result = add_result(viewer, target(source), image, 'clean', {})
    assert result.contrast_limits == source.contrast_limits
    assert result.contrast_limits_range == source.contrast_limits_range


def test_a_result_keeps_what_a_reader_put_into_the_metadata():
    viewer = ViewerModel()
    said = {'unit': 'um', 'channels': ['DAPI'], METADATA: {'seed': 1}}
    source = viewer.add_image(np.zeros((8, 8)), metadata=said)
    result = add_result(viewer, target(source), np.ones((8, 8), np.float32), 'clean', {'seed': 2})
    assert result.metadata == {'unit': 'um', 'channels': ['DAPI'], METADATA: {'seed': 2}}
    assert source.metadata == said


def test_result_of_a_removed_layer_comes_on_top():
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((8, 8)), name='gone')
    viewer.add_image(np.ones((8, 8)), name='left')
    viewer.layers.remove(source)
    add_result(viewer, target(source), np.ones((8, 8), np.float32), 'clean', {})
    assert [layer.name for layer in viewer.layers] == ['left', 'clean']


def test_hidden_source_has_a_visible_result():
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((8, 8)), visible=False)
    assert add_result(viewer, target(source), np.ones((8, 8), np.float32), 'clean', {}).visible
    assert not source.visible


def test_multiscale_is_read_and_returned_at_full_resolution():
    viewer = ViewerModel()
    levels = [np.ones((32, 32), np.uint16), np.ones((16, 16), np.uint16)]
    layer = viewer.add_image(levels, multiscale=True, scale=(2, 2))
    assert target_of(layer, 'YX').source.shape == (32, 32)
    result = add_result(viewer, target(layer), np.ones((32, 32), np.float32), 'clean', {})
    assert not result.multiscale
    np.testing.assert_allclose(result.extent.world, layer.extent.world)


def test_dask_stays_lazy():
    layer = ViewerModel().add_image(da.ones((4, 16, 16), chunks=(1, 16, 16)))
    assert target_of(layer, 'TYX').source.data is full_data(layer)
    assert isinstance(full_data(layer), da.Array)


@pytest.mark.parametrize(('dtype', 'top'), [(np.uint8, 255), (np.uint16, 65535)])
def test_colours_keep_dtype_units_and_alpha(dtype, top):
    viewer = ViewerModel()
    data = np.full((9, 9, 4), 100, dtype)
    data[..., 3] = np.arange(9)
    layer = viewer.add_image(data, rgb=True, name='colour')
    assert target(layer).source.axes == 'YXS'
    assert target(layer).source.shape == (9, 9, 3)
    clean = np.full((9, 9, 3), 101.6, np.float32)
    clean[0] = -5, top + 10, 7.4
    result = add_result(viewer, target(layer), clean, 'clean', {})
    assert result.rgb
    assert result.data.dtype == dtype
    np.testing.assert_array_equal(result.data[1, 1], [102, 102, 102, 1])
    np.testing.assert_array_equal(result.data[0, 2], [0, top, 7, 2])


def test_float_colours_stay_0_to_1():
    viewer = ViewerModel()
    layer = viewer.add_image(np.full((9, 9, 3), 0.5, np.float32), rgb=True)
    result = add_result(viewer, target(layer), np.full((9, 9, 3), 0.25, np.float32), 'clean', {})
    np.testing.assert_array_equal(result.data, np.full((9, 9, 3), 0.25, np.float32))


@pytest.mark.parametrize(
    ('shape', 'labels', 'expected'),
    [
        ((4, 16, 16), None, 'TYX'),
        ((4, 16, 16), ('z', 'y', 'x'), 'ZYX'),
        ((4, 16, 16), ('C', 'Y', 'X'), 'CYX'),
        ((4, 16, 16), ('a', 'b', 'c'), 'TYX'),
        ((4, 16, 16), ('x', 'x', 'y'), 'TYX'),
        ((16, 16), None, 'YX'),
        ((2, 3, 16, 16), None, 'TZYX'),
        ((2, 2, 3, 2, 16, 16), None, 'PTCZYX'),
        ((2, 3, 16, 16), ('r', 't', 'y', 'x'), 'RTYX'),
    ],
)
def test_axes_come_from_labels_or_are_guessed(shape, labels, expected):
    layer = ViewerModel().add_image(np.zeros(shape), axis_labels=labels, rgb=False)
    assert likely_axes(layer) == expected


def test_axes_of_colours_end_in_s():
    viewer = ViewerModel()
    assert likely_axes(viewer.add_image(np.zeros((16, 16, 3), np.uint8), rgb=True)) == 'YXS'
    labelled = viewer.add_image(
        np.zeros((2, 16, 16, 3), np.uint8), rgb=True, axis_labels=('z', 'y', 'x')
    )
    assert likely_axes(labelled) == 'ZYXS'


def test_wrong_axes_are_refused_in_words():
    layer = ViewerModel().add_image(np.zeros((4, 16, 16)))
    with pytest.raises(InputError, match='name 2 axes; the image has 3'):
        target_of(layer, 'YX')


def test_only_image_layers_are_offered():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((8, 8)))
    viewer.add_labels(np.zeros((8, 8), int))
    viewer.add_points([[1, 1]])
    assert image_layers(viewer) == [image]


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_the_result_of_a_region_lies_where_the_region_is(transform):
    viewer = ViewerModel()
    data = np.random.default_rng(0).integers(0, 1000, (3, 12, 15)).astype(np.uint16)
    layer = viewer.add_image(data, **TRANSFORMS[transform], **LOOK)
    whole = target(layer)
    region = Region({'T': (1, 3), 'Y': (2, 8), 'X': (5, 14)})
    part = Target(layer, whole.source.part(region), region)
    result = add_result(viewer, part, np.zeros((2, 6, 9), np.float32), 'clean', {})
    for inside in ((0, 0, 0), (1, 5, 8)):
        there = np.add(inside, (1, 2, 5))
        np.testing.assert_allclose(result.data_to_world(inside), layer.data_to_world(there))


def test_the_region_of_colours_takes_its_alpha_along():
    viewer = ViewerModel()
    data = np.full((9, 9, 4), 100, np.uint8)
    data[..., 3] = np.arange(81).reshape(9, 9)
    whole = target(viewer.add_image(data, rgb=True))
    region = Region({'Y': (2, 5), 'X': (3, 9)})
    part = Target(whole.layer, whole.source.part(region), region)
    result = add_result(viewer, part, np.full((3, 6, 3), 7.4, np.float32), 'clean', {})
    np.testing.assert_array_equal(result.data[..., 3], data[2:5, 3:9, 3])
    np.testing.assert_array_equal(result.data[..., 0], 7)
    np.testing.assert_array_equal(result.translate, (2, 3))


@pytest.mark.parametrize(
    ('shape', 'corner'),
    [((2000, 2000), (1800, 1750)), ((500, 4000), (400, 1000)), ((2000, 2000), (0, 900))],
)
def test_the_window_of_a_large_plane_is_what_is_seen(shape, corner):
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros(shape, np.uint16))
    layer.corner_pixels = np.array([corner, np.add(corner, 99)])
    window = view_of(viewer, target_of(layer, 'YX')).window.ranges
    for letter, first in zip('YX', corner, strict=True):
        start, stop = window[letter]
        assert abs(start - first) <= 1
        assert abs(stop - (first + 99)) <= 1


def test_the_window_at_the_end_of_a_plane_is_not_narrower():
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((2000, 2000), np.uint16))
    layer.corner_pixels = np.array([[1990, 1990], [1999, 1999]])
    assert view_of(viewer, target_of(layer, 'YX')).window.ranges == {
        'Y': (1968, 2000),
        'X': (1968, 2000),
    }
