"""Selection of the correction and the perturbation by the risk, without ground truth.

The risk is measured on two frames of one scene if an image has such frames, otherwise on resampled
noise, because noise of few photons is not Gaussian. For a single image with correlated noise it is
measured by recorruption. An impossible risk, below zero, is not used.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_bias import LevelBias
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.pipeline.blending import WithContext, levels_of_slabs
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.pipeline.pretrained import resampler
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.probe import Probe, draw_probe, place_size
from napari_noise2score.score.risk import Risk
from napari_noise2score.settings import VIEWS

PLACES = 12
"""Maximum number of places of a channel."""

_FEWEST_PLACES = 4
"""Minimum number of places; a small image is used so many times, each time with other noise."""

STRENGTH = 0.5
"""``a`` of the recorruption. It is larger than the distance between two and three photons, between
which some forms of the correction are steep."""

SIGMA_A = 0.5
"""Perturbation at inference that is compared with none, noise standard deviations."""

TRIAL_VIEWS = 2
"""Maximum number of averaged views in a trial."""

FEW_PHOTONS = 0.9
"""Mean noise variance in the unit-noise coordinate below which levels are corrected with the noisy
values: the variance is below one at a few photons per pixel."""

_WORTH = 0.01
"""Minimum advantage of another form, relative to the risk."""
DEFAULT_FORM = Correction.STABILISED
"""Form that is used unless another one is clearly better."""
_FORMS = (DEFAULT_FORM, Correction.CHAINED, Correction.PAPER)
"""Forms that are compared."""

Levels: TypeAlias = Generator[PredictProgress, None, NDArray[np.float32]]
"""Clean levels, with progress after each tile."""


@dataclass(frozen=True, slots=True, eq=False)
class ResampledPixels:
    """Pixels whose noise was resampled, with estimates that do not depend on their own values.

    Attributes
    ----------
    noisy : (M,) float32
        The original values; all values are in the unit-noise coordinate.
    instead : (M,) float32
        The resampled values.
    clean : (M,) float32
        Clean level ``D`` there.
    """

    noisy: NDArray[np.float32]
    instead: NDArray[np.float32]
    clean: NDArray[np.float32]

    @classmethod
    def of(cls, probe: Probe, clean: NDArray[np.float32]) -> ResampledPixels:
        """The pixels of the trials of a probe, given the clean levels (K, S, S) of their second
        inputs.
        """
        drawn = (probe.change != 0) & (probe.weight > 0)
        return cls(probe.noisy[::2][drawn], probe.noisy[1::2][drawn], clean[drawn])


@dataclass(frozen=True, slots=True, eq=False)
class ChannelEvaluation:
    """Trials of a channel with the clean levels of a model at their inputs.

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
    resampled : ResampledPixels or None
        Pixels from which the bias at each level is measured, at few photons.
    beside : WithContext or None
        What is blended in.
    """

    channel: PreparedChannel
    probe: Probe
    clean: NDArray[np.float32]
    sigma_a: float
    resampled: ResampledPixels | None = None
    beside: WithContext | None = None

    def risk(self, family: NoiseFamily, form: Correction) -> Risk:
        """Risk of a correction, in units of the noise variance.

        It is that of the form before its bias is subtracted: after that even a wrong form has a
        low risk, except at the few pixels where it has no bounds.
        """
        image = self._corrected(self.probe.noisy, self.clean, family, form)
        return self.probe.risk(self.channel.table.mean_of(image))

    def bias(self, family: NoiseFamily, form: Correction) -> LevelBias | None:
        """Bias of a correction at each level; None if it is not known.

        It is not known for another noise model than that with which the pixels were resampled: the
        user has requested the effect of that model.
        """
        if self.resampled is None or family != self.channel.family:
            return None
        noisy = self.channel.coordinate.inverse(self.resampled.noisy)
        clean = self._corrected(self.resampled.instead, self.resampled.clean, family, form)
        return LevelBias.measured(clean, noisy)

    def _corrected(
        self,
        noisy: NDArray[np.float32],
        clean: NDArray[np.float32],
        family: NoiseFamily,
        form: Correction,
    ) -> NDArray[np.float64]:
        """Corrected grey levels from noisy and clean coordinates.

        Resampled values may be less than any of the image: fewer than no photons. Some forms are
        far off there, so the least value of the image takes their place.
        """
        channel = self.channel
        score = LocalScore.from_clean(channel.coordinate, channel.table, clean)
        possible = np.maximum(noisy, self.probe.noisy[::2].min())
        return family.correct(channel.coordinate.inverse(possible), score, form)


def evaluate_channel(
    model: ScoreModel,
    channel: PreparedChannel,
    sigma_a: float | None,
    *,
    device: str = 'auto',
    orientations: int = VIEWS,
    beside: WithContext | None = None,
) -> Generator[PredictProgress, None, ChannelEvaluation]:
    """Apply a model to trials of a channel, and select ``sigma_a`` if it is not given.

    The perturbation `SIGMA_A` is selected if its risk is lower than that of none by more than two
    standard errors. With ``beside`` there is none: the shares of what is blended in were measured
    without.

    Yields
    ------
    PredictProgress
        After each trial.
    """
    generator, seen = torch.Generator().manual_seed(0), beside is not None
    multiple = (beside.model if beside else model).network.size_multiple
    size = place_size(channel.shape, multiple)
    resample = resampler(channel, device) if channel.correlation.is_white else None
    draw = partial(
        draw_probe,
        size=size,
        generator=generator,
        strength=STRENGTH,
        resample=resample,
        context=seen,
    )
    places = _places(channel.shape, size)
    probe = draw([divided(channel)], places=places)
    views = min(TRIAL_VIEWS, orientations)

    def levels(slabs: NDArray[np.float32], strength: float) -> Levels:
        return levels_of_slabs(
            model,
            beside,
            PlanesInMemory.like(channel, slabs),
            device=device,
            orientations=views,
            sigma_a=strength,
        )

    tried = [sigma_a] if sigma_a is not None else [0.0] if seen else [0.0, SIGMA_A]
    evaluated: list[ChannelEvaluation] = []
    for strength in tried:
        clean = yield from levels(probe.slabs, strength)
        evaluated.append(ChannelEvaluation(channel, probe, clean, strength, None, beside))
    risks = [probe.risk(evaluation.clean) for evaluation in evaluated]
    evaluation = evaluated[-1] if risks[-1].beats(risks[0]) else evaluated[0]
    if resample is None or not probe.noise < FEW_PHOTONS:
        return evaluation
    if not probe.paired.any() and places == PLACES:
        return replace(evaluation, resampled=ResampledPixels.of(probe, evaluation.clean[1::2]))
    alone = divided(replace(channel, pairs=()))
    drawn = draw([alone], places=PLACES)
    clean = yield from levels(drawn.slabs[1::2], evaluation.sigma_a)
    return replace(evaluation, resampled=ResampledPixels.of(drawn, clean))


def _places(shape: tuple[int, ...], size: int) -> int:
    """Number of places of a channel (N, Y, X) that are used: fewer if they would overlap."""
    different = np.prod(shape) / size**2
    return int(np.clip(_FEWEST_PLACES * different, _FEWEST_PLACES, PLACES))


def compare_forms(
    evaluations: Sequence[ChannelEvaluation], families: Sequence[NoiseFamily]
) -> Mapping[Correction, Risk]:
    """Risk of every form of the correction, over all channels of an image."""
    return {form: risk_of(evaluations, families, form) for form in _FORMS}


def risk_of(
    evaluations: Sequence[ChannelEvaluation], families: Sequence[NoiseFamily], form: Correction
) -> Risk:
    """Risk of one form of the correction, over all channels of an image."""
    if not evaluations:
        return Risk(np.full(1, np.nan), 0.0)
    each = zip(evaluations, families, strict=True)
    return Risk.of_all([evaluation.risk(family, form) for evaluation, family in each])


def choose_form(risks: Mapping[Correction, Risk]) -> Correction:
    """The stabilised form, or another one that is clearly better.

    It must be better by more than two standard errors and by more than one percent. Forms with an
    impossible risk are not selected; if the risk of the stabilised form is impossible, the others
    are not reliable either.
    """
    if not risks[DEFAULT_FORM].known:
        return DEFAULT_FORM
    best = min((form for form in risks if risks[form].known), key=lambda form: risks[form].value)
    return best if risks[best].beats(risks[DEFAULT_FORM], by=_WORTH) else DEFAULT_FORM
