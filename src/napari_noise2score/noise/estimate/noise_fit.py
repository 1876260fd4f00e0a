"""The result of a noise estimate: a noise model, its evidence, and warnings for the user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.digits import counted
from napari_noise2score.noise.families import Gaussian, NoiseFamily, PoissonGaussian
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.patterns.shared import RowNoise
from napari_noise2score.noise.photon_transfer import (
    Disturbances,
    PhotonTransfer,
    PhotonTransferLine,
)

Array = NDArray[np.float64]

_DARKEST = 1e-3
"""Noise variance below which a level counts as noise-free, relative to the mean variance."""
_MISFIT = 0.25
"""Relative distance of the variance from a noise model that is reported as a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseFit:
    """A noise model and its evidence.

    Attributes
    ----------
    line : PhotonTransferLine
        The fitted line, with its standard errors.
    evidence : PhotonTransfer
        The binned points that the line was fitted to.
    frames : int
        Number of frames that were used.
    repeated : int
        Number of frames that were excluded because they repeat an earlier one.
    clipped : float
        Share of values at the upper end of the range of the detector.
    pairs : tuple of tuple of FramePair
        For each field of the image the pairs of its frames of one scene; empty if the evidence is
        not from frame differences.
    blank : float
        Share of values without noise (see `napari_noise2score.noise.blank`), which were excluded.
    cut : float
        Share of values that are clipped at the lower end of the range; they and the pixels around
        them were excluded.
    refined : bool
        Whether the correlation was measured on the residual of a denoiser
        (`napari_noise2score.noise.estimate.residual_correlation`).
    rounded : bool
        Whether the noise is hardly more than the rounding to whole numbers.
    family : NoiseFamily
        The noise model of the line: `PoissonGaussian`, or `Gaussian` if the variance does not
        depend on the intensity.

    Raises
    ------
    InputError
        On construction, when a parameter of the family is not finite or out of its range.
    """

    line: PhotonTransferLine
    evidence: PhotonTransfer
    frames: int
    repeated: int
    clipped: float
    pairs: tuple[tuple[FramePair, ...], ...] = ()
    blank: float = 0.0
    cut: float = 0.0
    refined: bool = False
    rounded: bool = False
    family: NoiseFamily = field(init=False)

    def __post_init__(self) -> None:
        line = self.line
        family = (
            PoissonGaussian(line.slope, line.offset, line.read_noise)
            if line.rises
            else Gaussian(line.read_noise)
        )
        object.__setattr__(self, 'family', family)

    @property
    def errors(self) -> dict[str, float]:
        """Standard error of each parameter of the family, in its own unit."""
        line = self.line
        if not line.rises:
            return {'sigma': line.read_noise_error}
        return {
            'gain': line.slope_error,
            'offset': line.offset_error,
            'read_noise': line.read_noise_error,
        }

    @property
    def compared(self) -> bool:
        """Whether there are frames of one scene that were compared with each other."""
        return self.evidence.method == 'frame differences'

    @property
    def doubt(self) -> float:
        """Relative standard error of the noise variance."""
        line = self.line
        if line.rises:
            return line.slope_error / line.slope
        return 2 * line.read_noise_error / line.read_noise

    @property
    def correlation(self) -> Correlation:
        """Correlation of the noise between pixels; white if it is small or unknown."""
        measured = self.evidence.correlation
        return Correlation.white() if measured is None else measured.relevant

    @property
    def rows(self) -> RowNoise:
        """Offsets that whole rows, columns or waves have in common."""
        return self.evidence.rows

    @property
    def correlation_words(self) -> str:
        """Description of the correlation of adjacent pixels."""
        if self.evidence.correlation is None:
            return 'correlation unknown, treated as independent pixels'
        return self.evidence.correlation.words

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the fit for the user, as sentences."""
        sentences = self.warnings_for(self.family)
        if self.rows.detected:
            sentences = (*sentences, f'{self.rows.sentence}; denoising removes them.')
        if self.blank:
            share = f'{100 * self.blank:.2g} % of the pixels'
            sentences = (
                *sentences,
                f'{share} contain no noise (constant, or NaN) and were not used.',
            )
        return sentences

    @property
    def spread(self) -> float:
        """Weighted rms distance of the points from the variance of the family, relative to it."""
        return self.misfit(self.family)

    def misfit(self, family: NoiseFamily) -> float:
        """Weighted rms distance of the points from the variance of a family, relative to it."""
        off, count = self._distances(family)
        return float(np.average(off, weights=count) ** 0.5)

    def _distances(self, family: NoiseFamily) -> tuple[Array, Array]:
        """Squared relative distances of the points from the variance of a family, and weights."""
        evidence = self.evidence
        expected = np.asarray(family.variance(evidence.level), dtype=np.float64)
        least = _DARKEST * float(evidence.variance.mean())
        seen = (
            np.maximum(expected, evidence.variance) > least
        )  # otherwise no noise is measured, and none expected
        off = (evidence.variance / np.maximum(expected, least) - 1) ** 2
        return off[seen], evidence.count[seen]

    def warnings_for(self, family: NoiseFamily) -> tuple[str, ...]:
        """Warnings for the user if this noise model is used for the image."""
        sentences = []
        off, count = self._distances(family)
        # a mean of N squares scatters by 3 / N: a difference of few pixels is not significant
        misfit = max(float(np.average(off - 3 / count, weights=count)), 0.0) ** 0.5
        if not self.correlation.is_white:
            sentences.append(
                'The noise is correlated between neighbouring pixels '
                f'({self.correlation.neighbours:.2f}).'
            )
        if misfit > _MISFIT:
            sentences.append(
                f'The variance of the noise in the image differs by {100 * misfit:.0f} % from '
                f'that of {family.label} noise with these parameters; check them.'
            )
        sentences.extend(_sentences(self.evidence.disturbances))
        if self.clipped > 0.01:
            sentences.append(f'{100 * self.clipped:.1f} % of the pixels are saturated.')
        if self.cut > 0.01:
            sentences.append(
                f'{100 * self.cut:.1f} % of the pixels are cut off at the lower end of the '
                'range (a black level set too high): dark details are lost there.'
            )
        if self.rounded:
            sentences.append(
                'The noise is hardly more than the rounding to whole numbers: the image has no '
                'other noise (computed, averaged or denoised before?), and there is nothing to '
                'remove.'
            )
        if self.repeated:
            were = 'was' if self.repeated == 1 else 'were'
            frames = counted(self.repeated, 'repeated frame')
            sentences.append(f'{frames} {were} not used to estimate the noise.')
        return tuple(sentences)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON, evidence included."""
        evidence = self.evidence
        return {
            'noise': self.family.to_dict(),
            'standard_errors': self.errors,
            'method': evidence.method,
            'frames': self.frames,
            'repeated_frames': self.repeated,
            'clipped_share': self.clipped,
            'blank_share': self.blank,
            'cut_share': self.cut,
            'relative_spread': self.spread,
            'correlation': evidence.correlation and evidence.correlation.to_dict(),
            'row_noise': evidence.rows.to_dict(),
            'points': {
                'level': evidence.level.tolist(),
                'variance': evidence.variance.tolist(),
                'count': evidence.count.tolist(),
            },
            'warnings': list(self.warnings),
        }


def _sentences(seen: Disturbances) -> list[str]:
    """Warnings of effects other than noise, one sentence each."""
    sentences = []
    if seen.unsteady:
        sentences.append(
            'The frames differ by more than noise (motion, other scenes), so the noise was '
            'estimated in each frame by itself.'
        )
    elif seen.moving > 0.02:
        sentences.append(
            f'Moving places were left out of the noise estimate ({100 * seen.moving:.0f} %).'
        )
    if seen.bleaching > 0.05:
        sentences.append(
            f'The light fades by {100 * seen.bleaching:.0f} % over the frames (bleaching).'
        )
    if seen.flicker > 0.05:
        sentences.append(
            f'The light of the frames differs by up to {100 * seen.flicker:.0f} % from their '
            'trend (flicker, flash). This was corrected before the frames were compared.'
        )
    if seen.other_scenes > 0:
        sentences.append(
            f'{100 * seen.other_scenes:.0f} % of the neighbouring frames do not show the same '
            'scene (motion, cut, dark frame) and were not compared to estimate the noise.'
        )
    if seen.offset_range > 0:
        sentences.append(
            f'The offset differs by up to {seen.offset_range:.2g} grey levels between frames; '
            'the estimated offset is their mean.'
        )
    if seen.hot > 1e-4:
        sentences.append(
            f'{100 * seen.hot:.2g} % of the pixels stand out from all their neighbours (hot '
            'pixels, cosmic rays) and were left out of the noise estimate.'
        )
    return sentences
