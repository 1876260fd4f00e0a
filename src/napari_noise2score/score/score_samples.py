r"""Samples of the learned score, at the values of the pixels of an image and at nearby values.

A score is learned for data smoothed by the perturbation ``sigma_a`` of the training; without
perturbation it is extrapolated, and depends on the noise model that it was trained with. To
estimate the noise itself, the score is therefore sampled where it was learned: at
``z = t + sigma_a n``. The perturbation adds a known variance, which is subtracted.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.from_score import closed_forms as adaptive
from napari_noise2score.noise.level_table import SMALLEST_VARIANCE, LevelTable
from napari_noise2score.noise.local_score import LocalScore
from napari_noise2score.progress import relay
from napari_noise2score.score.loss import LOSSES, Preconditioned, ScoreLoss
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.planes import NoisyPlanes, PlanesInMemory
from napari_noise2score.score.predict import PredictProgress, predict_clean

Array = NDArray[np.float64]

BLOCK = 32
"""Side of the blocks into which the samples are cut, pixels."""

_STEP = 0.05
"""Distance of the second value of a pixel, noise standard deviations."""
_LEVELS = 8
_LEAST_FALL = 1e-3

SAMPLED_AT: Mapping[type[ScoreLoss], float] = {Preconditioned: Preconditioned.anew[0]}
"""Perturbation at which a loss learns the score, from scratch or not; 0 if it is not listed."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSamples:
    """Score of the smoothed data in the unit-noise coordinate, in K draws, cut into B blocks.

    Attributes
    ----------
    noisy : (1, B, S, S) float64
        The image ``t``.
    z, moved : (K, B, S, S) float64
        Perturbed image, and the same with a small step.
    score, moved_score : (K, B, S, S) float64
        Score of the smoothed data at both.
    level : (K, B, S, S) float64
        Clean level there.
    smoothing : float
        ``sigma_a``, noise standard deviations.
    """

    noisy: Array
    z: Array
    moved: Array
    score: Array
    moved_score: Array
    level: Array
    smoothing: float

    def without(self, part: int, parts: int) -> ScoreSamples:
        """The samples without every block whose number is ``part`` modulo ``parts``."""
        keep = np.arange(self.noisy.shape[1]) % parts != part
        values: dict[str, Any] = {
            spec.name: getattr(self, spec.name)[:, keep]
            for spec in fields(self)
            if spec.name != 'smoothing'
        }
        return ScoreSamples(**values, smoothing=self.smoothing)

    def noise_variance(self) -> tuple[Array, Array]:
        """Noise variance by clean level, from the slope of the score.

        Returns
        -------
        level, variance : (L,) float64
            In the unit-noise coordinate, in which it is about 1 for a correct noise model; too
            large by the bias of `napari_noise2score.noise.from_score.closed_forms`.
        """
        order = np.argsort(self.level, axis=None, kind='stable')
        groups = np.array_split(order, min(_LEVELS, max(1, order.size // BLOCK**2)))
        flat = [a.ravel() for a in (self.z, self.score, self.moved, self.moved_score)]
        extra = self.smoothing**2
        most = 1 / _LEAST_FALL
        variances = [
            adaptive.gaussian_variance(*(a[g] for a in flat), extra=extra) for g in groups
        ]
        variance = np.nan_to_num(np.array(variances), nan=most).clip(SMALLEST_VARIANCE, most)
        return np.array([self.level.ravel()[group].mean() for group in groups]), variance

    def local_score(self, coordinate: UnitNoise, table: LevelTable) -> LocalScore:
        """Score of the image itself, (B, S, S), with the noise variance estimated from the score.

        The clean estimate is ``z + (v + sigma_a^2) R(z)``, Gaussian Tweedie for the smoothed data.
        """
        variance = np.interp(self.level, *self.noise_variance())
        clean = (self.z + (variance + self.smoothing**2) * self.score).mean(axis=0)
        return LocalScore(coordinate, table, clean, variance.mean(axis=0))


def sample_score(
    model: ScoreModel,
    channel: NoisyPlanes,
    table: LevelTable,
    *,
    size: int = 256,
    planes: int = 2,
    draws: int = 2,
    seed: int = 0,
    device: str = 'auto',
    smoothing: float | None = None,
) -> Generator[PredictProgress, None, ScoreSamples]:
    """Sample the score in the centre of a few planes; about 4 s on a CPU core.

    Parameters
    ----------
    model : ScoreModel
        Trained on images like this one, in this unit-noise coordinate.
    channel : NoisyPlanes
        The channel, (N, Y, X), in its unit-noise coordinate.
    table : LevelTable
        Mean and variance of the noise by level, as in the training.
    size : int
        Largest height and width to sample, pixels.
    planes : int
        Number of planes to sample, evenly spaced in the channel.
    draws : int
        Number of perturbations of each plane; the time is proportional to it.
    seed : int
        Seed of the random numbers.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    smoothing : float, optional
        Standard deviation of the perturbation, noise standard deviations; that of the training if
        not given.
    """
    rng = np.random.default_rng(seed)
    spread = np.unique(np.linspace(0, channel.shape[0] - 1, planes).round().astype(int))
    rows, columns = (_central_part(side, size) for side in channel.shape[1:])
    indices = [int(i) for i in spread if not np.isnan(channel.plane(int(i))).all()]
    if not indices:
        every = range(channel.shape[0])
        indices = [next(i for i in every if not np.isnan(channel.plane(i)).all())]
    window = np.stack([filled(channel.plane(i))[rows, columns] for i in indices])
    blank = np.stack([np.isnan(channel.plane(i)[rows, columns]) for i in indices])
    whole = _blocks(~blank).min(axis=(1, 2))
    if not whole.any():
        whole = np.ones_like(whole)
    if smoothing is None:
        smoothing = SAMPLED_AT.get(LOSSES[model.loss], 0.0)
    extra = smoothing**2
    parts: dict[str, list[Array]] = {
        name: [] for name in ('z', 'moved', 'score', 'moved_score', 'level')
    }
    total = 2 * draws
    for number in range(draws):
        noise = smoothing * channel.correlation.sample(window.shape, rng)
        step = _STEP * rng.choice([-1.0, 1.0], window.shape)
        for place, (at, score) in enumerate((('z', 'score'), ('moved', 'moved_score'))):
            planes_at = PlanesInMemory.like(channel, (window + noise + place * step)[:, None])
            steps = predict_clean(model, planes_at, device=device, orientations=1, exact=True)

            def of_all(tile: PredictProgress, part: int = 2 * number + place) -> PredictProgress:
                return PredictProgress(part * tile.total + tile.done, total * tile.total)

            clean = yield from relay(steps, of_all)
            level = clean.astype(np.float64)
            z = planes_at.array[:, 0].astype(np.float64)
            variance = np.maximum(table.variance_at(level), SMALLEST_VARIANCE)
            parts[at].append(z)
            parts[score].append((level - z) / (variance + extra))
            if place == 0:
                parts['level'].append(level)
    blocks = {
        name: np.stack([_blocks(a)[whole] for a in arrays]) for name, arrays in parts.items()
    }
    noisy = _blocks(window.astype(np.float64))[whole][None]
    return ScoreSamples(noisy=noisy, smoothing=smoothing, **blocks)


def _central_part(side: int, size: int) -> slice:
    width = min(side, size)
    width -= width % BLOCK if width >= BLOCK else 0
    start = (side - width) // 2
    return slice(start, start + width)


def _blocks(array: NDArray[Any]) -> NDArray[Any]:
    """(N, Y, X) as (B, S, S), with S = `BLOCK`, or the whole array if it is smaller."""
    count, height, width = array.shape
    if min(height, width) < BLOCK:
        side = min(height, width)
        return array[:, :side, :side]
    cut = array.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return cut.swapaxes(2, 3).reshape(-1, BLOCK, BLOCK)
