"""How good is a result, without ground truth: what the residual says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.standardised import standardised

STRUCTURE = 0.1
"""Correlation of the residual between neighbours that is reported as a warning."""

BIAS = 0.1
"""Mean of the residual that is reported as a warning, noise standard deviations."""

LIGHT = 0.02
"""Share of the light, lost or made up, that is reported as a warning."""

SET_RIGHT = 0.05
"""The same where it was set right, and only the levels within the image may still be off."""

_LEAST = 1e-3
"""Least share of the usual noise variance that a pixel may have."""

_SIGNIFICANT = 3.0
"""Standard errors by which a mean differs from 0."""


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
    mean_error : float
        Standard error of the mean of as many noisy values, noise standard deviations.
    light : float or None
        Mean of the noisy values less that of the clean ones, as a share of the light of the clean
        ones; None where the noise does not tell which level is without light.
    lacked : float or None
        What that was before the light was set right.
    """

    mean: float
    variance: float
    correlation: float
    noise_correlation: float
    removed: float
    mean_error: float = 0.0
    light: float | None = None
    lacked: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should look at, in plain sentences."""
        found = [*self._about_light()]
        if abs(self.correlation - self.noise_correlation) > STRUCTURE:
            found.append(
                'The removed noise is correlated between neighbouring pixels '
                f'({self.correlation:.2f}): look at the residual for structure.'
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

    def _about_light(self) -> Iterator[str]:
        significant = abs(self.mean) > _SIGNIFICANT * self.mean_error
        if significant and (abs(self.mean) > BIAS or abs(self.light or 0) > LIGHT):
            share = ''
            if abs(self.light or 0) > LIGHT:
                way = 'darker' if self.mean > 0 else 'brighter'
                share = f': the clean image is {100 * abs(self.light or 0):.2g} % {way}'
            yield (
                f'The removed noise has a mean of {self.mean:.2g} noise standard deviations, '
                f'but noise has a mean of zero{share}. Use the stabilised correction, or check '
                'the noise parameters.'
            )
        if self.lacked is not None and abs(self.lacked) > SET_RIGHT:
            way, set_right = ('dark', 'raised') if self.lacked > 0 else ('bright', 'lowered')
            yield (
                f'The clean image was estimated {100 * abs(self.lacked):.2g} % too {way} and '
                f'was {set_right} to have the mean of the noisy image; single grey levels may '
                'still be wrong.'
            )

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
        self._bias, self._lacked, self._light, self._noise = np.zeros(4)

    def add(
        self,
        noisy: NDArray[Any],
        clean: NDArray[Any],
        family: NoiseFamily,
        lacked: float = 0.0,
        blank: NDArray[np.bool_] | None = None,
        excess: NDArray[np.float64] | None = None,
    ) -> None:
        """One plane: noisy and clean (Y, X) grey levels, and what was added to its mean.

        Pixels that are ``blank`` do not count; ``excess`` is the noise variance of pixels beyond
        that of the family, if they differ.
        """
        if blank is not None:
            noisy, clean = (np.where(blank, np.nan, a) for a in (noisy, clean))
        removed = np.asarray(noisy, np.float64) - clean
        variance = np.asarray(family.variance(clean), np.float64)
        if excess is not None:
            # pixel by pixel: a mean of squares would be that of the noisiest pixels
            own = np.maximum(variance + excess, _LEAST * variance)
            removed = removed * np.sqrt(np.divide(variance, own, where=own > 0, out=own * 0 + 1))
        unit = standardised(removed, variance)
        usual, mean = float(np.nanmean(variance)), float(np.nanmean(unit))
        centred, unit, removed = (np.nan_to_num(a) for a in (unit - mean, unit, removed))
        count = float(unit.size if blank is None else np.count_nonzero(~blank))
        self._sums += (
            count,
            unit.sum(),
            (removed**2).sum() / usual if usual > 0 else 0.0,
            (centred[1:] * centred[:-1]).sum() if len(centred) > 1 else 0.0,
            (centred[:, 1:] * centred[:, :-1]).sum(),
            (centred**2).sum(),
            (removed**2).sum(),
        )
        dark = family.without_light
        self._light += np.nan if dark is None else float(np.nansum(clean - dark))
        self._bias += float(removed.sum())
        self._lacked += count * lacked
        self._noise += float(np.nansum(variance))

    def check(self) -> ResidualCheck:
        """The figures over all planes so far; NaN before the first one."""
        count, total, square, down, right, power, removed = self._sums
        if not count:
            unknown = float('nan')
            return ResidualCheck(unknown, unknown, unknown, self._noise_correlation, unknown)
        lit = self._light > _SIGNIFICANT * self._noise**0.5
        return ResidualCheck(
            mean=float(total / count),
            variance=float(square / count),
            correlation=float(max(down, right, key=abs) / power) if power > 0 else 0.0,
            noise_correlation=self._noise_correlation,
            removed=float((removed / count) ** 0.5),
            mean_error=float(count**-0.5),
            light=float(self._bias / self._light) if lit else None,
            lacked=float(self._lacked / (self._light - self._lacked)) if lit else None,
        )
