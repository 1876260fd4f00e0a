"""Which correction, which perturbation: decided by the risk, without ground truth."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noise2score.noise.correct import Correction, LocalScore
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.prepare import PreparedChannel
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.patches import HeldPlanes
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.risk import Probe, Risk, draw_probe

PLACES, SIZE = 12, 128
"""Places of a channel, and their height and width in pixels."""

STRENGTH = 0.5
"""``a`` of the recorruption. Two photons and three are told apart by less, and some forms of the
correction are steep between them."""

SIGMA_A = 0.5
"""Perturbation at inference that is tried beside none, noise standard deviations."""

VIEWS = 2
"""Most views that are averaged in a trial."""

_WORTH = 0.01
"""Share of the risk by which another form must be lower."""
_FORMS = (Correction.STABILISED, Correction.CHAINED, Correction.PAPER)
"""Forms that are tried, the default first."""


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
    """

    channel: PreparedChannel
    probe: Probe
    clean: NDArray[np.float32]
    sigma_a: float

    def risk(self, family: NoiseFamily, form: Correction) -> Risk:
        """Risk of a correction, in units of the noise variance."""
        channel = self.channel
        y = channel.coordinate.inverse(self.probe.noisy)
        score = LocalScore.from_clean(channel.coordinate, channel.table, self.clean)
        return self.probe.risk(channel.table.mean_of(family.correct(y, score, form)))


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
    probe = draw_probe([channel], SIZE, generator, PLACES, 0, STRENGTH, seen)
    planes = HeldPlanes.like(channel, probe.slabs)
    views = min(VIEWS, orientations)
    tried = [0.0, SIGMA_A] if sigma_a is None else [sigma_a]
    judged: list[Judge] = []
    for strength in tried:
        clean = yield from predict_clean(
            model, planes, device=device, orientations=views, sigma_a=strength
        )
        judged.append(Judge(channel, probe, clean, strength))
    risks = [probe.risk(judge.clean) for judge in judged]
    return judged[-1] if risks[-1].beats(risks[0]) else judged[0]


def compare_forms(
    judges: Sequence[Judge], families: Sequence[NoiseFamily]
) -> Mapping[Correction, Risk]:
    """Risk of every form of the correction, over all channels of an image."""
    return {form: risk_of(judges, families, form) for form in _FORMS}


def risk_of(judges: Sequence[Judge], families: Sequence[NoiseFamily], form: Correction) -> Risk:
    """Risk of one form of the correction, over all channels of an image."""
    risks = [judge.risk(family, form) for judge, family in zip(judges, families, strict=True)]
    if not risks:
        return Risk(np.full(1, np.nan), 0.0)
    return Risk(
        np.concatenate([risk.places for risk in risks]),
        float(np.mean([risk.two_frames for risk in risks])),
    )


def choose_form(risks: Mapping[Correction, Risk]) -> Correction:
    """The stabilised form, unless another one is clearly better.

    By more than two standard errors, and by more than one percent: forms that hardly differ are
    not worth a surprise.
    """
    default = _FORMS[0]
    best = min(risks, key=lambda form: risks[form].value)  # the first if none is known
    worth = risks[best].value < (1 - _WORTH) * risks[default].value
    return best if worth and risks[best].beats(risks[default]) else default
