"""How good is a result, without ground truth: what the residual says."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.files import written_whole
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.standardised import standardised
from napari_noise2score.plain import json_text

STRUCTURE = 0.1
"""Correlation of the residual between neighbours that is worth a word."""


@dataclass(frozen=True, slots=True)
class ResidualCheck:
    """Residual ``(y - x) / sqrt(Var[y | x])`` of a channel: white, of variance 1, if all is well.

    Attributes
    ----------
    mean : float
        Bias, noise standard deviations; 0 is best.
    variance : float
        Below 1 noise was left in the image, above 1 signal was taken out of it.
    correlation : float
        Largest correlation between next neighbours; like that of the noise unless structure was
        taken out.
    noise_correlation : float
        What it is for the noise model: 0 for independent pixels.
    removed : float
        Standard deviation of what was taken away, grey levels.
    """

    mean: float
    variance: float
    correlation: float
    noise_correlation: float
    removed: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should look at, in plain sentences."""
        found = []
        if abs(self.correlation - self.noise_correlation) > STRUCTURE:
            found.append(
                f'What was removed is correlated between neighbours ({self.correlation:.2f}): '
                'look at the residual for structure.'
            )
        if self.variance < 0.5:
            found.append(
                f'Only {100 * self.variance:.0f} % of the expected noise was removed; '
                'the result is still noisy or the noise parameters are too large.'
            )
        elif self.variance > 1.5:
            found.append(
                f'{self.variance:.1f} times the expected noise was removed: '
                'detail may be lost, or the noise parameters are too small.'
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {**asdict(self), 'warnings': list(self.warnings)}


class ResidualSums:
    """Gathers a `ResidualCheck` plane by plane.

    Parameters
    ----------
    noise_correlation : float
        Correlation of the noise between next neighbours.
    """

    def __init__(self, noise_correlation: float = 0.0) -> None:
        self._noise_correlation = noise_correlation
        self._sums = np.zeros(7)

    def add(
        self,
        noisy: NDArray[Any],
        clean: NDArray[Any],
        family: NoiseFamily,
        blank: NDArray[np.bool_] | None = None,
    ) -> None:
        """One plane: noisy and clean (Y, X) grey levels; ``blank`` pixels do not count."""
        if blank is not None:
            noisy, clean = (np.where(blank, np.nan, a) for a in (noisy, clean))
        removed = np.asarray(noisy, np.float64) - clean
        variance = np.asarray(family.variance(clean), np.float64)
        unit = standardised(removed, variance)
        usual, mean = float(np.nanmean(variance)), float(np.nanmean(unit))
        centred, unit, removed = (np.nan_to_num(a) for a in (unit - mean, unit, removed))
        self._sums += (
            float(unit.size if blank is None else np.count_nonzero(~blank)),
            unit.sum(),
            (removed**2).sum() / usual if usual > 0 else 0.0,
            (centred[1:] * centred[:-1]).sum() if len(centred) > 1 else 0.0,
            (centred[:, 1:] * centred[:, :-1]).sum(),
            (centred**2).sum(),
            (removed**2).sum(),
        )

    def check(self) -> ResidualCheck:
        """The figures over all planes so far."""
        count, total, square, down, right, power, removed = self._sums
        return ResidualCheck(
            mean=float(total / count),
            variance=float(square / count),
            correlation=float(max(down, right, key=abs) / power) if power > 0 else 0.0,
            noise_correlation=self._noise_correlation,
            removed=float((removed / count) ** 0.5),
        )


def gain_words(training: dict[str, Any]) -> str | None:
    """What a training gained over the weights that it began with; None if that is not known.

    Parameters
    ----------
    training : dict
        As in a `ScoreModel`.
    """
    start, risk = (_finite(training.get(key, {}).get('value')) for key in ('start_risk', 'risk'))
    if start is None or risk is None or not training['steps_done']:
        return None
    if not training['delivered_step']:
        return (
            'Training gained nothing over the pretrained weights (estimated error '
            f'{_percent(start)} of the noise variance), so these were applied.'
        )
    error = _finite(training['gain']['standard_error'])  # one place alone has none
    known = '' if error is None else f' \N{PLUS-MINUS SIGN} {_percent(error)}'
    return (
        f'Training lowered the estimated error from {_percent(start)} to {_percent(risk)} of the '
        f'noise variance (by {_percent(start - risk)}{known}).'
    )


def _finite(value: Any) -> float | None:
    """A number; None for what is none or not finite."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _percent(share: float) -> str:
    return f'{100 * share:.2g} %'


def write_json(path: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Write a report as strict JSON; an existing file stays whole until the new one is complete.

    Numbers that are not finite are null.
    """
    text = json_text(record) + '\n'
    with written_whole(path) as part:
        part.write_text(text, encoding='utf-8')
