"""Base classes of the noise families."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.fields import setting
from napari_noise2score.noise.coordinates import Anscombe, UnitNoise
from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.level_table import LevelTable
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

GREY_LEVELS = 'grey levels'
PER_PHOTON = 'grey levels per photon'

FloatArray = NDArray[np.floating[Any]]
Array = NDArray[np.float64]


def parameter(label: str, tooltip: str, metavar: str, unit: str = '', **constraints: float) -> Any:
    """A dataclass field that describes a parameter for forms, checks and the command line.

    ``unit`` is the unit in words, empty for a plain number. ``constraints`` are ``above``
    (exclusive), ``least`` and ``most`` (inclusive).
    """
    return setting(label=label, help=tooltip, metavar=metavar, unit=unit, **constraints)


@dataclass(frozen=True, slots=True)
class NoiseFamily(ABC):
    """Distribution of a noisy value ``y`` given the clean value ``x``, and its correction.

    Raises
    ------
    InputError
        On construction, if a parameter is not finite or out of its range.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    recorruptible: ClassVar[bool] = True
    """Whether the noise is sufficiently Gaussian in its coordinate for a recorrupted risk."""

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            try:
                check_parameter(spec, getattr(self, spec.name))
            except InputError as error:
                raise InputError(f'{self.label} noise: {error}') from None

    @abstractmethod
    def variance(self, x: ArrayLike) -> FloatArray:
        """Variance of ``y`` at the clean value ``x``, any shape, in squared grey levels."""

    def response(self, x: ArrayLike) -> FloatArray:
        """Increase of a clean value ``x``, any shape, with the light, up to a factor.

        It is the variance: a change of every value by a multiple of the variance is a change of
        the natural parameter of an exponential family. For photons it is a factor of the light,
        for Gaussian noise a constant.
        """
        return self.variance(x)

    @abstractmethod
    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x``; same shape, float64, grey levels."""

    @property
    def without_light(self) -> float | None:
        """Grey level of a pixel without light; None if it does not follow from the noise."""
        return None

    @abstractmethod
    def outcomes(self, x: float) -> tuple[Array, Array]:
        """Values (K,) and probabilities (K,) that represent ``y`` at the clean value ``x``."""

    @abstractmethod
    def clean_levels(self, top: float) -> Array:
        """Clean values up to ``top``, increasing, dense enough for interpolation."""

    @abstractmethod
    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """Coordinate in which the noise of an image has unit variance.

        Parameters
        ----------
        top : float
            Largest value of the image, grey levels.
        base : float
            A typical value of the image. It is the zero of the coordinate if it is far from 0.
        """

    def level_table(self, top: float, base: float = 0.0) -> LevelTable:
        """Mean and variance of the unit-noise coordinate by clean level.

        They are sums over the outcomes.

        Parameters
        ----------
        top : float
            Largest clean value that is needed, grey levels.
        base : float
            A typical value, grey levels; see `coordinate`.
        """
        zero = self.zero(base)
        own = self.lowered(zero)
        coordinate = own.coordinate(top - zero, base - zero)
        clean = own.clean_levels(top - zero)
        mean, variance = np.empty((2, len(clean)))
        for place, x in enumerate(clean):
            values, probability = own.outcomes(float(x))
            t = coordinate.forward(values)
            mean[place] = (probability * t).sum()
            variance[place] = (probability * (t - mean[place]) ** 2).sum()
        return LevelTable(top, base, zero, clean, mean, variance)

    @abstractmethod
    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """Clean estimate by Tweedie's formula in grey levels, (Y, X); `correct` calls it."""

    def zero(self, base: float) -> float:
        """Grey level that is the zero of the level table; see `coordinate` for ``base``."""
        return 0.0

    def lowered(self, by: float) -> NoiseFamily:
        """The noise of the image after subtraction of ``by`` grey levels; ``by`` is a `zero`."""
        return self

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Parameters that are not ``given``, from a photon-transfer estimate.

        Parameters
        ----------
        points : PhotonTransfer
            Measured noise variances by level.
        line : PhotonTransferLine
            The line fitted to them.
        given : mapping of str to float
            Known parameters.

        Raises
        ------
        InputError
            If this noise cannot be estimated from the data.
        """
        return {}

    def check_values(self, values: NDArray[Any]) -> None:  # noqa: B027 most accept any
        """Raise `InputError` if noisy ``values``, any shape, cannot come from this family."""

    def correct(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """Clean estimate.

        Parameters
        ----------
        y : (Y, X) float64
            Noisy values, grey levels.
        score : LocalScore
            The learned score.
        form : Correction
            Form of the correction; ``AUTO`` is the same as ``STABILISED`` here.

        Returns
        -------
        (Y, X) float64
            Grey levels.
        """
        if form in (Correction.AUTO, Correction.STABILISED):
            return self._stabilised(y, score)
        return self.from_score(y, score, form)

    def _stabilised(self, y: Array, score: LocalScore) -> Array:
        table = score.table
        coordinate = self.coordinate(table.top, table.base)
        if coordinate == score.coordinate:
            return table.clean_value(score.clean)
        table = self.level_table(table.top, table.base)
        t = coordinate.forward(y)
        tangent = coordinate.score_from_image(y, score.at(y))
        variance = table.variance_at(t + tangent)
        return table.clean_value(t + variance * tangent)

    def parameters(self) -> dict[str, float]:
        """Parameter values by name, in the order of the constructor."""
        return {spec.name: float(getattr(self, spec.name)) for spec in dataclasses.fields(self)}

    def words(self, least: int = 4) -> dict[str, str]:
        """Parameter values by name, with ``least`` significant digits, or more if relevant."""
        return {
            name: digits(value, self._relevant_difference(name), least)
            for name, value in self.parameters().items()
        }

    def _relevant_difference(self, name: str) -> float:
        """Smallest relevant difference of a parameter; 0 if it is relative to its value."""
        return 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; ``family_from_dict`` reads it back."""
        return {'family': self.name, **self.parameters()}

    def __str__(self) -> str:
        values = ', '.join(f'{k.replace("_", " ")} {v}' for k, v in self.words().items())
        return f'{self.label} ({values})' if values else self.label


def check_parameter(spec: dataclasses.Field[Any], value: Any) -> None:
    """Raise `InputError` unless ``value`` is a finite number in the range of the parameter."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f'{spec.name} is {value!r}; a finite number is needed')
    above, least, most = (spec.metadata.get(name) for name in ('above', 'least', 'most'))
    if above is not None and value <= above:
        raise InputError(f'{spec.name} is {value:g}; it must be greater than {above:g}')
    if least is not None and value < least:
        raise InputError(f'{spec.name} is {value:g}; it must be {least:g} or greater')
    if most is not None and value > most:
        raise InputError(f'{spec.name} is {value:g}; it must be {most:g} or less')


@dataclass(frozen=True, slots=True)
class AffineVarianceFamily(NoiseFamily):
    """A family whose variance is linear in the clean value (photon-transfer line)."""

    @property
    @abstractmethod
    def slope(self) -> float:
        """Increase of the variance for one grey level."""

    @property
    @abstractmethod
    def dark(self) -> float:
        """Variance of a pixel without light."""

    @property
    def origin(self) -> float:
        """Grey level of a pixel without light, where the variance is `dark`."""
        return 0.0

    @property
    def without_light(self) -> float | None:
        """Grey level without light; None if the variance does not depend on the light."""
        return float(self.origin) if self.slope > 0 else None

    def variance(self, x: ArrayLike) -> FloatArray:
        """``max(slope (x - origin) + dark, 0)``, any shape, in squared grey levels."""
        height = np.asarray(x, dtype=np.float64) - self.origin
        return np.maximum(self.slope * height + self.dark, 0.0)

    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """The generalised Anscombe transform."""
        return Anscombe(float(self.slope), float(self.dark), float(self.dark), float(self.origin))


def reject_negative(values: NDArray[Any], label: str) -> None:
    """Raise `InputError` if there are negative ``values``."""
    if values.size and values.min() < 0:
        raise InputError(
            f'values go down to {values.min():g}; {label} noise needs values of 0 or more '
            '(subtract the offset of the detector first)'
        )


def weighted_median(values: Array, weights: Array) -> float:
    """Weighted median of (K,) values."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
