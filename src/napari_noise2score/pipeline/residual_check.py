"""Checks of a result by its residual, without ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.standardised import standardised

STRUCTURE = 0.1
"""Difference between the correlations of adjacent pixels in residual and noise model that is
reported as a warning."""

BIAS = 0.1
"""Mean of the residual that is reported as a warning, noise standard deviations."""

LIGHT = 0.02
"""Lost or added share of the light that is reported as a warning."""

SET_RIGHT = 0.05
"""The same if the mean was corrected, so that only single grey levels may be wrong."""

_LEAST = 1e-3
"""Minimum noise variance of a pixel, relative to the usual one."""

_SIGNIFICANT = 3.0
"""Standard errors from which a mean is significantly different from 0."""


@dataclass(frozen=True, slots=True)
class ResidualCheck:
    """Residual ``(y - x) / sqrt(Var[y | x])`` of a channel: white, of variance 1 in a good result.

    Attributes
    ----------
    mean : float
        Bias, noise standard deviations; 0 is best.
    variance : float
        If it is below 1, noise remains in the image; if it is above 1, signal was removed.
    correlation : float
        Largest correlation of adjacent pixels; equal to that of the noise unless structure was
        removed.
    noise_correlation : float
        The same correlation in the noise model: 0 for independent pixels.
    removed : float
        Standard deviation of the removed noise, grey levels.
    mean_error : float
        Standard error of the mean of as many noisy values, noise standard deviations.
    light : float or None
        Mean of the noisy values minus that of the clean ones, relative to the light of the clean
        ones; None if the level without light is not known.
    lacked : float or None
        The same before the mean of the clean image was corrected.
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
        """Warnings for the user, in plain sentences."""
        sentences = [*self._about_light()]
        surplus = self.correlation - self.noise_correlation
        finest = self.variance < 0.5 and surplus < -STRUCTURE
        if abs(surplus) > STRUCTURE and not finest:
            sentences.append(
                'The removed noise is correlated between neighbouring pixels '
                f'({self.correlation:.2f}): check whether the residual shows structure.'
            )
        if finest:
            sentences.append(
                f'Only {100 * self.variance:.0f} % of the expected noise was removed, and that '
                'which differs from pixel to pixel: the noise is probably correlated between '
                'neighbouring pixels, which a small or finely structured image does not show. '
                'Give a larger image, or several frames of the scene.'
            )
        elif self.variance < 0.5:
            sentences.append(
                f'Only {100 * self.variance:.0f} % of the expected noise was removed; '
                'the result is still noisy or the noise parameters are too large.'
            )
        elif self.variance > 1.5:
            sentences.append(
                f'{self.variance:.1f} times the expected noise was removed: '
                'detail may be lost, or the noise parameters are too small.'
            )
        return tuple(sentences)

    def _about_light(self) -> Iterator[str]:
        significant = abs(self.mean) > _SIGNIFICANT * self.mean_error
        if significant and (abs(self.mean) > BIAS or abs(self.light or 0) > LIGHT):
            share = ''
            if abs(self.light or 0) > LIGHT:
                direction = 'darker' if self.mean > 0 else 'brighter'
                share = f': the clean image is {100 * abs(self.light or 0):.2g} % {direction}'
            yield (
                f'The removed noise has a mean of {self.mean:.2g} noise standard deviations, '
                f'but noise has a mean of zero{share}. Use the stabilised correction, or check '
                'the noise parameters.'
            )
        if self.lacked is not None and abs(self.lacked) > SET_RIGHT:
            error, change = ('dark', 'raised') if self.lacked > 0 else ('bright', 'lowered')
            yield (
                f'The clean image was estimated {100 * abs(self.lacked):.2g} % too {error} and '
                f'was {change} to have the mean of the noisy image; single grey levels may '
                'still be wrong.'
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {**asdict(self), 'warnings': list(self.warnings)}


class ResidualSums:
    """Sums over planes from which a `ResidualCheck` is computed.

    Parameters
    ----------
    noise_correlation : float
        Correlation of the noise of adjacent pixels.
    """

    def __init__(self, noise_correlation: float = 0.0) -> None:
        self._noise_correlation = noise_correlation
        self._sums = np.zeros(11)

    def add(self, plane: Sequence[float]) -> None:
        """Add one plane, as of `of_plane`."""
        self._sums += np.asarray(plane)

    @staticmethod
    def of_plane(
        noisy: NDArray[Any],
        clean: NDArray[Any],
        family: NoiseFamily,
        lacked: float = 0.0,
        blank: NDArray[np.bool_] | None = None,
        excess: NDArray[np.float64] | None = None,
    ) -> tuple[float, ...]:
        """Sums over one plane: noisy and clean (Y, X) grey levels.

        ``lacked`` was added to the mean of the clean plane. Pixels that are ``blank`` do not
        count. ``excess`` is the noise variance of pixels beyond that of the family, if pixels
        differ.
        """
        if blank is not None:
            noisy, clean = (np.where(blank, np.nan, a) for a in (noisy, clean))
        removed = np.asarray(noisy, np.float64) - clean
        variance = np.asarray(family.variance(clean), np.float64)
        if excess is not None:
            # for each pixel: in a mean of squares the noisiest pixels would dominate
            own = np.maximum(variance + excess, _LEAST * variance)
            removed = removed * np.sqrt(np.divide(variance, own, where=own > 0, out=own * 0 + 1))
        unit = standardised(removed, variance)
        usual, mean = float(np.nanmean(variance)), float(np.nanmean(unit))
        centred, unit, removed = (np.nan_to_num(a) for a in (unit - mean, unit, removed))
        count = float(unit.size if blank is None else np.count_nonzero(~blank))
        dark = family.without_light
        sums = (
            count,
            unit.sum(),
            (removed**2).sum() / usual if usual > 0 else 0.0,
            (centred[1:] * centred[:-1]).sum() if len(centred) > 1 else 0.0,
            (centred[:, 1:] * centred[:, :-1]).sum(),
            (centred**2).sum(),
            (removed**2).sum(),
            np.nan if dark is None else np.nansum(clean - dark),
            removed.sum(),
            count * lacked,
            np.nansum(variance),
        )
        return tuple(map(float, sums))

    def check(self) -> ResidualCheck:
        """The check of all planes so far; NaN before the first one."""
        count, total, square, down, right, power, removed = self._sums[:7]
        light, bias, lacked, noise = self._sums[7:]
        if not count:
            unknown = float('nan')
            return ResidualCheck(unknown, unknown, unknown, self._noise_correlation, unknown)
        lit = light > _SIGNIFICANT * noise**0.5
        return ResidualCheck(
            mean=float(total / count),
            variance=float(square / count),
            correlation=float(max(down, right, key=abs) / power) if power > 0 else 0.0,
            noise_correlation=self._noise_correlation,
            removed=float((removed / count) ** 0.5),
            mean_error=float(count**-0.5),
            light=float(bias / light) if lit else None,
            lacked=float(lacked / (light - lacked)) if lit else None,
        )
