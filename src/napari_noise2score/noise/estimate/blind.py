"""Blind estimate of gain, offset and read noise, from frame differences or single frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError, NoNoiseError
from napari_noise2score.noise.arrays import as_numpy, check_array, readable
from napari_noise2score.noise.blank import blank, single_valued
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.frame_differences import from_frames
from napari_noise2score.noise.estimate.intensity_unit import IntensityUnit
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.estimate.photon_transfer_fit import photon_transfer_line, robust_fit
from napari_noise2score.noise.estimate.single_frames import (
    from_single_frames,
    with_correlation,
)
from napari_noise2score.noise.estimate.usable_frames import (
    UsableFrames,
    ValueRange,
    enough_pixels,
    is_clipped_below,
)
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMALLEST = 9
"""Smallest height and width, pixels, from which noise can be estimated."""

_NO_NOISE = (
    'no noise was detected: the image is constant or noise-free; a noisy, unprocessed image is '
    'needed'
)
_ROUNDING = 1.25 / 12
"""Noise variance of whole numbers up to which it is that of their rounding (1 / 12)."""
_LEAST_NOISE = 1e-6
"""Smallest standard deviation of noise, of the range of grey levels."""
_FEW_VALUES, _OF_PHOTONS = 8.0, 0.5
"""Grey levels of binary frames and the like, and grey levels per photon that are counted."""
_FEWEST_LEVELS = 3
_MOST_FRAMES = 24
_MOST_PIXELS = 4_000_000
_HIDDEN_MOTION = 1.2
"""Ratio of the slopes of frame differences and single frames above which there is motion."""
_SIGNIFICANT = 3.0
"""Standard errors by which it must be above that ratio."""
_MOST_CHECKED = 4
"""Maximum number of single frames that are compared with the frame differences."""


def estimate_noise(image: ArrayLike | Sequence[ArrayLike]) -> NoiseFit:
    """Noise model of an image or a stack, from the data alone.

    Parameters
    ----------
    image : (Y, X) or (T, Y, X) array, or a sequence of such
        Grey levels, any real dtype and unit, at least 9 x 9 pixels. Frames of one array that show
        the same scene are compared with each other; otherwise each frame is analysed separately. A
        list or tuple of arrays contains fields of different scenes with the same noise.

    Returns
    -------
    NoiseFit
        Poisson-Gaussian noise, or Gaussian noise if the variance does not depend on the intensity.

    Raises
    ------
    InputError
        If the shape is not (Y, X) or (T, Y, X), or there is no noise.

    Notes
    -----
    Places without noise (padding, masks, dropped frames, NaN) are excluded.
    In frames of one scene, bleaching and offsets that differ between frames are fitted and
    removed; moving places, hot pixels and clipped values are excluded. `NoiseFit.warnings` reports
    this. In single frames, the correlation of the noise between pixels is measured on flat patches
    of 16 x 16 pixels; without such patches the noise is treated as independent. The estimate takes
    about a second for 4 x 512 x 512 pixels.

    The model is the straight line of the photon-transfer curve, ``Var y = gain (x - offset) +
    read_noise^2`` [1]_, fitted with robust weights; docs/method.md, "Blind estimate".

    References
    ----------
    .. [1] Janesick, Photon Transfer, SPIE Press (2007).

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
    masks = [[blank(stack[n]) for n in own] for stack, own in zip(stacks, numbers, strict=True)]
    numbers, masks = _with_image(numbers, masks)
    there = [place for place, own in enumerate(numbers) if own]
    if not there:
        raise NoNoiseError(_NO_NOISE)
    unit = IntensityUnit.of(
        [
            stacks[place][number] if mask is None else stacks[place][number][~mask]
            for place in there
            for number, mask in zip(numbers[place], masks[place], strict=True)
        ]
    )
    usable = [UsableFrames(stacks[at], numbers[at], unit, masks[at]) for at in there]
    counts = _fewer(usable)
    counted = [f for frames, count in zip(usable, counts, strict=True) for f in frames[:count]]
    values = ValueRange(counted, unit.last(stacks[0].dtype))
    saturation, clipped = values.rail
    empty = 1 - values.count / sum(frame.size for frame in counted)

    evidence, pairs = _evidence(usable, counts, saturation)
    if evidence.level.size == 0 or not _is_noise(evidence):
        raise NoNoiseError(_NO_NOISE)
    line = photon_transfer_line(evidence)
    cut = 0.0
    if values.may_be_clipped_below:
        lit = [frames.without(values.bottom) for frames in usable]
        if enough_pixels(frame for one, n in zip(lit, counts, strict=True) for frame in one[:n]):
            other, of_other = _evidence(lit, counts, saturation)
            if other.correlation is None and evidence.correlation is not None:
                other = with_correlation(other, evidence.correlation)  # few patches are left
            if other.level.size >= _FEWEST_LEVELS:
                lit_line = photon_transfer_line(other)
                if is_clipped_below(line, lit_line, values.bottom):
                    line, evidence, pairs = lit_line, other, of_other
                    cut = values.at_bottom / values.count
    numbered: list[tuple[FramePair, ...]] = [()] * len(stacks)
    for place, of_field in zip(there, pairs, strict=True):
        own = numbers[place]
        numbered[place] = tuple(
            unit.pair(replace(pair, first=own[pair.first], second=own[pair.second]))
            for pair in of_field
        )
    fitted, points = unit.line(line), unit.evidence(evidence)
    whole = all(stack.dtype.kind in 'iu' for stack in stacks)
    return NoiseFit(
        fitted,
        points,
        sum(counts),
        repeated,
        clipped,
        tuple(numbered),
        empty,
        cut,
        rounded=whole and _is_rounding(fitted, points),
    )


def _is_noise(points: PhotonTransfer) -> bool:
    """Whether the variance is more than the rounding to single precision gives."""
    return bool(points.variance.max() > (_LEAST_NOISE * np.ptp(points.level)) ** 2)


def _is_rounding(line: PhotonTransferLine, points: PhotonTransfer) -> bool:
    """Whether whole numbers of many levels have no more noise than rounding gives them.

    The variance of single photons, of one grey level or more each, is small too, but rises.
    """
    many = np.ptp(points.level) > _FEW_VALUES
    rises = line.rises and line.slope > _OF_PHOTONS
    return bool(many and not rises and np.median(points.variance) < _ROUNDING)


def _evidence(
    fields: Sequence[UsableFrames], counts: Sequence[int], saturation: float
) -> tuple[PhotonTransfer, Sequence[tuple[FramePair, ...]]]:
    """Evidence from frame differences if they are reliable, otherwise from single frames; and the
    pairs of frames.

    Undetected motion adds to the variance of differences, and structure adds to that of single
    frames. For independent pixels the lower of the two lines is therefore the better one. If the
    differences are correlated as structure is, the frames show different scenes.
    """
    every = (f for field, count in zip(fields, counts, strict=True) for f in field[:count])
    single_frames = [frame for frame in every if not np.isnan(frame).all()]
    several = any(count > 1 for count in counts)
    step = -(-len(single_frames) // _MOST_CHECKED)
    no_pairs: list[tuple[FramePair, ...]] = [()] * len(fields)
    differences, pairs = None, no_pairs
    # in most cases both are needed, and each uses one processor core
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(from_single_frames, single_frames[::step], saturation)
        if several:
            differences, pairs = from_frames(fields, saturation, counts)

    def each_alone() -> PhotonTransfer:
        single = checked.result() if step == 1 else from_single_frames(single_frames, saturation)
        return _unsteady(single) if several else single

    if differences is None:
        return each_alone(), no_pairs
    measured = differences.correlation or Correlation.white()
    if measured.of_structure:
        return each_alone(), no_pairs
    correlated = not measured.relevant.is_white
    if correlated or differences.level.size < 3:
        return differences, pairs
    single = checked.result()
    if single.level.size < 3:
        return differences, pairs
    differences = _with_third_cumulants(differences, single)
    if not _is_steeper(differences, single):
        return differences, pairs
    # offsets of rows make levels uncertain, and the line of single frames flatter
    if differences.rows.detected and (
        differences.mean_variance <= _HIDDEN_MOTION * single.mean_variance
    ):
        return differences, pairs
    return each_alone(), no_pairs


def _is_steeper(differences: PhotonTransfer, single: PhotonTransfer) -> bool:
    """Whether the line of frame differences is so much steeper that motion must be the reason."""
    (line, covariance), (other, of_other) = robust_fit(differences), robust_fit(single)
    surplus = line.slope - _HIDDEN_MOTION * max(other.slope, 0.0)
    error = (covariance[0, 0] + _HIDDEN_MOTION**2 * of_other[0, 0]) ** 0.5
    return bool(surplus > _SIGNIFICANT * error)


def _with_third_cumulants(differences: PhotonTransfer, single: PhotonTransfer) -> PhotonTransfer:
    """Frame differences with the third cumulants of single frames, if they have none.

    The difference of two frames is symmetric: only three of them tell the third cumulant.
    """
    known = np.isfinite(single.third)
    if np.isfinite(differences.third).any() or not known.any():
        return differences
    fewer = float(differences.count.sum() / single.count[known].sum())
    return replace(
        differences,
        third=np.interp(differences.level, single.level[known], single.third[known]),
        third_scatter=single.third_scatter * fewer,
    )


def _unsteady(single: PhotonTransfer) -> PhotonTransfer:
    return replace(single, disturbances=replace(single.disturbances, unsteady=True))


def _checked(field: ArrayLike) -> NDArray[Any]:
    check_array(field, 'image')
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
    """Numbers of the frames that are not equal to an earlier one."""
    seen: dict[bytes, int] = {}
    for number in numbers:
        seen.setdefault(stack[number].tobytes(), number)
    return sorted(seen.values())


def _with_image(
    numbers: Sequence[list[int]], masks: Sequence[list[Mask | None]]
) -> tuple[list[list[int]], list[list[Mask | None]]]:
    """The frames, and their blank places, without those that are blank everywhere."""
    kept = [
        [
            (number, mask)
            for number, mask in zip(*field, strict=True)
            if mask is None or not mask.all()
        ]
        for field in zip(numbers, masks, strict=True)
    ]
    return [[n for n, _ in field] for field in kept], [[m for _, m in field] for field in kept]


def _fewer(fields: Sequence[UsableFrames]) -> list[int]:
    """Number of frames of each field on which the noise is measured, limited for speed."""
    share = max(2, _MOST_FRAMES // len(fields))
    budget = max(1, _MOST_PIXELS // (fields[0].shape[0] * fields[0].shape[1]))
    step = max(1, len(fields) * 2 // max(2, min(_MOST_FRAMES, budget)))
    most = min(share, max(2, budget))
    return [0 if number % step else min(len(field), most) for number, field in enumerate(fields)]
