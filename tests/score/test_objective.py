"""Frames of one scene as targets for each other."""

import numpy as np
import pytest
import torch

from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.pairs import FramePair, PlanePair, StillBlocks
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.loss import Preconditioned
from napari_noise2score.score.objective import TrainingObjective
from napari_noise2score.score.parameterisation import CleanImage
from napari_noise2score.score.sampler import PatchSampler
from tests.score.helpers import ArrayPlanes, smooth_image

CPU = torch.device('cpu')


class Recorder:
    """A network whose answers are given, and that keeps what it was asked."""

    def __init__(self, answer):
        self._answer, self.asked = answer, []

    def __call__(self, z, sigma_a, variance=None, correlation=None):
        self.asked.append(float(sigma_a.max()))
        return self._answer(z)


def training_objective(images, frames, size=64):
    sampler = PatchSampler(images, size, torch.Generator().manual_seed(0))
    return TrainingObjective(images, sampler, Preconditioned(), frames=frames)


def denoiser(images, network):
    return Denoiser(network, CleanImage(), NoiseConditioning(images, CPU))


def one_scene(count=4, size=96, moved=None):
    clean = np.repeat(smooth_image(1, size), count, axis=0)
    if moved is not None:
        clean[1:, moved, moved] += 6
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape)
    pairs = tuple((i, i + 1) for i in range(count - 1))
    return ArrayPlanes(noisy, pairs=pairs), clean[0]


def compared(images, answer, count=200, frames=True):
    """Losses of the steps that compared frames."""
    drawn, found = training_objective(images, frames), []
    for _ in range(count):
        network = Recorder(answer)
        loss = drawn.loss(denoiser(images, network), 4, 0.5)
        if network.asked == [0.0]:
            found.append(loss)
    return torch.stack(found) if found else torch.empty(0)


def test_the_score_zero_has_loss_1_and_a_perfect_answer_half():
    planes, _ = one_scene()
    trivial = compared([planes], lambda z: z)
    assert float(trivial.mean()) == pytest.approx(1, abs=0.02)
    assert 0.6 < len(trivial) / 200 < 0.9
    flat = ArrayPlanes(np.random.default_rng(0).normal(size=(4, 96, 96)), pairs=((0, 1), (2, 3)))
    assert float(compared([flat], torch.zeros_like).mean()) == pytest.approx(0.5, abs=0.01)


def test_what_has_moved_between_frames_is_no_target():
    """The answer "output = input" counts the difference of the frames and nothing else."""
    planes, _ = one_scene(2, moved=slice(20, 60))
    static, _ = one_scene(2)
    losses, usual = (float(compared([a], lambda z: z).mean()) for a in (planes, static))
    assert usual < losses < 1.5 * usual
    everywhere = np.mean((planes.array[0] - planes.array[1]) ** 2) / 2
    assert losses < 0.4 * everywhere


def test_without_frames_of_one_scene_every_patch_is_perturbed():
    planes, _ = one_scene()
    assert not len(compared([planes], lambda z: z, 40, frames=False))
    assert not len(compared([ArrayPlanes(planes.array)], lambda z: z, 40))


def test_images_with_and_without_frames_take_turns():
    planes, _ = one_scene()
    single = ArrayPlanes(planes.array)
    share = len(compared([planes, single], lambda z: z)) / 200
    assert 0.2 < share < 0.55


@pytest.mark.parametrize('photons', [2.0, 30.0])
@pytest.mark.parametrize('light', [0.25, 0.8])
def test_the_objective_is_to_give_the_clean_level_of_its_own_frame(light, photons):
    """Whichever of the two frames is the input, and however few photons the other has."""
    camera = PoissonGaussian(3.0, 100.0, 4.0)
    table = camera.level_table(100 + 8 * photons)
    clean = 100 + 3 * np.array([photons, light * photons])
    noisy = camera.sample(
        np.broadcast_to(clean[:, None, None], (2, 160, 160)), np.random.default_rng(1)
    )
    change = FramePair(0, 1, 100 * (1 - light), light).change(table)
    planes = ArrayPlanes(
        camera.coordinate(100 + 8 * photons).forward(noisy),
        table.curve(),
        pairs=(PlanePair(0, 1, change),),
    )
    first, second = table.mean_of(clean)

    shift = torch.zeros((), requires_grad=True)

    def answer(z):
        bright = z.mean((1, 2, 3), keepdim=True) > (first + second) / 2
        return torch.where(bright, first + shift, second + shift).float().expand_as(z)

    mean = compared([planes], answer, 100).mean()
    mean.backward()
    assert float(mean.detach()) == pytest.approx(0.5, abs=0.03)
    assert abs(float(shift.grad)) < 0.03  # noise standard deviations that the minimum is off


def test_places_that_are_not_still_teach_nothing():
    planes, _ = one_scene(2)
    upper = StillBlocks(np.array([[False], [True]]), (96, 96))
    shifted = planes.array.copy()
    shifted[1, :48] += 0.8
    marked = ArrayPlanes(shifted, pairs=(PlanePair(0, 1, still=upper),))
    unmarked = ArrayPlanes(shifted, pairs=((0, 1),))
    found, without = (float(compared([a], lambda z: z).mean()) for a in (marked, unmarked))
    assert found == pytest.approx(1, abs=0.03)
    assert without > 1.08
