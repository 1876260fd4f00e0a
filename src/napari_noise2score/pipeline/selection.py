"""Which correction, which perturbation: decided by the risk, without ground truth.

The risk is that of two frames where an image has such, and of resampled noise where it has none:
noise of few photons is not Gaussian. Only where the noise is correlated, too, it is that of a
recorruption. An impossible risk, below zero, decides nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_bias import LevelBias
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.score.device import choose_device
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.probe import Probe, Resample, draw_probe
from napari_noise2score.score.resampling import NoiseResampler
from napari_noise2score.score.risk import Risk
from napari_noise2score.score.sampler import HeldPlanes
from napari_noise2score.score.train import beginning
from napari_noise2score.settings import TrainSettings

PLACES, SIZE = 12, 128
"""Most places of a channel, and their height and width in pixels."""

_FEWEST_PLACES = 4
"""Least number of places, and how often a small image is looked at, each time with other noise."""

STRENGTH = 0.5
"""``a`` of the recorruption. Two photons and three are told apart by less, and some forms of the
correction are steep between them."""

SIGMA_A = 0.5
"""Perturbation at inference that is tried beside none, noise standard deviations."""

VIEWS = 2
"""Most views that are averaged in a trial."""

FEW_PHOTONS = 0.9
"""Mean noise variance in the unit-noise coordinate below which the coordinate does not hold it at
one, as at a few photons a pixel: there levels are set right by the noisy values."""

_SMALLEST = 16
"""Least height and width of a place: a smaller image is mirrored up to it."""
_WORTH = 0.01
"""Share of the risk by which another form must be lower."""
DEFAULT_FORM = Correction.STABILISED
"""Taken unless another form is clearly better."""
_FORMS = (DEFAULT_FORM, Correction.CHAINED, Correction.PAPER)
"""Forms that are tried."""

Levels: TypeAlias = Generator[PredictProgress, None, NDArray[np.float32]]
"""Clean levels, tile by tile."""


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """Pixels whose noise was resampled, and estimates of them without their own values.

    Attributes
    ----------
    noisy : (M,) float32
        Their own values; all in the unit-noise coordinate.
    instead : (M,) float32
        What was drawn instead.
    clean : (M,) float32
        Clean level ``D`` there.
    """

    noisy: NDArray[np.float32]
    instead: NDArray[np.float32]
    clean: NDArray[np.float32]

    @classmethod
    def of(cls, probe: Probe, clean: NDArray[np.float32]) -> Unseen:
        """From the trials of a probe, and the clean levels (K, S, S) of their second inputs."""
        drawn = (probe.change != 0) & (probe.weight > 0)
        return cls(probe.noisy[::2][drawn], probe.noisy[1::2][drawn], clean[drawn])


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Trials of a channel with the learned score at their inputs.

    Attributes
    ----------
    channel : PreparedChannel
        The channel.
    probe : Probe
        Inputs and targets.
    clean : (2 K, S, S) float32
        Clean level ``D`` at the inputs.
    sigma_a : float
        Perturbation at inference, noise standard deviations.
    unseen : Unseen or None
        What tells the bias of an estimate level by level, where there are few photons.
    """

    channel: PreparedChannel
    probe: Probe
    clean: NDArray[np.float32]
    sigma_a: float
    unseen: Unseen | None = None

    def risk(self, family: NoiseFamily, form: Correction) -> Risk:
        """Risk of a correction, in units of the noise variance.

        Of the form itself, before its bias is taken off: after that even a wrong form has a low
        risk, but for the few pixels where it has no bounds.
        """
        image = self._corrected(self.probe.noisy, self.clean, family, form)
        return self.probe.risk(self.channel.table.mean_of(image))

    def bias(self, family: NoiseFamily, form: Correction) -> LevelBias | None:
        """What a correction lacks level by level; None where that is not known.

        That is so for another noise model than that by which the pixels were drawn: what it takes
        away is what its user has asked for.
        """
        if self.unseen is None or family != self.channel.family:
            return None
        noisy = self.channel.coordinate.inverse(self.unseen.noisy)
        clean = self._corrected(self.unseen.instead, self.unseen.clean, family, form)
        return LevelBias.measured(clean, noisy)

    def _corrected(
        self,
        noisy: NDArray[np.float32],
        clean: NDArray[np.float32],
        family: NoiseFamily,
        form: Correction,
    ) -> NDArray[np.float64]:
        """Grey levels, from the noisy and the clean coordinate."""
        channel = self.channel
        score = LocalScore.from_clean(channel.coordinate, channel.table, clean)
        return family.correct(channel.coordinate.inverse(noisy), score, form)


def judge_channel(
    model: ScoreModel,
    channel: PreparedChannel,
    sigma_a: float | None,
    *,
    device: str = 'auto',
    orientations: int = 8,
) -> Generator[PredictProgress, None, Judge]:
    """Apply a score to trials of a channel, and choose ``sigma_a`` if it is not given.

    The perturbation `SIGMA_A` is chosen where its risk is lower than that of none by more than
    two standard errors.

    Yields
    ------
    PredictProgress
        Trial by trial.
    """
    generator, seen = torch.Generator().manual_seed(0), model.network.settings.planes
    multiple = model.network.size_multiple
    size = min(SIZE, max(_SMALLEST, min(channel.shape[1:]))) // multiple * multiple
    resample = _resampler(channel, seen, device) if channel.correlation.is_white else None
    places = _places(channel.shape, size)
    probe = draw_probe([channel], size, generator, places, 0, STRENGTH, seen, resample)
    views = min(VIEWS, orientations)

    def levels(slabs: NDArray[np.float32], strength: float) -> Levels:
        planes = HeldPlanes.like(channel, slabs)
        return predict_clean(model, planes, device=device, orientations=views, sigma_a=strength)

    tried = [0.0, SIGMA_A] if sigma_a is None else [sigma_a]
    judged: list[Judge] = []
    for strength in tried:
        clean = yield from levels(probe.slabs, strength)
        judged.append(Judge(channel, probe, clean, strength))
    risks = [probe.risk(judge.clean) for judge in judged]
    judge = judged[-1] if risks[-1].beats(risks[0]) else judged[0]
    if resample is None or not probe.noise < FEW_PHOTONS:
        return judge
    if not channel.pairs and places == PLACES:
        return replace(judge, unseen=Unseen.of(probe, judge.clean[1::2]))
    alone = replace(channel, pairs=())
    drawn = draw_probe([alone], size, generator, PLACES, 0, STRENGTH, seen, resample)
    clean = yield from levels(drawn.slabs[1::2], judge.sigma_a)
    return replace(judge, unseen=Unseen.of(drawn, clean))


def _places(shape: tuple[int, ...], size: int) -> int:
    """How many places of a channel (N, Y, X) are looked at: fewer where they are the same ones."""
    different = np.prod(shape) / size**2
    return int(np.clip(_FEWEST_PLACES * different, _FEWEST_PLACES, PLACES))


def _resampler(channel: PreparedChannel, seen: int, device: str) -> Resample:
    """Draws pixels anew by the weights that ship, whatever the model that is judged."""
    where = choose_device(device)
    start = beginning([channel], TrainSettings(seconds=0.0, slices=seen))
    assert start is not None  # these settings begin with the weights that ship
    return NoiseResampler(start.denoiser([channel], where)).draw_from_cpu


def compare_forms(
    judges: Sequence[Judge], families: Sequence[NoiseFamily]
) -> Mapping[Correction, Risk]:
    """Risk of every form of the correction, over all channels of an image."""
    return {form: risk_of(judges, families, form) for form in _FORMS}


def risk_of(judges: Sequence[Judge], families: Sequence[NoiseFamily], form: Correction) -> Risk:
    """Risk of one form of the correction, over all channels of an image."""
    if not judges:
        return Risk(np.full(1, np.nan), 0.0)
    each = zip(judges, families, strict=True)
    return Risk.of_all([judge.risk(family, form) for judge, family in each])


def choose_form(risks: Mapping[Correction, Risk]) -> Correction:
    """The stabilised form, unless another one is clearly better.

    By more than two standard errors, and by more than one percent: forms that hardly differ are
    not worth a surprise. Forms whose risk is impossible are not taken; if that of the stabilised
    form is, nothing is believed.
    """
    if not risks[DEFAULT_FORM].known:
        return DEFAULT_FORM
    best = min((form for form in risks if risks[form].known), key=lambda form: risks[form].value)
    worth = risks[best].value < (1 - _WORTH) * risks[DEFAULT_FORM].value
    return best if worth and risks[best].beats(risks[DEFAULT_FORM]) else DEFAULT_FORM
