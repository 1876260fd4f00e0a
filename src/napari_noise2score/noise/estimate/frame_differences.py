"""Photon-transfer evidence from frame differences: what differs between two frames is noise.

Unless something changed. Which frames can be compared and where is found by `matching`. What is
left of motion is smooth, as every image is, while noise is not, and so a second-difference filter
tells how much of the variance it makes up.
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
from napari_noise2score.noise.patterns.shared import RowNoise
from napari_noise2score.noise.photon_transfer import Disturbances, PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SIGNIFICANT = 4.0
"""Standard errors from which a surplus of variance is taken for real."""
# Variance of a mean of filtered squares over that of a mean of squares of as many white values.
_FILTER_COST = float(
    (ndimage.convolve(np.pad(SECOND_DIFFERENCE, 4), SECOND_DIFFERENCE, mode='constant') ** 2).sum()
)


@dataclass(slots=True, eq=False)
class _Field:
    """A stack of frames and what was found in it.

    Attributes
    ----------
    frames : sequence of (Y, X) float64
        In time order.
    pairs : list of FramePair
        All of one scene.
    compared : list of Compared
        Those that the noise is measured on.
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


def from_frames(
    fields: Sequence[Sequence[Array]], saturation: float, counts: Sequence[int]
) -> tuple[PhotonTransfer | None, list[tuple[FramePair, ...]]]:
    """Evidence from frames of one scene, and all the pairs of such frames.

    Parameters
    ----------
    fields : sequence of sequence of (Y, X) float64
        For each field its frames in time order, none repeated; NaN where there is no image.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    counts : sequence of int
        Of how many frames of each field the noise is measured, from the first that show one scene.

    Returns
    -------
    evidence : PhotonTransfer or None
        None when too little stood still.
    pairs : list of tuple of FramePair
        For each field the pairs of its frames, numbered as they are given.
    """
    found = [_compared(frames, saturation, n) for frames, n in zip(fields, counts, strict=True)]
    pairs = [tuple(each.pairs) for each in found]
    compared = [pair for each in found for pair in each.compared]
    if not compared:
        return None, pairs
    hot = _leave_out_hot(compared)
    shifts = offsets([pair.sample(pair.difference**2 / 2, pair.mask) for pair in compared])
    raw = [
        pair.sample(pair.difference**2 / 2, pair.mask).lowered(by)
        for pair, by in zip(compared, shifts, strict=True)
    ]
    evidence = binned(raw, 'frame differences', _third_cumulants(found))
    rows = _rows_taken_off(evidence, compared, shifts)
    rows = _with_those_that_stay(rows, evidence, found)
    if rows.detected:
        _level_means(rows, evidence, compared)
        raw = [
            pair.sample(pair.difference**2 / 2, pair.mask).lowered(by)
            for pair, by in zip(compared, shifts, strict=True)
        ]
        again = binned(raw, 'frame differences')
        evidence = replace(evidence, level=again.level, variance=again.variance)
        rows = replace(rows, noise=evidence.mean_variance)
    correlation = _correlation(evidence, compared, shifts)
    evidence = _without_smooth_surplus(evidence, compared, shifts)
    fading, flicker = _bleaching_and_flicker(found)
    disturbances = Disturbances(
        moving=float(np.mean([pair.moving for pair in compared])),
        other_scenes=_other_scenes(found),
        bleaching=fading,
        flicker=flicker,
        offset_range=float(np.ptp(shifts)),
        hot=hot,
    )
    evidence = replace(evidence, correlation=correlation, disturbances=disturbances, rows=rows)
    return evidence, pairs


def _compared(frames: Sequence[Array], saturation: float, count: int) -> _Field:
    """The pairs of a field, and what those consist of that the noise is to be measured on."""
    found = _Field(frames)
    for pair in matched(frames, saturation):
        found.pairs.append(pair.pair)
        if len(found.compared) < count - 1:
            found.compared.append(pair)
    return found


def _other_scenes(fields: Iterable[_Field]) -> float:
    """Share of the neighbouring frames between which no pair was found, nor across them."""
    steps = same = 0
    for each in fields:
        steps += len(each.frames) - 1
        same += sum(
            any(pair.first <= number < pair.second for pair in each.pairs)
            for number in range(len(each.frames) - 1)
        )
    return 1 - same / max(steps, 1)


def _bleaching_and_flicker(fields: Iterable[_Field]) -> tuple[float, float]:
    """Light lost over the frames of a scene, and by how much single frames are off that trend.

    The trend is the median of the slopes of the logarithm between all frames (Theil and Sen).
    The light of single frames that is further from it than it goes itself is no bleaching.
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


def _leave_out_hot(pairs: Sequence[Compared]) -> float:
    """Take hot pixels and lasting outliers out of the masks; their share."""
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


def _rows_taken_off(
    evidence: PhotonTransfer, pairs: Sequence[Compared], shifts: Array
) -> RowNoise:
    """Offsets in common that differ between frames; the differences are rid of them."""
    weights = [
        evidence.weight(pair.level - by, pair.mask) for pair, by in zip(pairs, shifts, strict=True)
    ]
    fields = [pair.difference / 2**0.5 for pair in pairs]
    rows = shared_noise(fields, weights, [pair.level for pair in pairs], evidence.mean_variance)
    if rows.detected:
        for pair, field, weight in zip(pairs, fields, weights, strict=True):
            pair.difference -= 2**0.5 * offsets_of(field, weight, rows).plane
    return rows


def _with_those_that_stay(
    rows: RowNoise, evidence: PhotonTransfer, fields: Sequence[_Field]
) -> RowNoise:
    """Also the offsets that are the same in every frame: the means of the frames show them."""
    runs: list[list[Array]] = []
    means: list[Array] = []
    weights: list[Array] = []
    for run in (run for each in fields for run in _runs(each.compared)):
        mask = np.logical_and.reduce([pair.mask for pair in run])
        if mask.any():
            runs.append([run[0].first, *(pair.second for pair in run)])
            means.append(np.mean(runs[-1], axis=0))
            weights.append(evidence.weight(neighbour_mean(means[-1]), mask))
    if not runs:
        return rows
    rows = waves_of_single_frames(rows, runs, weights)
    return with_fixed_part(means, weights, rows, float(np.mean([len(run) for run in runs])))


def _level_means(rows: RowNoise, evidence: PhotonTransfer, pairs: Sequence[Compared]) -> None:
    """Rid the levels of waves: what is binned by a wrong level tilts the line."""
    if rows.waves:
        weights = [evidence.weight(pair.level, pair.mask) for pair in pairs]
        means = without_waves([pair.mean for pair in pairs], weights, rows.waves)
        for pair, mean in zip(pairs, means, strict=True):
            pair.level_at(mean)


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
    """The evidence with variances after a second-difference filter, if something moved.

    The filter passes the same share of the noise at every level, all of it if it is white; of
    what moved, which is smooth, it passes less. The share is read off the darker half of the
    bins. If the rest falls short of it, by more than the two estimates scatter about
    each other (Hausman, Econometrica 46, 1978), what the filter leaves is the better estimate.
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


def _third_cumulants(fields: Sequence[_Field]) -> tuple[Array, Array] | None:
    """(key, third cumulant) over three or more frames in a row, at the pixels all pairs keep."""
    keys: list[Array] = []
    thirds: list[Array] = []
    for each in fields:
        for run in _runs(each.compared):
            frames = [run[0].first, *(pair.second for pair in run)]
            count = len(frames)
            if count < 3:
                continue
            mask = np.logical_and.reduce([pair.mask for pair in run])
            mean = np.mean(frames, axis=0)
            if not mask.any():
                continue
            keys.append(neighbour_mean(mean)[mask])
            thirds.append(_third_cumulant(frames, mean, mask)[mask])
    return (np.concatenate(keys), np.concatenate(thirds)) if keys else None


def _third_cumulant(frames: Sequence[Array], mean: Array, mask: Mask) -> Array:
    """Third cumulant at the level of the mean (Y, X), pixel by pixel.

    With ``l_t`` the light of a frame over that of the mean, and T frames, what is left of a frame
    is ``n_t - l_t sum_u n_u / T``, and its third cumulant the sum of the cubes of these weights
    times those of the noise, which are ``l_u`` times the one that is wanted. Under one light that
    is the k-statistic. Frames count by what they tell over the variance of their cubes.
    """
    count = len(frames)
    cubes, told = np.zeros_like(mean), 0.0
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
        told += weight * float((own**3 * light).sum())
    return cubes / told


def _runs(compared: Sequence[Compared]) -> list[list[Compared]]:
    """Pairs in rows, each of which begins with the frame that the one before it ends with."""
    runs: list[list[Compared]] = []
    for pair in compared:
        for run in runs:
            if run[-1].pair.second == pair.pair.first:
                run.append(pair)
                break
        else:
            runs.append([pair])
    return runs
