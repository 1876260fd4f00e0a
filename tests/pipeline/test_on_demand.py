"""Clean images that are computed when they are read equal those that are computed at once."""

import sys
from types import SimpleNamespace

import dask.array
import distributed
import numpy as np
import pytest
import xarray
import zarr

from napari_noise2score import (
    DenoiseSettings,
    InputError,
    TrainSettings,
    denoise,
    prepare,
    read_image,
    write_image,
)
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.clean_image import CleanImage
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.progress import finish

pytestmark = pytest.mark.usefixtures('one_pass')

AT_ONCE = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'))


@pytest.fixture(scope='module')
def noisy():
    """(T, C, Y, X), the second channel constant, a border without noise."""
    stack = synthetic_stack('nuclei', frames=3, size=48).noisy.astype(np.float32)
    stack[:, :, :5] = 0
    return np.stack([stack, np.full_like(stack, 7)], 1)


@pytest.fixture(scope='module')
def whole(noisy):
    return denoise(noisy, 'TCYX', AT_ONCE).image


@pytest.fixture(scope='module')
def on_demand(noisy):
    source = ImageSource(noisy, 'TCYX', 'cells')
    return finish(single(denoise_steps([source], AT_ONCE, on_demand=True)))


def test_planes_equal_those_of_an_image_that_is_computed_at_once(on_demand, whole):
    assert isinstance(on_demand.image, CleanImage)
    np.testing.assert_array_equal(on_demand.image[2], whole[2])
    np.testing.assert_array_equal(np.asarray(on_demand.image), whole)


@pytest.mark.parametrize(
    'index',
    [
        np.s_[1],
        np.s_[-1, 0],
        np.s_[..., 3],
        np.s_[::-2, :, 5:20:3, ::-1],
        np.s_[:, 0, 7, 9],
        np.s_[1:1],
    ],
)
def test_any_part_is_read_as_from_an_array(on_demand, whole, index):
    np.testing.assert_array_equal(on_demand.image[index], whole[index])


def test_a_perturbation_is_the_same_for_a_plane_alone(noisy):
    settings = DenoiseSettings(
        training=TrainSettings(seconds=0, device='cpu'), sigma_a=0.5, orientations=2
    )
    source = ImageSource(noisy[:, 0].T, 'XYT', 'turned')
    image = finish(single(denoise_steps([source], settings, on_demand=True))).image
    np.testing.assert_array_equal(image[..., 2], denoise(source, settings=settings).image[..., 2])


def test_checks_are_those_of_the_planes_that_were_read(noisy):
    source = ImageSource(noisy, 'TCYX', 'cells')
    result = finish(single(denoise_steps([source], AT_ONCE, on_demand=True)))
    assert np.isnan(result.image.corrected().checks[0].variance)
    assert result.report['channels'][0]['residual']['variance'] is None
    assert any('not checked' in words for words in result.report['warnings'])
    for _ in range(2):  # what is read twice counts once
        np.asarray(result.image)
    at_once = denoise(source, settings=AT_ONCE).corrected
    assert result.image.corrected().checks == at_once.checks
    assert result.image.corrected().blank == at_once.blank


@pytest.mark.parametrize('keep', [True, False])
def test_clean_levels_are_kept_for_another_correction_if_wanted(noisy, whole, keep):
    source = ImageSource(noisy, 'TCYX', 'cells')
    steps = denoise_steps([source], AT_ONCE, on_demand=True, keep_levels=keep)
    result = finish(single(steps))
    np.testing.assert_array_equal(np.asarray(result.image), whole)
    (levels,) = result.score_map.clean
    assert len(levels._kept) == (len(noisy) if keep else 0)


def test_nothing_is_computed_before_it_is_read(noisy, monkeypatch):
    read = []
    real = CleanImage._computed

    def counting(self, number, index):
        read.append((number, index))
        return real(self, number, index)

    monkeypatch.setattr(CleanImage, '_computed', counting)
    image = denoise(dask.array.from_array(noisy, chunks=(1, 1, 48, 48)), 'TCYX', AT_ONCE).image
    assert isinstance(image, dask.array.Array)
    assert read == []
    image[1, 0].compute()
    assert read == [(0, 1)]


def test_dask_gives_dask_with_a_chunk_for_each_plane(noisy, whole):
    image = denoise(dask.array.from_array(noisy), 'TCYX', AT_ONCE).image
    assert image.chunks == ((1,) * 3, (1,) * 2, (48,), (48,))
    np.testing.assert_array_equal(image.compute(), whole)


def test_a_dask_result_is_computed_by_the_workers_of_a_cluster(noisy, whole):
    image = denoise(dask.array.from_array(noisy), 'TCYX', AT_ONCE).image
    np.testing.assert_array_equal(image[:1].compute(), whole[:1])  # kept here, not sent
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=''
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        np.testing.assert_array_equal(client.compute(image).result(timeout=120), whole)


def test_zarr_gives_an_array_that_is_computed_when_it_is_read(noisy, whole):
    stored = zarr.create_array({}, shape=noisy.shape, dtype=noisy.dtype, chunks=(1, 1, 48, 48))
    stored[...] = noisy
    image = denoise(stored, 'TCYX', AT_ONCE).image
    assert isinstance(image, CleanImage)
    np.testing.assert_array_equal(image[1], whole[1])


@pytest.mark.parametrize('lazy', [False, True])
def test_xarray_keeps_dimensions_coordinates_and_attributes(noisy, whole, lazy):
    image = xarray.DataArray(
        noisy,
        dims=('time', 'channel', 'y', 'x'),
        coords={'time': [0.0, 0.5, 1.0], 'channel': ['DNA', 'none']},
        attrs={'microscope': 'ours'},
        name='cells',
    )
    image.encoding = {'dtype': 'uint16', 'chunks': (3, 1, 8, 8)}
    clean = denoise(image.chunk({'time': 1}) if lazy else image, settings=AT_ONCE).image
    assert isinstance(clean, xarray.DataArray)
    assert (clean.chunks is not None) == lazy
    assert clean.dims == image.dims
    assert clean.attrs == image.attrs
    assert clean.encoding == {}  # the clean values are no whole numbers, in other chunks
    xarray.testing.assert_equal(clean.drop_vars([]).coords.to_dataset(), image.coords.to_dataset())
    np.testing.assert_array_equal(clean.values, whole)


def test_numpy_gives_numpy(whole):
    assert type(whole) is np.ndarray


def test_axes_that_are_not_known_are_asked_for():
    image = xarray.DataArray(np.zeros((2, 9, 9)), dims=('repeat', 'y', 'x'))
    with pytest.raises(InputError, match=r'the axes of an image of shape \(2, 9, 9\) are not'):
        prepare(image)
    with pytest.raises(InputError, match='a Dataset of xarray is given; a DataArray is accepted'):
        prepare(image.to_dataset(name='image'), 'TYX')


def test_axes_other_than_those_of_the_source_are_refused(noisy):
    with pytest.raises(InputError, match='cells has the axes TCYX, but ZCYX is given'):
        prepare(ImageSource(noisy, 'TCYX', 'cells'), 'ZCYX')


def test_a_notebook_shows_a_bar(noisy, monkeypatch, capsys):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, 'IPython', SimpleNamespace(get_ipython=lambda: shell))
    denoise(noisy[:1, 0], 'TYX', AT_ONCE)
    assert 'correcting' in capsys.readouterr().err


def test_elsewhere_nothing_is_shown(noisy, capsys):
    denoise(noisy[:1, 0], 'TYX', AT_ONCE)
    assert capsys.readouterr().err == ''


def test_a_lazy_result_is_written_shard_by_shard(noisy, whole, tmp_path):
    for image in (noisy, dask.array.from_array(noisy)):
        path = tmp_path / f'{type(image).__module__}.ome.zarr'
        write_image(path, denoise(image, 'TCYX', AT_ONCE).image, 'TCYX')
        np.testing.assert_array_equal(np.asarray(read_image(path).data), whole)
    write_image(tmp_path / 'clean.tif', denoise(image, 'TCYX', AT_ONCE).image, 'TCYX')
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / 'clean.tif').data), whole)
