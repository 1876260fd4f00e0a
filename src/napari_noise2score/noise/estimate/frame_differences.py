"""Photon-transfer evidence from frame differences: two frames of one scene differ by noise.

`frame_matching` detects the frames and places that can be compared. Motion that remains in a
difference is smooth, as every image is, but noise is not, so a second-difference filter measures
the share of motion in the variance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.coordinates import Anscombe
from napari_noise2score.noise.correlation import Correlation, correlation_of
from napari_noise2score.noise.estimate.binning import (
    SECOND_DIFFERENCE,
    binned,
    neighbour_mean,
    offsets,
    robust_line,
)
from napari_noise2score.noise.estimate.frame_light import light_line
from napari_noise2score.noise.estimate.frame_matching import Compared, matched
from napari_noise2score.noise.estimate.outliers import FAR, isolated
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.patterns.offsets import (
    offsets_of,
    shared_noise,
    waves_of_single_frames,
    with_fixed_part,
    without_waves,
)
from napari_noise2score.noise.patterns.shared import Offsets, RowNoise
from napari_noise2score.noise.photon_transfer import Disturbances, PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SIGNIFICANT = 4.0
"""Standard errors from which a surplus of variance is significant."""
_LARGEST = 2.0
"""Variance of row offsets over that of the row noise above which they are something else."""
# Variance of a mean of filtered squares over that of a mean of squares of as many white values.
_FILTER_COST = float(
    (ndimage.convolve(np.pad(SECOND_DIFFERENCE, 4), SECOND_DIFFERENCE, mode='constant') ** 2).sum()
)


@dataclass(slots=True, eq=False)
class _Field:
    """A stack of frames and its pairs of frames.

    Attributes
    ----------
    frames : sequence of (Y, X) float64
        In time order.
    pairs : list of FramePair
        All pairs of frames of one scene.
    compared : list of Compared
        The pairs on which the noise is measured.
    """

    frames: Sequence[Array]
    pairs: list[FramePair] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)

    def light(self) -> list[Array]:
        """Numbers of the frames of each scene and their light, (2, T), in time order."""
        scenes: list[dict[int, float]] = []
        for pair in self.pairs:
            joined = {pair.first: 1.0, pair.second: pair.light}
            for scene in [s for s in scenes if s.keys() & joined.keys()]:
                common = next(iter(scene.keys() & joined.keys()))
                share = joined[common] / scene[common]
                joined = {number: light * share for number, light in scene.items()} | joined
                scenes.remove(scene)
            scenes.append(joined)
        return [np.array(sorted(scene.items())).T for scene in scenes]

    def runs(self) -> list[list[Compared]]:
        """Chains of the pairs on which the noise is measured: each pair begins with the frame
        with which the previous one ends.
        """
        runs: list[list[Compared]] = []
        for pair in self.compared:
            for run in runs:
                if run[-1].pair.second == pair.pair.first:
                    run.append(pair)
                    break
            else:
                runs.append([pair])
        return runs


def from_frames(
    fields: Sequence[Sequence[Array]], saturation: float, counts: Sequence[int]
) -> tuple[PhotonTransfer | None, list[tuple[FramePair, ...]]]:
    """Evidence from frames of one scene, and all pairs of such frames.

    Parameters
    ----------
    fields : sequence of sequence of (Y, X) float64
        For each field its frames in time order, none repeated; NaN where there is no image.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    counts : sequence of int
        Number of frames of each field on which the noise is measured, from the first of one scene
        on.

    Returns
    -------
    evidence : PhotonTransfer or None
        None if too few places did not move.
    pairs : list of tuple of FramePair
        For each field the pairs of its frames, by their numbers in the field.
    """
    stacks = [_compared(frames, saturation, n) for frames, n in zip(fields, counts, strict=True)]
    pairs = [tuple(each.pairs) for each in stacks]
    compared = [pair for each in stacks for pair in each.compared]
    if not compared:
        return None, pairs
    runs = [run for each in stacks for run in each.runs()]
    hot = _exclude_hot(compared)
    shifts = offsets([pair.sample(pair.difference**2 / 2, pair.mask) for pair in compared])
    raw = [
        pair.sample(pair.difference**2 / 2, pair.mask).lowered(by)
        for pair, by in zip(compared, shifts, strict=True)
    ]
    evidence = binned(raw, 'frame differences', _third_cumulants(runs))
    rows = _subtract_row_noise(evidence, compared, shifts)
    rows = _with_fixed_offsets(rows, evidence, runs)
    if rows.detected:
        for run in runs:
            _level_rows(run, rows)
        _level_waves(rows, evidence, compared)
        raw = [
            pair.sample(pair.difference**2 / 2, pair.mask).lowered(by)
            for pair, by in zip(compared, shifts, strict=True)
        ]
        again = binned(raw, 'frame differences')
        evidence = replace(evidence, level=again.level, variance=again.variance)
        rows = replace(rows, noise=evidence.mean_variance)
    correlation = _correlation(evidence, compared, shifts)
    evidence = _without_smooth_surplus(evidence, compared, shifts)
    fading, flicker = _bleaching_and_flicker(stacks)
    disturbances = Disturbances(
        moving=float(np.mean([pair.moving for pair in compared])),
        other_scenes=_other_scenes(stacks),
        bleaching=fading,
        flicker=flicker,
        offset_range=float(np.ptp(shifts)),
        hot=hot,
    )
    evidence = replace(evidence, correlation=correlation, disturbances=disturbances, rows=rows)
    return evidence, pairs


def _compared(frames: Sequence[Array], saturation: float, count: int) -> _Field:
    """The pairs of a field, and the data of those on which the noise is measured."""
    stack = _Field(frames)
    for pair in matched(frames, saturation):
        stack.pairs.append(pair.pair)
        if len(stack.compared) < count - 1:
            stack.compared.append(pair)
    return stack


def _other_scenes(fields: Iterable[_Field]) -> float:
    """Share of the adjacent frames that no pair contains or spans."""
    steps = same = 0
    for each in fields:
        steps += len(each.frames) - 1
        same += sum(
            any(pair.first <= number < pair.second for pair in each.pairs)
            for number in range(len(each.frames) - 1)
        )
    return 1 - same / max(steps, 1)


def _bleaching_and_flicker(fields: Iterable[_Field]) -> tuple[float, float]:
    """Light lost over the frames of a scene, and largest deviation of a frame from that trend.

    The trend is the median of the slopes of the logarithm between all frames (Theil and Sen).
    If the deviations of single frames are larger than the trend, it does not count as bleaching.
    """
    fading, flicker = 0.0, 0.0
    for time, light in (scene for each in fields for scene in each.light()):
        log, first, second = np.log(light), *np.triu_indices(len(time), 1)
        slope = float(np.median((log[second] - log[first]) / (time[second] - time[first])))
        trend = slope * (time - time[0])
        away = np.abs(log - trend - np.median(log - trend))
        if abs(trend[-1]) > 2 * float(np.median(away)):
            fading = max(fading, -float(np.expm1(trend[-1])), key=abs)
        flicker = max(flicker, float(np.expm1(away.max())))
    return fading, flicker


def _exclude_hot(pairs: Sequence[Compared]) -> float:
    """Exclude hot pixels and constant outliers from the masks; returns their share."""
    slope, intercept, least = robust_line(
        [pair.sample(pair.difference**2 / 2, pair.mask) for pair in pairs]
    )
    if least == 0:
        return 0.0
    unit = Anscombe(slope, intercept if slope > 0 else least, least)
    before = sum(int(pair.mask.sum()) for pair in pairs)
    for pair in pairs:
        half = pair.difference / 2
        jump = unit.forward(pair.mean + half) - unit.forward(pair.mean - half)
        hot = np.abs(jump) > FAR * 2**0.5
        hot |= isolated(pair.first, unit) | isolated(pair.second, unit)
        pair.mask &= ~hot
    return 1 - sum(int(pair.mask.sum()) for pair in pairs) / before


def _subtract_row_noise(
    evidence: PhotonTransfer, pairs: Sequence[Compared], shifts: Array
) -> RowNoise:
    """Row noise that differs between frames; it is subtracted from the differences in place."""
    weights = [
        evidence.weight(pair.level - by, pair.mask) for pair, by in zip(pairs, shifts, strict=True)
    ]
    fields = [pair.difference / 2**0.5 for pair in pairs]
    rows = shared_noise(fields, weights, [pair.level for pair in pairs], evidence.mean_variance)
    if rows.detected:
        for pair, field, weight in zip(pairs, fields, weights, strict=True):
            half = offsets_of(field, weight, rows)
            pair.difference -= 2**0.5 * half.plane
            pair.shared = Offsets(2**0.5 * half.rows, 2**0.5 * half.columns)
    return rows


def _with_fixed_offsets(
    rows: RowNoise, evidence: PhotonTransfer, runs: Iterable[Sequence[Compared]]
) -> RowNoise:
    """Row noise with the part that is the same in every frame, measured in means of frames."""
    stacks: list[list[Array]] = []
    means: list[Array] = []
    weights: list[Array] = []
    for run in runs:
        mask = np.logical_and.reduce([pair.mask for pair in run])
        if mask.any():
            stacks.append(_frames_of(run))
            means.append(np.mean(stacks[-1], axis=0))
            weights.append(evidence.weight(neighbour_mean(means[-1]), mask))
    if not stacks:
        return rows
    rows = waves_of_single_frames(rows, stacks, weights)
    return with_fixed_part(means, weights, rows, float(np.mean([len(one) for one in stacks])))


def _level_waves(rows: RowNoise, evidence: PhotonTransfer, pairs: Sequence[Compared]) -> None:
    """Subtract waves from the levels: a wrong level in the binning would change the slope."""
    if rows.waves:
        weights = [evidence.weight(pair.level, pair.mask) for pair in pairs]
        means = without_waves([pair.mean for pair in pairs], weights, rows.waves)
        for pair, mean in zip(pairs, means, strict=True):
            pair.level_at(mean)


def _level_rows(run: Sequence[Compared], noise: RowNoise) -> None:
    """Subtract from the levels how far the rows and columns of a frame are from their mean over a
    chain of pairs.

    The differences of the frames tell it. What all of them have in common they do not tell, and of
    two frames nothing. If the offsets are larger than row noise, the scene has changed.
    """
    steps = [pair.shared for pair in run if pair.shared is not None]
    if len(steps) < len(run) or len(run) < 2:
        return
    levels = []
    for of_pairs, variance in (
        ([step.rows for step in steps], noise.rows),
        ([step.columns for step in steps], noise.columns),
    ):
        from_first = np.cumsum([np.zeros_like(of_pairs[0]), *of_pairs], axis=0)
        away = from_first.mean(axis=0) - from_first
        likely = float((away**2).mean()) <= _LARGEST * variance
        levels.append((away[1:] + away[:-1]) / 2 if likely else np.zeros_like(of_pairs))
    for pair, down, across in zip(run, *levels, strict=True):
        pair.level_at(pair.mean - down[:, None] - across)


def _correlation(
    evidence: PhotonTransfer, pairs: Sequence[Compared], shifts: Array
) -> Correlation:
    """Correlation of the differences, each divided by the noise at its level."""
    unit = []
    for pair, by in zip(pairs, shifts, strict=True):
        variance = np.interp(pair.level - by, evidence.level, evidence.variance)
        floor = float(evidence.variance.mean()) / 50 or 1.0
        unit.append(pair.difference / np.sqrt(np.maximum(variance, floor)))
    return correlation_of(unit, [pair.mask for pair in pairs])


def _without_smooth_surplus(
    evidence: PhotonTransfer, pairs: Sequence[Compared], shifts: Array
) -> PhotonTransfer:
    """The evidence with variances after a second-difference filter, if there is motion.

    The filter passes the same share of the noise at every level (all of it if it is white), but
    less of motion, which is smooth. The share is measured in the darker half of the bins. If it is
    significantly smaller in the other bins, given the scatter of the two estimates about each
    other (Hausman, Econometrica 46, 1978), the filtered variance is the better estimate.
    """
    low, high = [], []
    for pair, by in zip(pairs, shifts, strict=True):
        whole = ndimage.binary_erosion(pair.mask, np.ones((3, 3)), border_value=0)
        rest = ndimage.convolve(pair.difference, SECOND_DIFFERENCE, mode='mirror')
        low.append(pair.sample(rest**2 / 2, whole).lowered(by))
        high.append(pair.sample(pair.difference**2 / 2, whole).lowered(by))
    if not sum(s.key.size for s in low):
        return evidence
    filtered, raw = (binned(s, 'frame differences') for s in (low, high))
    if len(filtered.level) < 4 or not filtered.variance.min() > 0:
        return evidence
    ratio = raw.variance / filtered.variance
    dark = np.arange(len(ratio)) < len(ratio) // 2
    usual = float(np.average(ratio[dark], weights=raw.count[dark]))
    surplus = ratio / usual - 1
    error = np.sqrt(3 * (_FILTER_COST - 1) / raw.count)
    pull = (surplus / error)[~dark]
    together = float(pull.sum()) / (len(pull) * (1 + len(pull) / dark.sum())) ** 0.5
    if max(together, float(pull.max())) < _SIGNIFICANT:
        return evidence
    return replace(
        evidence,
        level=filtered.level,
        variance=filtered.variance * usual,
        third=np.interp(filtered.level, evidence.level, evidence.third),
        count=filtered.count / _FILTER_COST,
    )


def _third_cumulants(runs: Iterable[Sequence[Compared]]) -> tuple[Array, Array] | None:
    """(key, third cumulant) over three or more consecutive frames, at the pixels that are valid in
    all pairs.
    """
    keys: list[Array] = []
    thirds: list[Array] = []
    for run in runs:
        frames = _frames_of(run)
        mask = np.logical_and.reduce([pair.mask for pair in run])
        if len(frames) < 3 or not mask.any():
            continue
        mean = np.mean(frames, axis=0)
        keys.append(neighbour_mean(mean)[mask])
        thirds.append(_third_cumulant(frames, mean, mask)[mask])
    return (np.concatenate(keys), np.concatenate(thirds)) if keys else None


def _third_cumulant(frames: Sequence[Array], mean: Array, mask: Mask) -> Array:
    """Third cumulant at the level of the mean (Y, X), for each pixel.

    With ``l_t`` the light of a frame relative to that of the mean, and T frames, the residual of a
    frame is ``n_t - l_t sum_u n_u / T``. Its third cumulant is the sum of the cubes of these
    weights times the cumulants of the noise, which are ``l_u`` times the wanted one. Under one
    light this is the k-statistic. The weight of a frame is its sensitivity over the variance of
    its cubes.
    """
    count = len(frames)
    cubes, sensitivity = np.zeros_like(mean), 0.0
    light = np.empty(count)
    rests = []
    for number, frame in enumerate(frames):
        away = frame - mean
        line = light_line(away, mean, mask)
        rests.append(away - line.base - line.change * mean)
        light[number] = max(1 + line.change, 1e-3)
    power = np.array([(rest[mask] ** 2).mean() for rest in rests])
    importance = light / np.maximum(power / max(power.max(), 1e-300), 1e-6) ** 3
    shares = np.eye(count) - light[:, None] / count
    for rest, own, weight in zip(rests, shares, importance, strict=True):
        cubes += weight * rest**3
        sensitivity += weight * float((own**3 * light).sum())
    return cubes / sensitivity


def _frames_of(run: Sequence[Compared]) -> list[Array]:
    """The frames (Y, X) of a chain of pairs."""
    return [run[0].first, *(pair.second for pair in run)]
