"""Blind estimate of gain, offset and read noise, from frame differences or single frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.differences import from_frames
from napari_noise2score.noise.evidence import Disturbances, PhotonTransfer
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.line import fit_family, robust_fit
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.single import from_single_frames

Array = NDArray[np.float64]

SMALLEST = 9
"""Smallest height and width, pixels, from which noise can be estimated."""

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
    """

    family: NoiseFamily
    errors: dict[str, float]
    evidence: PhotonTransfer
    frames: int
    repeated: int
    clipped: float
    pairs: tuple[tuple[FramePair, ...], ...] = ()

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
    def correlation_words(self) -> str:
        """What is known of the correlation between next neighbours."""
        if self.evidence.correlation is None:
            return 'correlation unknown, taken for independent pixels'
        return self.correlation.words

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before relying on the fit, in plain sentences."""
        return self.warnings_for(self.family)

    @property
    def spread(self) -> float:
        """Weighted rms distance of the points from the variance of the family, relative to it."""
        return self.misfit(self.family)

    def misfit(self, family: NoiseFamily) -> float:
        """Weighted rms distance of the points from the variance of a family, relative to it."""
        evidence = self.evidence
        expected = np.asarray(family.variance(evidence.level), dtype=np.float64)
        expected = np.maximum(expected, 1e-3 * evidence.variance.mean())
        off = (evidence.variance / expected - 1) ** 2
        return float(np.average(off, weights=evidence.count) ** 0.5)

    def warnings_for(self, family: NoiseFamily) -> tuple[str, ...]:
        """What a user should know before relying on a noise model for this image."""
        found = []
        misfit = self.misfit(family)
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
            'relative_spread': self.spread,
            'correlation': evidence.correlation and evidence.correlation.to_dict(),
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
        Grey levels, any real dtype, at least 9 x 9 pixels. Frames of one array that show the
        same scene are compared with each other; otherwise each is looked at by itself. A list or
        tuple of arrays holds fields that have the noise in common but not the scene.

    Returns
    -------
    NoiseFit
        Poisson-Gaussian, or Gaussian where the variance does not depend on the intensity.

    Raises
    ------
    InputError
        If the shape is no (Y, X) or (T, Y, X), values are not finite, or there is no noise.

    Notes
    -----
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
    saturation, clipped = _rail(stacks)
    numbers = [_unrepeated(stack) for stack in stacks]
    unique = [stack[kept] for stack, kept in zip(stacks, numbers, strict=True)]
    repeated = sum(map(len, stacks)) - sum(map(len, unique))
    counts = _fewer(unique)

    evidence, pairs = _evidence(unique, counts, saturation)
    if evidence.level.size == 0 or not evidence.variance.max() > 0:
        raise InputError(
            'no noise was found: the image is constant or noise-free; '
            'a noisy, unprocessed image is needed'
        )
    family, errors = fit_family(evidence)
    numbered = tuple(
        tuple(replace(pair, first=kept[pair.first], second=kept[pair.second]) for pair in of_field)
        for kept, of_field in zip(numbers, pairs, strict=True)
    )
    return NoiseFit(family, errors, evidence, sum(counts), repeated, clipped, numbered)


def _evidence(
    fields: Sequence[NDArray[Any]], counts: Sequence[int], saturation: float
) -> tuple[PhotonTransfer, Sequence[tuple[FramePair, ...]]]:
    """Frame differences where they can be trusted, else single frames, and the pairs of frames.

    Motion that no test of a difference notices adds to its variance, structure adds to that of
    single frames. On independent pixels the lower of the two lines is therefore the better one.
    """
    single_frames = [
        frame.astype(np.float64)
        for field, count in zip(fields, counts, strict=True)
        for frame in field[:count]
    ]
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
    stack = np.asarray(field)
    if stack.dtype.kind not in 'uif':
        raise InputError(f'image values are {stack.dtype}; real numbers are needed')
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or min(stack.shape[1:]) < SMALLEST or len(stack) == 0:
        raise InputError(
            f'image shape is {np.shape(field)}; (Y, X) or (T, Y, X) with at least '
            f'{SMALLEST} x {SMALLEST} pixels is needed to estimate noise; '
            'give the noise parameters instead'
        )
    if not np.isfinite(stack).all():
        raise InputError('the image holds NaN or infinite values; finite grey levels are needed')
    return stack


def _rail(stacks: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Grey level of clipping (``inf`` if none) and the share of values there."""
    top = max(float(stack.max()) for stack in stacks)
    bottom = min(float(stack.min()) for stack in stacks)
    total = sum(stack.size for stack in stacks)
    at_top = sum(int((stack == top).sum()) for stack in stacks)
    # down to the next value at least: where photons are few, there are few values, far apart
    lower = max(float(np.max(stack, where=stack < top, initial=bottom)) for stack in stacks)
    near = min(top - 0.02 * (top - bottom), lower)
    below = sum(int(((stack >= near) & (stack < top)).sum()) for stack in stacks)
    clipped = at_top > 20 and at_top > below and lower > bottom  # binary frames have no rail
    kind = stacks[0].dtype
    if kind.kind in 'ui' and top == np.iinfo(kind).max:
        clipped = True
    return (top, at_top / total) if clipped else (float('inf'), 0.0)


def _unrepeated(stack: NDArray[Any]) -> list[int]:
    """Numbers of the frames that are not equal to an earlier one."""
    seen: dict[bytes, int] = {}
    for index, frame in enumerate(stack):
        seen.setdefault(frame.tobytes(), index)
    return sorted(seen.values())


def _fewer(fields: Sequence[NDArray[Any]]) -> list[int]:
    """Of how many frames of each field the noise is measured, so that it stays quick."""
    share = max(2, _MOST_FRAMES // len(fields))
    budget = max(1, _MOST_PIXELS // (fields[0].shape[1] * fields[0].shape[2]))
    step = max(1, len(fields) * 2 // max(2, min(_MOST_FRAMES, budget)))
    most = min(share, max(2, budget))
    return [0 if number % step else min(len(field), most) for number, field in enumerate(fields)]
