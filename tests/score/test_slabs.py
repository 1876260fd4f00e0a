"""Networks that see neighbouring slices of a z-stack."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy import ndimage

from napari_noise2score.errors import InputError
from napari_noise2score.noise.correlation import REACH, Correlation
from napari_noise2score.progress import finish
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.loss import Preconditioned, Sliced
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.choice import widened
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.objective import TrainingObjective
from napari_noise2score.score.parameterisation import CleanImage
from napari_noise2score.score.perturbation import Perturbation
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.score.probe import STRENGTH, draw_probe
from napari_noise2score.score.sampler import PatchSampler, PlanesInMemory
from napari_noise2score.score.slabs import (
    HIDDEN,
    central_plane,
    cut_off,
    read_slab,
    without_context,
)
from napari_noise2score.score.train import train
from napari_noise2score.settings import NetworkSettings, PretrainSettings, TrainSettings
from tests.score.helpers import ArrayPlanes

CPU = torch.device('cpu')
STILL = torch.zeros(2, 1, 1, 1)
DISTANCE = np.arange(-REACH, REACH + 1)
BLURRED = Correlation(np.exp(-(DISTANCE[:, None] ** 2 + DISTANCE**2) / 4))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wild(planes: int) -> ScoreModel:
    """A small network with strong weights everywhere."""
    torch.manual_seed(0)
    network = ScoreNetwork(NetworkSettings(8, 3, 1, planes))
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.15)
    return ScoreModel(network.eval().requires_grad_(False), 'preconditioned', {})


def predict(model: ScoreModel, array: np.ndarray, **options) -> np.ndarray:
    steps = predict_clean(model, ArrayPlanes(array), device='cpu', exact=True, **options)
    return finish(steps)


class FramesOfSlices(ArrayPlanes):
    """Planes with time running faster than Z, two frames of every slice."""

    def slab(self, index, count):
        around = (index + 2 * step for step in range(-(count // 2), count // 2 + 1))
        return tuple(n if n in range(len(self.array)) else None for n in around)


# the network


def test_a_widened_network_gives_what_it_gave_whatever_its_neighbours_are():
    narrow = warm_start().network
    wide = widened(narrow, 5)
    z = 10 + torch.randn(2, 5, 32, 32, generator=seeded())
    before = narrow(central_plane(z), STILL)
    assert torch.equal(wide(z, STILL), before)
    z[:, :2] = torch.nan
    z[:, 3:] = 1e4
    assert torch.equal(wide(z, STILL), before)
    assert wide.settings == replace(narrow.settings, planes=5)


def test_a_network_that_sees_3_is_widened_to_5_around_the_middle():
    narrow = wild(3).network
    wide = widened(narrow, 5)
    z = torch.randn(2, 5, 32, 32, generator=seeded())
    torch.testing.assert_close(wide(z, STILL), narrow(z[:, 1:4], STILL))
    assert not torch.allclose(narrow(z[:, 1:4], STILL), narrow(z[:, 2:5], STILL))
    with pytest.raises(InputError, match=r'uses 5 slices at once, but 3 are requested'):
        widened(wide, 3)


def test_a_network_from_scratch_begins_as_one_that_sees_one_plane():
    one, five = (ScoreNetwork(NetworkSettings(8, 2, 1, n), seeded()) for n in (1, 5))
    assert all(torch.equal(five.state_dict()[k], w) for k, w in one.state_dict().items())
    assert max(block.last.weight.abs().max() for block in five.depth) == 0


@pytest.mark.parametrize('planes', [0, 2, 11, 3.0])
def test_planes_that_cannot_be_seen_are_refused(planes):
    with pytest.raises(InputError, match='an odd number from 1 to 9'):
        NetworkSettings(planes=planes)
    with pytest.raises(InputError, match=r'slices is .* an odd number from 1 to 9'):
        TrainSettings(slices=planes)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(InputError, match='give slices alone'):
        TrainSettings(init='scratch', network=NetworkSettings(planes=5), slices=3)
    with pytest.raises(InputError, match='a training on z-stacks adds input planes'):
        PretrainSettings(network=NetworkSettings(planes=3))


# slabs


def test_beyond_the_ends_of_a_stack_is_nothing_and_the_middle_stands_once():
    planes = ArrayPlanes(np.arange(4.0)[:, None, None] * np.ones((4, 3, 3)))
    for index in range(4):
        values = read_slab(planes.slab(index, 5), planes.plane)[:, 0, 0]
        expected = [n if 0 <= n < 4 else np.nan for n in range(index - 2, index + 3)]
        np.testing.assert_array_equal(values, expected)


def test_patches_of_slabs_are_cut_at_one_place_of_every_plane():
    place = np.arange(24 * 24.0).reshape(24, 24)
    planes = ArrayPlanes(1000 * np.arange(6)[:, None, None] + place)
    patches, _, _, weight = PatchSampler([planes], 16, seeded(), planes=3).draw(300)
    assert patches.shape == (300, 3, 16, 16)
    assert weight.shape == (300, 1, 16, 16)
    below, here, above = patches.unbind(1)
    number = here.flatten(1)[:, 0] // 1000
    for side, step, last in ((below, -1000, 0), (above, 1000, 5)):
        gone = number == last
        assert side[gone].isnan().all()
        np.testing.assert_allclose(side[~gone] - here[~gone], step)


def test_held_slabs_are_predicted_at_their_middle_plane():
    array = np.random.default_rng(0).random((4, 5, 6, 7)).astype(np.float32)
    held = PlanesInMemory.like(ArrayPlanes(array[:, 2]), array)
    assert held.shape == (4, 6, 7)
    for index in range(4):
        np.testing.assert_array_equal(held.plane(index), array[index, 2])
        assert held.slab(index, 1) == (index,)
        for count in (3, 5):
            first = (5 - count) // 2
            seen = read_slab(held.slab(index, count), held.plane)
            np.testing.assert_array_equal(seen, array[index, first : first + count])
    with pytest.raises(InputError, match='slabs of 5 planes are held, and 7 are to be seen'):
        held.slab(0, 7)


def test_some_slabs_are_cut_off_above_or_below_and_never_at_the_middle():
    z = torch.zeros(4000, 5, 2, 2)
    gone = cut_off(z, seeded()).isnan()[:, :, 0, 0]
    assert not z.isnan().any()
    kinds = {tuple(row) for row in gone.int().tolist()}
    assert kinds == {(0,) * 5, (1, 0, 0, 0, 0), (1, 1, 0, 0, 0), (0, 0, 0, 0, 1), (0, 0, 0, 1, 1)}
    share = float(gone.any(1).float().mean())
    assert share == pytest.approx(HIDDEN, abs=5 * (HIDDEN / 4000) ** 0.5)


def test_nothing_is_drawn_where_there_are_no_neighbours():
    generator, single = seeded(), torch.zeros(8, 1, 2, 2)
    assert cut_off(single, generator) is single
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize('correlation', [Correlation.white(), BLURRED], ids=['white', 'blurred'])
def test_the_perturbations_of_planes_are_independent(correlation):
    perturbation = Perturbation([correlation], 32, seeded())
    zeros = torch.zeros(100, dtype=torch.long)
    u = perturbation.draw(zeros, zeros, 3)
    assert u.shape == (100, 3, 32, 32)
    found = np.corrcoef(u.transpose(0, 1).reshape(3, -1).numpy())
    # of the 102 400 pixels one in nine or so is independent under the blur
    np.testing.assert_allclose(found, np.eye(3), atol=5 / math.sqrt(1e5 / 9))


# what is learned


@pytest.mark.parametrize('loss', [Preconditioned(), Sliced()], ids=lambda loss: loss.name)
def test_the_loss_is_least_at_the_posterior_mean_of_the_middle_given_all_planes(loss):
    """One Gaussian scene in three planes: ``E[x | z] = S sum(z) / (3 S + v)``."""
    power, draw = 2.0, seeded(3)
    scene = power**0.5 * torch.randn(400, 1, 32, 32, generator=draw)
    noisy = scene + torch.randn(400, 3, 32, 32, generator=draw)
    u = torch.randn(400, 3, 32, 32, generator=draw)

    def value(own: float, others: float) -> float:
        def network(z, sigma_a):
            best = power / (3 * power + 1 + sigma_a**2)
            beside = z.sum(1, keepdim=True) - central_plane(z)
            return best * (own * central_plane(z) + others * beside)

        return float(loss(network, noisy, u, torch.ones_like, 0.5, seeded(4)))

    least = value(1, 1)
    for own, others in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9), (1.3, 0.85), (3, 0)):
        assert value(own, others) > least


def test_frames_are_compared_with_the_slab_of_one_time():
    """The mean of three planes of one flat scene has a third of the noise: (1 + 1/3) / 2."""
    noisy = 10 + np.random.default_rng(0).normal(size=(2 * 12, 64, 64))
    pairs = tuple((n, n + 1) for n in range(2, 22, 2))  # no ends
    planes = FramesOfSlices(noisy, pairs=pairs)
    sampler = PatchSampler([planes], 32, seeded(), planes=3)
    drawn = TrainingObjective(
        [planes], sampler, Preconditioned(), unperturbed=1.0, hidden=0.0, events=0.0
    )

    def network(z, sigma_a, variance, near):
        assert z.shape[1] == 3
        return z.mean(1, keepdim=True)

    denoiser = Denoiser(network, CleanImage(), NoiseConditioning([planes], CPU))
    found = np.mean([float(drawn.loss(denoiser, 8, 0.5)) for _ in range(40)])
    assert found == pytest.approx((1 + 1 / 3) / 2, abs=0.03)


@pytest.mark.parametrize('frames', [True, False])
def test_the_risk_of_a_mean_over_slices_is_its_share_of_the_noise(frames):
    noisy = 10 + np.random.default_rng(0).normal(size=(2 * 8, 128, 128))
    pairs = tuple((n, n + 1) for n in range(0, 16, 2)) if frames else ()
    planes = FramesOfSlices(noisy, pairs=pairs)
    probe = draw_probe([planes], 48, seeded(), 200, margin=8, planes=3)
    assert probe.slabs.shape == (400, 3, 48, 48)
    np.testing.assert_array_equal(probe.noisy, probe.slabs[:, 1])
    seen = (~np.isnan(probe.slabs[:, :, 0, 0])).sum(1)
    assert set(seen) == {2, 3}
    strength = 1.0 if frames else 1 + STRENGTH**2
    risk = probe.risk(np.nanmean(probe.slabs, axis=1))
    assert risk.value == pytest.approx(strength * (1 / seen).mean(), abs=6 * risk.standard_error)
    assert risk.standard_error < 0.03
    assert probe.risk(probe.noisy).value == pytest.approx(strength, abs=0.05)


# prediction and files


@pytest.mark.parametrize('orientations', [1, 8])
def test_tiled_equals_untiled(orientations):
    array = np.random.default_rng(0).normal(10, 3, (2, 69, 45))
    whole, tiled = (
        predict(wild(3), array, tile=tile, orientations=orientations) for tile in (1000, 20)
    )
    np.testing.assert_allclose(tiled, whole, atol=2e-4)


def test_planes_that_are_seen_change_the_result_and_no_others():
    array = np.random.default_rng(0).normal(10, 3, (7, 24, 24))
    other = array.copy()
    other[3] += np.random.default_rng(1).normal(size=(24, 24))
    before, after = (predict(wild(3), a, orientations=1) for a in (array, other))
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [False, False, True, True, True, False, False]


def test_every_plane_of_a_stack_is_read_once():
    reads = []

    class Counting(ArrayPlanes):
        def plane(self, index):
            reads.append(index)
            return super().plane(index)

    array = np.zeros((9, 16, 16))
    finish(predict_clean(wild(5), Counting(array), device='cpu', orientations=1))
    assert reads == list(range(9))


def test_a_perturbation_is_left_in_all_planes_that_are_seen():
    array = np.random.default_rng(0).normal(10, 3, (3, 24, 24))
    first, again = (predict(wild(3), array, sigma_a=0.5, orientations=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()


def test_a_model_comes_back_with_the_planes_it_sees(tmp_path):
    path, model = tmp_path / 'score.safetensors', wild(5)
    model.save(path)
    loaded = ScoreModel.load(path)
    assert loaded.network.settings == model.network.settings
    z = torch.randn(2, 5, 16, 16, generator=seeded())
    assert torch.equal(loaded.network(z, STILL), model.network(z, STILL))
    assert loaded.digest == model.digest


def test_a_file_that_says_nothing_of_planes_sees_one(tmp_path):
    path = tmp_path / 'score.safetensors'
    wild(1).save(path)
    with safe_open(path, framework='pt') as file:
        header = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    settings = json.loads(header['settings'])
    del settings['network']['planes']
    save_file(tensors, path, {**header, 'settings': json.dumps(settings)})
    assert ScoreModel.load(path).network.settings.planes == 1


# training

QUICK = TrainSettings(seconds=None, steps=0, device='cpu', patch=32)


def deep_stack(seed: int = 0) -> tuple[np.ndarray, ArrayPlanes]:
    """Clean (Z, Y, X) with detail of a few pixels that goes on from slice to slice; and noisy."""
    rng = np.random.default_rng(seed)
    detail = ndimage.gaussian_filter(rng.normal(size=(8, 64, 64)), (3, 1.5, 1.5), mode='wrap')
    clean = 10 + 2 * detail / detail.std()
    return clean, ArrayPlanes(clean + rng.normal(size=clean.shape))


def error(model: ScoreModel, planes: ArrayPlanes, clean: np.ndarray) -> float:
    found = finish(predict_clean(model, planes, device='cpu', orientations=1))
    return float(np.mean((found - clean) ** 2))


def test_without_a_training_it_is_slice_by_slice():
    _, planes = deep_stack()
    one, five = (finish(train([planes], replace(QUICK, slices=n))) for n in (1, 5))
    assert five.network.settings.planes == five.training['slices'] == 5
    assert five.training['start'] == one.training['start']
    first, second = (
        finish(predict_clean(model, planes, device='cpu', orientations=1)) for model in (one, five)
    )
    np.testing.assert_allclose(second, first, atol=1e-5)


def test_seeing_neighbours_lowers_the_true_error():
    """With the same steps and seed; half the error after 150 steps, on two seeds."""
    clean, planes = deep_stack()
    settings = replace(
        QUICK, steps=100, batch=4, init='scratch', network=NetworkSettings(16, 2, 1)
    )
    one, five = (
        error(finish(train([planes], replace(settings, slices=n))), planes, clean) for n in (1, 5)
    )
    assert five < 0.75 * one


def test_a_training_goes_on_from_a_file_that_sees_fewer_but_not_more(tmp_path):
    _, planes = deep_stack()
    path = tmp_path / 'score.safetensors'
    finish(train([planes], replace(QUICK, slices=3))).save(path)
    wider = finish(train([planes], replace(QUICK, init=str(path), slices=5)))
    assert wider.network.settings.planes == 5
    with pytest.raises(InputError, match='uses 3 slices at once, but 1 are requested'):
        next(train([planes], replace(QUICK, init=str(path))))


def test_the_same_seed_gives_the_same_weights():
    _, planes = deep_stack()
    settings = replace(
        QUICK, steps=6, slices=3, init='scratch', network=NetworkSettings(8, 2, 1), batch=4
    )
    first, second = (finish(train([planes], settings)) for _ in range(2))
    assert first.digest == second.digest
    assert first.network.depth[0].last.weight.abs().max() > 0


def test_without_context_only_the_plane_itself_is_left():
    slabs = torch.randn(200, 9, 4, 4)
    found = without_context(slabs, torch.Generator().manual_seed(0), 0.3)
    hidden = found[:, 0, 0, 0].isnan()
    assert 0.2 < hidden.float().mean() < 0.4
    assert torch.equal(found[:, 4], slabs[:, 4])
    assert torch.equal(found[~hidden], slabs[~hidden])
    assert found[hidden][:, [0, 1, 2, 3, 5, 6, 7, 8]].isnan().all()
