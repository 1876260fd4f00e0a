r"""Blind estimate of gain, offset and read noise: the photon-transfer fit.

Noise of a photon detector has the variance ``gain (x - offset) + read_noise^2``, a straight line
in the clean intensity ``x`` (Janesick, "Photon Transfer", 2007). The line gives the gain and one
combination of offset and read noise. What separates these two is the third cumulant: photons are
skewed, ``gain^2 (x - offset)``, read noise is not.
"""

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
from napari_noise2score.noise.families import Gaussian, NoiseFamily, PoissonGaussian
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
_LEAST_LINE = 3.0
"""A slope below this many standard errors is no photon-transfer line."""
_MISFIT = 0.25
"""Relative distance of the variance from a noise model that is worth a word."""
_LEAST_RISE = 0.02
"""A line that rises by less than this share over the levels seen is flat."""


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
    """

    family: NoiseFamily
    errors: dict[str, float]
    evidence: PhotonTransfer
    frames: int
    repeated: int
    clipped: float

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
        said.append('The frames differ by more than noise (motion); each was used by itself.')
    elif found.moving > 0.02:
        said.append(f'Places that moved were left out ({100 * found.moving:.0f} %).')
    if found.bleaching > 0.05:
        said.append(
            f'The light fades by {100 * found.bleaching:.0f} % over the frames (bleaching).'
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
    unique = [_unrepeated(stack) for stack in stacks]
    repeated = sum(map(len, stacks)) - sum(map(len, unique))
    groups = _fewer([stack.astype(np.float64) for stack in unique])
    frames = sum(map(len, groups))

    evidence = _evidence(groups, saturation)
    if evidence.level.size == 0 or not evidence.variance.max() > 0:
        raise InputError(
            'no noise was found: the image is constant or noise-free; '
            'a noisy, unprocessed image is needed'
        )
    family, errors = _fit(evidence)
    return NoiseFit(family, errors, evidence, frames, repeated, clipped)


def _evidence(groups: Sequence[Array], saturation: float) -> PhotonTransfer:
    """Frame differences where they can be trusted, else single frames.

    Motion that no test of a difference notices adds to its variance, structure adds to that of
    single frames. On independent pixels the lower of the two lines is therefore the better one.
    """
    single_frames = [frame for group in groups for frame in group]
    several = [group for group in groups if len(group) > 1]
    step = -(-len(single_frames) // _MOST_CHECKED)
    with ThreadPoolExecutor(1) as beside:  # mostly needed too, and each takes one processor core
        checked = beside.submit(from_single_frames, single_frames[::step], saturation)
        differences = from_frames(several, saturation) if several else None
    if differences is None:
        single = checked.result() if step == 1 else from_single_frames(single_frames, saturation)
        return _unsteady(single) if several else single
    measured = differences.correlation or Correlation.white()
    correlated = not measured.noticed.is_white
    if correlated or differences.level.size < 3:
        return differences
    single = checked.result()
    if single.level.size < 3:
        return differences
    steepness = [_line(e.level, e.variance, e.count)[0] for e in (differences, single)]
    if steepness[0] <= _HIDDEN_MOTION * max(steepness[1], 0.0):
        return differences
    return _unsteady(from_single_frames(single_frames, saturation))


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


def _unrepeated(stack: NDArray[Any]) -> NDArray[Any]:
    """The stack without frames that are equal to an earlier one."""
    seen: dict[bytes, int] = {}
    for index, frame in enumerate(stack):
        seen.setdefault(frame.tobytes(), index)
    return stack[sorted(seen.values())]


def _fewer(groups: list[Array]) -> list[Array]:
    """At most so many frames that the estimate stays quick, spread over the groups."""
    share = max(2, _MOST_FRAMES // len(groups))
    budget = max(1, _MOST_PIXELS // (groups[0].shape[1] * groups[0].shape[2]))
    keep = [group[: min(share, max(2, budget))] for group in groups]
    step = max(1, len(keep) * 2 // max(2, min(_MOST_FRAMES, budget)))
    return keep[::step]


def _fit(evidence: PhotonTransfer) -> tuple[NoiseFamily, dict[str, float]]:
    level, variance, count = evidence.level, evidence.variance, evidence.count
    slope, intercept, covariance = _line(level, variance, count)
    line = slope * level + intercept
    rise = slope * (level.max() - level.min()) / max(float(np.abs(line).max()), 1e-300)
    if level.size < 3 or slope <= _LEAST_LINE * covariance[0, 0] ** 0.5 or rise < _LEAST_RISE:
        mean = float(np.average(variance, weights=count))
        sigma = mean**0.5
        return Gaussian(sigma), {'sigma': sigma / (2 * count.sum()) ** 0.5}

    whole = np.maximum(line, 1e-3 * variance.mean())
    line_offset = -intercept / slope
    offset, offset_error = _offset(evidence, slope, whole, line_offset)
    # on the line's own zero there is no read noise, whatever the rounding says
    read_noise = max(slope * offset + intercept, 0.0) ** 0.5 if offset > line_offset else 0.0
    line_error = _line_offset_error(slope, line_offset, covariance)
    offset_error = float(np.hypot(offset_error, line_error))
    errors = {
        'gain': covariance[0, 0] ** 0.5,
        'offset': offset_error,
        'read_noise': slope * offset_error / (2 * read_noise) if read_noise > 0 else 0.0,
    }
    return (
        PoissonGaussian(float(slope), float(offset), float(read_noise)),
        {k: float(v) for k, v in errors.items()},
    )


def _line(level: Array, variance: Array, count: Array) -> tuple[float, float, Array]:
    """Robust weighted line; slope, intercept and their covariance.

    The weight of a point comes from the line, not from the point, which would favour points that
    came out low; points that are far off (texture, hot pixels) lose weight after Huber.
    """
    centre, width = float(level.mean()), float(level.std())
    if width <= 1e-9 * max(1.0, abs(centre)):
        return 0.0, float(np.average(variance, weights=count)), np.eye(2)
    design: Array = np.stack([(level - centre) / width, np.ones_like(level)], axis=1)
    expected: Array = np.full_like(variance, float(np.average(variance, weights=count)))
    robust: Array = np.ones_like(variance)
    floor = 0.02 * float(np.median(variance)) + 1e-12
    for _ in range(12):
        weight = robust * count / (3 * expected**2)
        normal = design.T @ (weight[:, None] * design)
        covariance: Array = np.asarray(np.linalg.inv(normal), dtype=np.float64)
        found: Array = covariance @ (design.T @ (weight * variance))
        expected = np.maximum(design @ found, floor).astype(np.float64)
        pull = (variance - design @ found) * np.sqrt(count / 3) / expected
        scatter = max(1.4826 * float(np.median(np.abs(pull))), 1.0)
        robust = np.asarray(np.minimum(1.0, 1.5 * scatter / np.maximum(np.abs(pull), 1e-12)))
    back = np.array([[1 / width, 0.0], [-centre / width, 1.0]])
    slope, intercept = back @ found
    return float(slope), float(intercept), scatter**2 * back @ covariance @ back.T


def _line_offset_error(slope: float, line_offset: float, covariance: Array) -> float:
    gradient = np.array([-line_offset, -1.0]) / slope
    return float((gradient @ covariance @ gradient) ** 0.5)


def _offset(
    evidence: PhotonTransfer, gain: float, variance: Array, line_offset: float
) -> tuple[float, float]:
    """Offset and its standard error; what lies above the line's zero is read noise.

    With read noise the line crosses zero below the offset, at ``offset - read_noise^2 / gain``.
    Each level tells the offset as ``level - third cumulant / gain^2``.
    """
    usable = np.isfinite(evidence.third)
    if not usable.any():
        return line_offset, 0.0
    level, third, count = (a[usable] for a in (evidence.level, evidence.third, evidence.count))
    noise = variance[usable]
    error = np.sqrt((evidence.third_scatter * noise**3 + gain**4 * noise) / count) / gain**2
    weight = error**-2
    each = level - third / gain**2
    offset = float(np.average(each, weights=weight))
    doubt = float(weight.sum() ** -0.5)
    if offset - line_offset < 2 * doubt:
        return line_offset, 0.0
    return min(offset, float(level.min())), doubt
