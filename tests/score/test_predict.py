import threading

import numpy as np
import pytest
import torch

from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.settings import NetworkSettings
from tests.hooks import seeing
from tests.score.helpers import ArrayPlanes


@pytest.fixture(scope='module')
def model() -> ScoreModel:
    """A small network with strong weights everywhere."""
    torch.manual_seed(0)
    network = ScoreNetwork(NetworkSettings(8, 3, 1))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.15)
    return ScoreModel(network.eval().requires_grad_(False), 'preconditioned', {})


def predict(model, array, device='cpu', **options):
    planes = ArrayPlanes(array)
    return finish(predict_clean(model, planes, device=device, exact=True, **options))


@pytest.mark.parametrize('shape', [(1, 96, 96), (2, 101, 67), (1, 5, 5), (1, 3, 200), (1, 64, 1)])
@pytest.mark.parametrize('orientations', [1, 8])
def test_tiled_equals_untiled_at_any_size(model, shape, orientations):
    array = np.random.default_rng(0).normal(10, 3, shape)
    whole = predict(model, array, tile=1000, orientations=orientations)
    assert whole.shape == shape
    assert whole.dtype == np.float32
    tiled = predict(model, array, tile=20, orientations=orientations)
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


def test_all_orientations_make_the_result_turn_with_the_image(model):
    array = np.random.default_rng(0).normal(10, 3, (1, 32, 32))
    turned = predict(model, np.rot90(array, axes=(1, 2)).copy(), orientations=8)
    np.testing.assert_allclose(
        turned, np.rot90(predict(model, array, orientations=8), axes=(1, 2)), atol=1e-4
    )


def test_planes_do_not_influence_each_other(model):
    array = np.random.default_rng(0).normal(10, 3, (2, 24, 24))
    both = predict(model, array)
    np.testing.assert_array_equal(predict(model, array[1:]), both[1:])


def test_a_plane_is_read_once_for_all_of_its_tiles(model):
    reads = []

    class Counting(ArrayPlanes):
        def plane(self, index):
            reads.append(index)
            return super().plane(index)

    planes = Counting(np.zeros((3, 40, 60)))
    finish(predict_clean(model, planes, device='cpu', tile=20, orientations=1))
    assert reads == [0, 1, 2]


def test_progress_counts_every_tile(model):
    steps = predict_clean(model, ArrayPlanes(np.zeros((2, 40, 60))), device='cpu', tile=20)
    done = list(steps)
    assert [p.done for p in done] == list(range(1, 13))
    assert {p.total for p in done} == {12}
    assert done[-1].fraction == 1.0


def test_input_is_not_changed(model):
    array = np.random.default_rng(0).normal(10, 3, (1, 33, 33)).astype(np.float32)
    before = array.copy()
    predict(model, array)
    np.testing.assert_array_equal(array, before)


def test_published_reading_is_scaled_by_the_noise_variance(model):
    from napari_noise2score.noise.level_table import VarianceCurve

    array = np.random.default_rng(0).normal(10, 3, (1, 16, 16)).astype(np.float32)
    published = ScoreModel(model.network, 'published', {})
    half = VarianceCurve(-50.0, 50.0, np.full(8, 0.5))
    result, plain = (
        finish(predict_clean(read, ArrayPlanes(array, half), device='cpu', exact=True))
        for read in (published, model)
    )
    np.testing.assert_allclose(result - array, 0.5 * (plain - array), atol=1e-5)


def test_where_memory_runs_out_tiles_are_halved_and_the_result_is_the_same(model):
    array = np.random.default_rng(0).normal(10, 3, (2, 150, 210))
    whole = predict(model, array)
    sizes = []

    def small_memory(slab, *more):
        sizes.append(max(slab.shape[-2:]))
        if sizes[-1] > 180:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    with seeing(small_memory):
        np.testing.assert_allclose(predict(model, array), whole, atol=1e-4)
        assert max(sizes) > 180 >= min(sizes)
        steps = list(predict_clean(model, ArrayPlanes(array), device='cpu'))
    assert steps[-1].fraction == 1


def test_what_never_fits_and_other_errors_are_raised(model):
    for text in ('MPS backend out of memory', 'illegal memory access'):

        def fail(*inputs, text=text):
            raise RuntimeError(text)

        with seeing(fail), pytest.raises(RuntimeError, match=text):
            predict(model, np.zeros((1, 64, 64)))


def test_places_without_an_image_stay_so_and_planes_without_one_cost_nothing(model):
    array = np.random.default_rng(0).normal(10, 3, (3, 48, 40))
    array[0, :12], array[1] = np.nan, np.nan
    seen, done = [], []
    once = {'device': 'cpu', 'exact': True, 'orientations': 1}
    steps = predict_clean(model, ArrayPlanes(array), **once)
    with seeing(lambda slab, *more: seen.append(slab)):
        found = finish(steps, done.append)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(array))
    assert len(seen) == 2
    assert all(torch.isfinite(slab).all() for slab in seen)
    assert [progress.fraction for progress in done] == [1 / 3, 2 / 3, 1]
    np.testing.assert_array_equal(found[2], predict(model, array[2:], orientations=1)[0])


def test_what_is_far_from_a_place_without_an_image_does_not_see_it(model):
    array = np.random.default_rng(0).normal(10, 3, (1, 160, 48))
    holes = array.copy()
    holes[0, :40] = np.nan
    radius = model.network.receptive_radius
    far = np.s_[:, 40 + radius :]
    np.testing.assert_allclose(predict(model, holes)[far], predict(model, array)[far], atol=1e-5)


@pytest.mark.parametrize('shape', [(5, 30, 40), (1, 70, 50)])
@pytest.mark.parametrize('sigma_a', [0.0, 0.5])
def test_several_devices_give_the_same_result_bit_for_bit(model, shape, sigma_a):
    array = np.random.default_rng(0).normal(10, 3, shape)
    array[0, :9, 5:] = np.nan
    one, two = (
        predict(model, array, device, tile=24, orientations=2, sigma_a=sigma_a)
        for device in ('cpu', 'cpu,cpu,cpu')
    )
    np.testing.assert_array_equal(two, one)


def test_several_devices_compute_at_the_same_time_and_report_tiles_in_order(model):
    together = threading.Barrier(2, timeout=20)
    planes = ArrayPlanes(np.zeros((4, 20, 30)))
    # an error if nobody else computes
    with seeing(lambda *inputs: together.wait()):
        steps = list(predict_clean(model, planes, device='cpu,cpu', tile=16, orientations=1))
    assert [progress.done for progress in steps] == list(range(1, 17))


def test_where_memory_runs_out_on_one_of_several_devices_the_result_is_the_same(model):
    array = np.random.default_rng(0).normal(10, 3, (3, 130, 130))
    whole, sizes = predict(model, array, orientations=1), []

    def small_memory(slab, *more):
        sizes.append(slab.shape[-1])
        if slab.shape[-1] > 128:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    with seeing(small_memory):
        found = predict(model, array, 'cpu,cpu', orientations=1)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert max(sizes) > 128 >= min(sizes)


def test_one_that_is_ended_early_leaves_no_thread(model):
    planes = ArrayPlanes(np.zeros((9, 20, 20)))
    steps = predict_clean(model, planes, device='cpu,cpu', orientations=1)
    next(steps)
    assert any(thread.name.startswith('noise2score-device') for thread in threading.enumerate())
    steps.close()
    assert not any(
        thread.name.startswith('noise2score-device') for thread in threading.enumerate()
    )
