r"""What a training does in flat places, where nothing but noise can be changed.

A risk that is estimated without ground truth rests on a model of the noise: on its variance, on
its independence between pixels, on its shape. Where that model is wrong a training can learn to
keep noise, or to bend what is there, and the risk, which shares the model, calls it a gain. This
judge needs no model but that noise has the mean zero. In the flattest fifth of the image the start
``A`` of a training shows nothing. There

- what is left of fine detail in ``t - A`` is noise. A result ``B`` that has become nearer to it
  lets noise back in:

  .. math::
      \text{returned} = \frac{\sum h_2(B - A)\, h_2(t - A)}{\sum h_2(t - A)^2},
      \qquad h_s(u) = u - G_s * u

  It is 0 for a result that differs from the start in what it does to structure only, and 1 where
  the noisy image itself comes back;
- a local mean of ``t - A`` is nearly what the start lacks. It tells by how much a result is
  farther from the truth than the start:

  .. math::
      \text{away} = \frac{\sum (B - A)^2 - 2 (B - A)\, G_4 * (t - A)}{\sum (t - A)^2}

with Gaussians ``G_s`` of ``s`` pixels.

Where a training perturbs the image by normal noise, because the noise is correlated and no second
frame shows its shape, it learns to remove normal noise. Whether the noise is normal can be seen
before anything is learned:

- fine detail of ``t - A`` has the excess kurtosis ``peaked``, 0 for normal noise. Cameras that
  interpolate have noise that differs between neighbouring pixels, by ``(peaked / 3)^(1/2)`` of its
  variance.

The first two take for granted that the flat places have no structure finer than these. Where a
plane beside ``w`` (a frame, a slice) is known whose noise is nowhere in the input of the network,
it bears witness of such structure: what ``B - A`` has in common with ``w - A`` cannot be noise. Of
what it has in common with fine detail of ``t - A``, so much is not counted as noise that came
back, and is counted as nearer to the truth; never more than there is.

What it would miss: harm to structure, noise that comes back beside structure only, noise that is
the same in planes beside each other, and changes smaller than what it allows. What it would call
harm wrongly: texture fainter than the noise all over the flat places of a single image, which the
start took away and the training has found. Such a training gains little, and is not delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

RETURNED = 0.01
"""Share of the noise below which the check passes. `benchmarks/quality/risks.py`: single images
that a training made worse by more than 0.1 dB had 0.03 to 0.6, or were bent; most that it made
better had less."""
AWAY = 0.008
"""Share of the noise variance below which the check passes: a local mean has ``1 / (4 pi 4^2) =
0.005`` itself. Images that were bent had 0.014 to 0.36, most that became better less than
0.006."""

PEAKED = 0.5
"""Excess kurtosis below which the check passes: noise whose variance differs by 40 %.
`benchmarks/quality/risks.py`: single images of WideField_BPAE_G have 1.3, correlated normal noise
has at most 0.2."""

_WORST = 1 / 3
"""Weight of the worst of several images relative to all together."""
_FLAT = 0.2
"""Share of the pixels that count as flat."""
_ENERGY = 15
"""Width in pixels over which the detail of the start is measured."""
_DETAIL, _FINE, _LOCAL = 3.0, 2.0, 4.0
"""Gaussian widths in pixels: above which structure is no detail, above which noise is no fine
detail, and of a local mean."""
_FINEST = 0.7
"""The same for the finest detail, of which neighbouring pixels differ."""


class FlatPlaces(NamedTuple):
    """What a training does in flat places, relative to the noise variance; 0 for the start itself.

    ``peaked`` is how far the noise there is from normal noise, if that is what is learned from.
    """

    returned: float = 0.0
    away: float = 0.0
    peaked: float = 0.0

    @property
    def harmed(self) -> bool:
        """Whether the check fails: the change is too large to be an improvement, or nothing right
        can be learned.
        """
        return self.returned > RETURNED or self.away > AWAY or self.hopeless

    @property
    def hopeless(self) -> bool:
        """Whether every training would fail, since what it learns from is not the noise."""
        return self.peaked > PEAKED

    def to_dict(self) -> dict[str, float | bool]:
        """Plain representation, with the limits."""
        return {
            'harmed': self.harmed,
            'returned': self.returned,
            'returned_allowed': RETURNED,
            'away': self.away,
            'away_allowed': AWAY,
            'peaked': self.peaked,
            'peaked_allowed': PEAKED,
        }


def flat_places(
    noisy: NDArray[np.floating],
    start: NDArray[np.floating],
    trained: NDArray[np.floating],
    image: NDArray[np.int64],
    witness: NDArray[np.floating] | None = None,
    normal: NDArray[np.bool_] | None = None,
) -> FlatPlaces:
    """Each figure of all images together, or a third of that of the worst one if that is larger.

    An image with fewer places fails more often by chance, so the worst one has a lower weight.

    Parameters
    ----------
    noisy, start, trained : (K, S, S) array
        Patches in the unit-noise coordinate, and the clean levels before and after a training.
        Values that are not finite count as unchanged.
    image : (K,) int64
        Number of the image of each patch.
    witness : (K, S, S) array, optional
        The patches of planes beside, with noise that is not in what was denoised; NaN where there
        is none.
    normal : (K,) bool, optional
        Whether the noise of each patch is taken for normal.
    """
    t, before, after = (np.nan_to_num(np.asarray(a, np.float64)) for a in (noisy, start, trained))
    known = np.isfinite(noisy) & np.isfinite(start) & np.isfinite(trained)
    removed, change = (np.where(known, a, 0.0) for a in (t - before, after - before))
    seen = np.zeros_like(t)
    if witness is not None:
        seen = np.where(known & np.isfinite(witness), np.nan_to_num(witness) - before, 0.0)
    patches = (known, _energy(before), removed, change, seen)
    each = (image == number for number in np.unique(image))
    sums = np.array([_sums(*(patch[at] for patch in patches)) for at in each])
    together, worst = _shares(sums.sum(axis=0)), _shares(sums).max(axis=0)
    returned, away = np.maximum(together, np.minimum(worst, worst * _WORST)).tolist()
    if normal is None or not normal.any():
        return FlatPlaces(returned, away)
    numbers = np.unique(image[normal])
    taken = [[patch[normal & (image == number)] for patch in patches[:3]] for number in numbers]
    return FlatPlaces(returned, away, _peaked([_finest(*each) for each in taken]))


def _sums(
    known: NDArray[np.bool_], energy: Array, removed: Array, change: Array, seen: Array
) -> list[list[float]]:
    """Numerator and denominator of the two figures of one image, [2][2]."""
    if not known.any():
        return [[0.0, 0.0], [0.0, 0.0]]
    flat = _flat(known, energy)
    noise = removed[flat] ** 2
    moved, fine = (_fine(values, _FINE)[flat] for values in (change, removed))
    common = (moved * fine).sum()
    returned = common - _found(common, (moved * _fine(seen, _FINE)[flat]).sum())
    lacking = _smooth(removed, _LOCAL)[flat]
    here = change[flat]
    finer = (here * _fine(removed, _LOCAL)[flat]).sum()
    structure = _found(finer, (here * _fine(seen, _LOCAL)[flat]).sum())
    farther = (here * (here - 2 * lacking)).sum() - 2 * structure
    return [[returned, (fine**2).sum()], [farther, noise.sum()]]


def _finest(known: NDArray[np.bool_], energy: Array, removed: Array) -> Array:
    """The finest detail of what was removed from the flat places of one image."""
    if not known.any():
        return np.zeros(0)
    return np.asarray(_fine(removed, _FINEST)[_flat(known, energy)])


def _peaked(details: Sequence[Array]) -> float:
    """Excess kurtosis of details, each relative to its own variance; 0 if there are none."""
    power = [(detail**2).mean() if detail.size else 0.0 for detail in details]
    fourth = [
        (detail / variance**0.5) ** 4
        for detail, variance in zip(details, power, strict=True)
        if variance > 0
    ]
    return float(np.concatenate(fourth).mean()) - 3 if fourth else 0.0


def _flat(known: NDArray[np.bool_], energy: Array) -> NDArray[np.bool_]:
    """The flattest places of one image, by the energy of the detail of the start."""
    return np.asarray(known & (energy <= np.quantile(energy[known], _FLAT)))


def _found(own: float, witnessed: float) -> float:
    """What a change has in common with a plane, as far as a plane beside says that it is
    structure.
    """
    return max(0.0, min(own, witnessed))


def _shares(sums: Array) -> Array:
    """Of numerators and denominators (..., 2, 2), (..., 2); 0 where there is no noise."""
    part, whole = sums[..., 0], sums[..., 1]
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _energy(clean: Array) -> Array:
    detail = clean - _smooth(clean, _DETAIL)
    return np.asarray(ndimage.uniform_filter(detail**2, (0, _ENERGY, _ENERGY)))


def _fine(values: Array, width: float) -> Array:
    return values - _smooth(values, width)


def _smooth(values: Array, width: float) -> Array:
    return np.asarray(ndimage.gaussian_filter(values, (0, width, width)))
