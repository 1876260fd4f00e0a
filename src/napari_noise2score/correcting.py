"""From a learned score to a clean image: which noise, which form, and Tweedie's formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.storage import as_dtype, room
from napari_noise2score.judge import choose_form, compare_forms, risk_of
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction, LocalScore
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.unbiased import LevelBias, with_the_light_of
from napari_noise2score.prepare import PreparedChannel
from napari_noise2score.report import ResidualSums
from napari_noise2score.results import Corrected, ScoreMap
from napari_noise2score.score.risk import Risk


class Plane(NamedTuple):
    """A plane that was corrected.

    ``noisy`` and ``clean`` (Y, X) are grey levels; ``lacked`` is how much the mean of the estimate
    had to be raised, grey levels.
    """

    noisy: NDArray[np.float64]
    clean: NDArray[np.float64]
    lacked: float


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How a score map is to be corrected.

    Attributes
    ----------
    score_map : ScoreMap
        The learned score of an image.
    families : tuple of NoiseFamily
        Noise to correct for, channel by channel.
    form : Correction
        Form of the correction.
    risks : mapping of Correction to Risk
        Estimated risk of the forms that were compared; of the one used if it was given.
    biases : tuple of LevelBias or None
        What the form lacks level by level, channel by channel, where it is known.
    """

    score_map: ScoreMap
    families: tuple[NoiseFamily, ...]
    form: Correction
    risks: Mapping[Correction, Risk]
    biases: tuple[LevelBias | None, ...]

    def plane(self, number: int, index: int) -> Plane:
        """Plane ``index`` of channel ``number``."""
        channel = self.score_map.prepared.channels[number]
        noisy = channel.channel.plane(index).astype(np.float64)
        clean = self.score_map.clean[number][index]
        score = LocalScore.from_clean(channel.coordinate, channel.table, clean)
        family, bias = self.families[number], self.biases[number]
        image = family.correct(noisy, score, self.form)
        if bias is not None:
            image = bias.taken_off(image, family)
        return Plane(noisy, *with_the_light_of(noisy, image, family, channel.rail))


def choose_way(
    score_map: ScoreMap,
    noise: NoiseRequest | None = None,
    correction: Correction = Correction.AUTO,
) -> Way:
    """Noise and form for a correction.

    Parameters
    ----------
    score_map : ScoreMap
        The learned score of the image.
    noise : NoiseRequest, optional
        Noise to correct for, if another than in training; what it leaves open is taken from the
        estimate.
    correction : Correction
        Form of the correction; ``AUTO`` takes the one of the lowest risk.

    Raises
    ------
    InputError
        If the noise is left open and could not be estimated.
    """
    judges = score_map.judges
    families = tuple(_family_of(channel, noise) for channel in score_map.prepared.channels)
    if correction is Correction.AUTO:
        risks = compare_forms(judges, families)
        form = choose_form(risks)
    else:
        form, risks = correction, {correction: risk_of(judges, families, correction)}
    biases = (judge.bias(family, form) for judge, family in zip(judges, families, strict=True))
    return Way(score_map, families, form, risks, tuple(biases))


def correct_image(
    score_map: ScoreMap,
    noise: NoiseRequest | None = None,
    correction: Correction = Correction.AUTO,
    dtype: DTypeLike = np.float32,
) -> Corrected:
    """Clean image from a learned score; takes about a second for four megapixels.

    Parameters
    ----------
    score_map, noise, correction : ScoreMap, NoiseRequest, Correction
        As in `choose_way`.
    dtype : dtype
        Of the clean image; whole numbers are rounded, and clipped to its range.
    """
    way = choose_way(score_map, noise, correction)
    image = room(score_map.prepared.source.shape, dtype)
    checks, clipped = [], 0
    for number, channel in enumerate(score_map.prepared.channels):
        family = way.families[number]
        sums = ResidualSums(channel.correlation.neighbours)
        for index in range(channel.shape[0]):
            noisy, clean, lacked = way.plane(number, index)
            values, outside = as_dtype(clean, image.dtype)
            channel.channel.write(index, values, image)
            clipped += outside
            sums.add(noisy, clean, family, lacked)
        checks.append(sums.check())
    return Corrected(image, way.families, way.form, tuple(checks), way.risks, clipped)


def _family_of(channel: PreparedChannel, noise: NoiseRequest | None) -> NoiseFamily:
    if noise is None:
        return channel.family
    known = noise.known()
    if known is not None:
        return known
    if channel.fit is None:
        raise InputError(
            'the noise could not be estimated from this image; give every noise parameter'
        )
    return noise.resolve(channel.fit)
