"""Blind estimate of gain, offset and read noise, from frame differences or single frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.arrays import as_numpy, readable
from napari_noise2score.noise.blank import single_valued
from napari_noise2score.noise.common import RowNoise
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.differences import from_frames
from napari_noise2score.noise.evidence import Disturbances, PhotonTransfer
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.line import fit_family, robust_fit
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.single import from_single_frames
from napari_noise2score.noise.units import IntensityUnit
from napari_noise2score.noise.usable import (
    UsableFrames,
    ValueRange,
    enough_is_left,
    is_cut_off,
)

Array = NDArray[np.float64]

SMALLEST = 9
"""Smallest height and width, pixels, from which noise can be estimated."""

_NO_NOISE = (
    'no noise was found: the image is constant or noise-free; a noisy, unprocessed image is needed'
)
_DARKEST = 1e-3
"""Noise variance, as a share of the mean one, below which none is expected or seen."""
_FEWEST_LEVELS = 3
_MOST_FRAMES = 24
_MOST_PIXELS = 4_000_000
_HIDDEN_MOTION = 1.2
"""A line from frame differences this much steeper than that of single frames shows motion."""
_MOST_CHECKED = 4
"""Single frames that are compared with the frame differences."""
_MISFIT = 0.25
"""Relative distance of the variance from a noise model that is worth a word."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseFit:
    """A noise model and what speaks for it.

    Attributes
    ----------
    family : NoiseFamily
        `PoissonGaussian`, or `Gaussian` when the variance does not depend on the intensity.
    errors : dict
        Standard error of each parameter of the family, in its own unit.
    evidence : PhotonTransfer
        The binned points that the line was fitted to.
    frames : int
        Frames that were used.
    repeated : int
        Frames left out because an identical one was there already.
    clipped : float
        Share of values at the upper rail of the detector.
    pairs : tuple of tuple of FramePair
        For each field of the image its frames of one scene, by their numbers in it; none if the
        evidence is not from frame differences.
    blank : float
        Share of values that hold no noise (see `napari_noise2score.noise.blank`) and were left
        out.
    cut : float
        Share of values that were cut off at the lower end of the range; they, and what is near
        them, were left out.
    refined : bool
        Whether the correlation was measured on what a denoiser removes
        (`napari_noise2score.noise.residual_correlation`).
    """

    family: NoiseFamily
    errors: dict[str, float]
    evidence: PhotonTransfer
    frames: int
    repeated: int
    clipped: float
    pairs: tuple[tuple[FramePair, ...], ...] = ()
    blank: float = 0.0
    cut: float = 0.0
    refined: bool = False

    @property
    def compared(self) -> bool:
        """Whether frames were found to show one scene and compared with each other."""
        return self.evidence.method == 'frame differences'

    @property
    def doubt(self) -> float:
        """Relative standard error of the noise variance."""
        values = self.family.parameters()
        shares = {
            name: power * self.errors[name] / values[name]
            for name, power in (('gain', 1.0), ('sigma', 2.0))
            if name in self.errors and values[name] > 0
        }
        return max(shares.values(), default=0.0)

    @property
    def correlation(self) -> Correlation:
        """Correlation of the noise between pixels; white if little or unknown."""
        measured = self.evidence.correlation
        return Correlation.white() if measured is None else measured.noticed

    @property
    def rows(self) -> RowNoise:
        """Offsets that whole rows, columns or waves have in common."""
        return self.evidence.rows

    @property
    def correlation_words(self) -> str:
        """What is known of the correlation between next neighbours."""
        if self.evidence.correlation is None:
            return 'correlation unknown, treated as independent pixels'
        return self.evidence.correlation.words

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before relying on the fit, in plain sentences."""
        found = self.warnings_for(self.family)
        if self.rows.found:
            found = (*found, f'{self.rows.sentence}; denoising takes them off.')
        if self.blank:
            share = f'{100 * self.blank:.2g} % of the pixels'
            found = (*found, f'{share} hold no noise (constant, or no number) and did not count.')
        return found

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
        seen = np.maximum(expected, evidence.variance) > least  # else no noise, and none expected
        off = (evidence.variance / np.maximum(expected, least) - 1) ** 2
        return off[seen], evidence.count[seen]

    def warnings_for(self, family: NoiseFamily) -> tuple[str, ...]:
        """What a user should know before relying on a noise model for this image."""
        found = []
        off, count = self._distances(family)
        # a mean of N squares scatters by 3 / N: what few pixels differ by says nothing
        misfit = max(float(np.average(off - 3 / count, weights=count)), 0.0) ** 0.5
        if not self.correlation.is_white:
            found.append(
                'The noise is correlated between neighbouring pixels '
                f'({self.correlation.neighbours:.2f}).'
            )
        if misfit > _MISFIT:
            found.append(
                f'The noise in the image is {100 * misfit:.0f} % off the variance of '
                f'{family.label} noise with these parameters; check them.'
            )
        found.extend(_sentences(self.evidence.disturbances))
        if self.clipped > 0.01:
            found.append(f'{100 * self.clipped:.1f} % of the pixels are saturated.')
        if self.cut > 0.01:
            found.append(
                f'{100 * self.cut:.1f} % of the pixels are cut off at the lower end of the range '
                '(a black level set too high): what is dark there cannot be told.'
            )
        if self.repeated:
            found.append(f'{self.repeated} repeated frame(s) were not counted.')
        return tuple(found)

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


def _sentences(found: Disturbances) -> list[str]:
    """What was found besides noise, in plain words."""
    said = []
    if found.unsteady:
        said.append(
            'The frames differ by more than noise (motion, other scenes); each was used by itself.'
        )
    elif found.moving > 0.02:
        said.append(f'Places that moved were left out ({100 * found.moving:.0f} %).')
    if found.bleaching > 0.05:
        said.append(
            f'The light fades by {100 * found.bleaching:.0f} % over the frames (bleaching).'
        )
    if found.flicker > 0.05:
        said.append(
            f'The light of the frames differs by up to {100 * found.flicker:.0f} % from their '
            'trend (flicker, flash). This was taken out before frames were compared.'
        )
    if found.other_scenes > 0:
        said.append(
            f'{100 * found.other_scenes:.0f} % of the neighbouring frames do not show one scene '
            '(motion, cut, dark frame) and were not compared with each other.'
        )
    if found.offset_range > 0:
        said.append(
            f'The offset differs by up to {found.offset_range:.2g} grey levels between frames; '
            'the estimate is that of their mean.'
        )
    if found.hot > 1e-4:
        said.append(
            f'{100 * found.hot:.2g} % of the pixels stand out from all their neighbours (hot '
            'pixels, cosmic rays) and were left out.'
        )
    return said


def estimate_noise(image: ArrayLike | Sequence[ArrayLike]) -> NoiseFit:
    """Noise model of an image or a stack, from the data alone.

    Parameters
    ----------
    image : (Y, X) or (T, Y, X) array, or a sequence of such
        Grey levels, any real dtype and unit, at least 9 x 9 pixels. Frames of one array that show
        the same scene are compared with each other; otherwise each is looked at by itself. A list
        or tuple of arrays holds fields that have the noise in common but not the scene.

    Returns
    -------
    NoiseFit
        Poisson-Gaussian, or Gaussian where the variance does not depend on the intensity.

    Raises
    ------
    InputError
        If the shape is no (Y, X) or (T, Y, X), or there is no noise.

    Notes
    -----
    Places without noise (padding, masks, dropped frames, NaN) do not count.
    From frames of one scene, bleaching and offsets that differ between frames are fitted and
    removed, moving places, hot pixels and clipped values left out; `NoiseFit.warnings` says so.
    From single frames, noise that is correlated between pixels is noticed where patches of
    16 x 16 pixels are flat, and taken for independent where none are. Takes about a second for
    4 x 512 x 512 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_noise2score import PoissonGaussian, estimate_noise
    >>> rng = np.random.default_rng(0)
    >>> clean = 20 + 4 * np.linspace(1, 30, 256) * np.ones((4, 256, 1))
    >>> fit = estimate_noise(PoissonGaussian(4, 20, 3).sample(clean, rng))
    >>> bool(abs(fit.family.gain - 4) < 0.2)
    True
    """
    several = isinstance(image, (list, tuple)) and all(hasattr(f, 'shape') for f in image)
    fields: list[Any] = list(image) if several else [image]  # type: ignore[arg-type]
    stacks = [_checked(field) for field in fields]
    varied = [[n for n, frame in enumerate(s) if not single_valued(frame)] for s in stacks]
    numbers = [_unrepeated(stack, own) for stack, own in zip(stacks, varied, strict=True)]
    repeated = sum(map(len, varied)) - sum(map(len, numbers))
    there = [place for place, own in enumerate(numbers) if own]
    if not there:
        raise InputError(_NO_NOISE)
    unit = IntensityUnit.of(
        [stacks[place][number] for place in there for number in numbers[place]]
    )
    usable = [UsableFrames(stacks[place], numbers[place], unit) for place in there]
    counts = _fewer(usable)
    counted = [f for frames, count in zip(usable, counts, strict=True) for f in frames[:count]]
    values = ValueRange(counted, unit.last(stacks[0].dtype))
    saturation, clipped = values.rail
    blank = 1 - values.count / sum(frame.size for frame in counted)

    evidence, pairs = _evidence(usable, counts, saturation)
    if evidence.level.size == 0 or not evidence.variance.max() > 0:
        raise InputError(_NO_NOISE)
    family, errors = fit_family(evidence)
    cut = 0.0
    if values.piles_up_below:
        lit = [frames.without(values.bottom) for frames in usable]
        if enough_is_left(frame for one, n in zip(lit, counts, strict=True) for frame in one[:n]):
            other, of_other = _evidence(lit, counts, saturation)
            if other.level.size >= _FEWEST_LEVELS:
                found, doubts = fit_family(other)
                if is_cut_off(family, found, doubts, values.bottom):
                    family, errors, evidence, pairs = found, doubts, other, of_other
                    cut = values.at_bottom / values.count
    numbered: list[tuple[FramePair, ...]] = [()] * len(stacks)
    for place, of_field in zip(there, pairs, strict=True):
        own = numbers[place]
        numbered[place] = tuple(
            unit.pair(replace(pair, first=own[pair.first], second=own[pair.second]))
            for pair in of_field
        )
    return NoiseFit(
        unit.family(family),
        {name: error * unit.step for name, error in errors.items()},
        unit.evidence(evidence),
        sum(counts),
        repeated,
        clipped,
        tuple(numbered),
        blank,
        cut,
    )


def _evidence(
    fields: Sequence[UsableFrames], counts: Sequence[int], saturation: float
) -> tuple[PhotonTransfer, Sequence[tuple[FramePair, ...]]]:
    """Frame differences where they can be trusted, else single frames, and the pairs of frames.

    Motion that no test of a difference notices adds to its variance, structure adds to that of
    single frames. On independent pixels the lower of the two lines is therefore the better one.
    """
    every = (f for field, count in zip(fields, counts, strict=True) for f in field[:count])
    single_frames = [frame for frame in every if not np.isnan(frame).all()]
    several = any(count > 1 for count in counts)
    step = -(-len(single_frames) // _MOST_CHECKED)
    no_pairs: list[tuple[FramePair, ...]] = [()] * len(fields)
    differences, pairs = None, no_pairs
    with ThreadPoolExecutor(1) as beside:  # mostly needed too, and each takes one processor core
        checked = beside.submit(from_single_frames, single_frames[::step], saturation)
        if several:
            differences, pairs = from_frames(fields, saturation, counts)
    if differences is None:
        single = checked.result() if step == 1 else from_single_frames(single_frames, saturation)
        return (_unsteady(single) if several else single), no_pairs
    measured = differences.correlation or Correlation.white()
    correlated = not measured.noticed.is_white
    if correlated or differences.level.size < 3:
        return differences, pairs
    single = checked.result()
    if single.level.size < 3:
        return differences, pairs
    steepness = [robust_fit(e.level, e.variance, e.count)[0] for e in (differences, single)]
    if steepness[0] <= _HIDDEN_MOTION * max(steepness[1], 0.0):
        return differences, pairs
    return _unsteady(from_single_frames(single_frames, saturation)), no_pairs


def _unsteady(single: PhotonTransfer) -> PhotonTransfer:
    return replace(single, disturbances=replace(single.disturbances, unsteady=True))


def _checked(field: ArrayLike) -> NDArray[Any]:
    array = field if hasattr(field, 'dtype') else np.asarray(field)
    stack = as_numpy(readable(array, 'image'))
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or min(stack.shape[1:]) < SMALLEST or len(stack) == 0:
        raise InputError(
            f'image shape is {np.shape(field)}; (Y, X) or (T, Y, X) with at least '
            f'{SMALLEST} x {SMALLEST} pixels is needed to estimate noise; '
            'give the noise parameters instead'
        )
    return stack


def _unrepeated(stack: NDArray[Any], numbers: Sequence[int]) -> list[int]:
    """Those frames that are not equal to an earlier one."""
    seen: dict[bytes, int] = {}
    for number in numbers:
        seen.setdefault(stack[number].tobytes(), number)
    return sorted(seen.values())


def _fewer(fields: Sequence[UsableFrames]) -> list[int]:
    """Of how many frames of each field the noise is measured, so that it stays quick."""
    share = max(2, _MOST_FRAMES // len(fields))
    budget = max(1, _MOST_PIXELS // (fields[0].shape[0] * fields[0].shape[1]))
    step = max(1, len(fields) * 2 // max(2, min(_MOST_FRAMES, budget)))
    most = min(share, max(2, budget))
    return [0 if number % step else min(len(field), most) for number, field in enumerate(fields)]
