"""Pixels drawn anew: what an estimate keeps of noise that is not Gaussian."""

import numpy as np
import pytest
import torch
from scipy import stats

from napari_noise2score.noise.correlation import REACH, Correlation
from napari_noise2score.progress import finish
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.loss import Preconditioned
from napari_noise2score.score.objective import TrainingObjective
from napari_noise2score.score.parameterisation import CleanImage
from napari_noise2score.score.probe import draw_probe
from napari_noise2score.score.resampling import SPACING, NoiseResampler
from napari_noise2score.score.sampler import PatchSampler
from napari_noise2score.score.slabs import central_plane
from napari_noise2score.score.train import train
from napari_noise2score.settings import TrainSettings
from tests.score.helpers import ArrayPlanes

CPU = torch.device('cpu')
LEVEL = 10.0
SHARE = 1 / SPACING**2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def denoiser(network, count: int = 1) -> Denoiser:
    """Of images of white noise of variance one."""
    images = [ArrayPlanes(np.zeros((1, 8, 8)))] * count
    return Denoiser(network, CleanImage(), NoiseConditioning(images, CPU))


def flat(z, *told):
    """The truth of a flat scene."""
    return torch.full_like(central_plane(z), LEVEL)


def resampler(network=flat, count: int = 1) -> NoiseResampler:
    return NoiseResampler(denoiser(network, count))


def skewed(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A flat scene with noise of unit variance and skewness 2."""
    return LEVEL + np.random.default_rng(seed).exponential(size=shape) - 1


def keeps_bright_pixels(noisy):
    """An estimate of a flat scene that lets bright noise pass."""
    return np.where(noisy > LEVEL + 1.5, noisy, LEVEL)


def test_a_quarter_of_the_middle_planes_is_replaced_by_noise_of_the_same_distribution():
    slabs = torch.from_numpy(skewed((20, 3, 64, 64))).float()
    other, change = resampler().draw(slabs, torch.zeros(20, dtype=torch.long), seeded())
    assert torch.equal(other[:, ::2], slabs[:, ::2])
    replaced = change != 0
    assert replaced.float().mean().item() == pytest.approx(SHARE, abs=0.001)
    assert torch.equal(central_plane(other)[~replaced], central_plane(slabs)[~replaced])
    old, new = (central_plane(z)[replaced].numpy() for z in (slabs, other))
    assert new.std() == pytest.approx(1, abs=0.04)
    assert stats.skew(new) == pytest.approx(2, abs=0.3)
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.02


def test_noise_is_lent_within_an_image_only():
    noisy = np.concatenate([np.full((3, 1, 32, 32), LEVEL + 2), np.full((2, 1, 32, 32), LEVEL)])
    image = torch.tensor([1, 1, 1, 0, 0])
    other, _ = resampler(count=2).draw(torch.from_numpy(noisy).float(), image, seeded())
    assert torch.equal(other, torch.from_numpy(noisy).float())


def test_the_error_of_the_estimate_does_not_count_as_noise():
    """The product has the mean ``2 v`` (and a little), though the estimate is off by one."""
    scene = LEVEL + np.random.default_rng(1).normal(size=(20, 1, 64, 64))
    slabs = torch.from_numpy(scene + skewed(scene.shape) - LEVEL).float()
    for network in (flat, lambda z, *told: torch.from_numpy(scene).float()[: len(z)]):
        other, change = resampler(network).draw(slabs[:16], torch.zeros(16).long(), seeded())
        product = (central_plane(slabs[:16]) - central_plane(other)) * change
        assert product[change != 0].mean().item() == pytest.approx(2.05, rel=0.05)


def test_the_risk_of_keeping_skewed_noise_is_seen_and_a_perturbation_does_not_see_it():
    noisy = skewed((6, 192, 192))
    true = np.mean((keeps_bright_pixels(noisy) - LEVEL) ** 2)
    drawn, recorrupted = (
        draw_probe([ArrayPlanes(noisy)], 64, seeded(), 64, margin=8, resample=resample)
        for resample in (resampler().draw, None)
    )
    assert np.isnan(drawn.slabs).sum() == 0
    found = drawn.risk(keeps_bright_pixels(drawn.noisy))
    assert found.value == pytest.approx(true, abs=0.08)
    assert abs(recorrupted.risk(keeps_bright_pixels(recorrupted.noisy)).value - true) > 0.2


def test_gaussian_noise_has_the_same_risk_by_both():
    noisy = LEVEL + np.random.default_rng(0).normal(size=(6, 192, 192))
    for resample in (resampler().draw, None):
        probe = draw_probe([ArrayPlanes(noisy)], 64, seeded(), 64, margin=8, resample=resample)
        half = probe.risk((probe.noisy + LEVEL) / 2)
        assert half.value == pytest.approx(0.25, abs=0.06)


def test_correlated_noise_is_not_drawn_anew():
    distance = np.arange(-REACH, REACH + 1)
    blurred = Correlation(np.exp(-(distance[:, None] ** 2 + distance**2) / 4))
    planes = ArrayPlanes(skewed((2, 64, 64)), correlation=blurred)
    probe = draw_probe([planes], 32, seeded(), 8, resample=resampler().draw)
    assert not probe.change.any()
    sampler = PatchSampler([planes], 32, seeded())
    made = TrainingObjective([planes], sampler, Preconditioned(), resampler=resampler())
    made._resampled = None  # not to be called
    assert all(np.isfinite(float(made.loss(denoiser(flat), 4, 0.5))) for _ in range(20))


def test_the_objective_is_the_risk():
    """Half the risk plus one half: 1 for the noisy image, whatever the distribution."""
    planes = ArrayPlanes(skewed((6, 128, 128)))
    sampler = PatchSampler([planes], 64, seeded())
    made = TrainingObjective(
        [planes], sampler, Preconditioned(), resampler=resampler(), unperturbed=1.0
    )
    for share, risk in ((1.0, 1.0), (0.0, 0.0), (0.5, 0.25)):

        def network(z, sigma_a, variance, near, share=share):
            return LEVEL + share * (central_plane(z) - LEVEL)

        found = np.mean([float(made.loss(denoiser(network), 8, 0.5)) for _ in range(40)])
        assert found == pytest.approx((risk + 1) / 2, abs=0.05)


def test_a_training_on_skewed_noise_does_not_learn_to_keep_it():
    """By perturbation alone the shipped weights would learn just that."""
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(LEVEL + np.linspace(0, 6, 128), (2, 128, 128))
    noise = rng.exponential(size=ramp.shape) - 1
    planes = ArrayPlanes(ramp + noise)
    kept = {}
    for resample in (True, False):
        settings = TrainSettings(None, 60, device='cpu', redraw=resample, batch=4, patch=32)
        model = finish(train([planes], settings))
        network = model.network
        with torch.no_grad():
            z = torch.from_numpy(planes.array[:, None])
            clean = network(z, torch.zeros(len(z), 1, 1, 1))[:, 0].numpy()
        kept[resample] = float(np.mean((clean - ramp) * noise))
    assert kept[True] < 0.1
    assert kept[True] < kept[False]
