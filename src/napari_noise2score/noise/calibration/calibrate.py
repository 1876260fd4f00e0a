"""The noise of a camera from calibration frames, and the noise model to request with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.calibration.dark import Dark, measure_dark
from napari_noise2score.noise.calibration.flat import Flat, measure_flat
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.families import FAMILIES, Poisson, PoissonGaussian, parameters_of
from napari_noise2score.noise.pixels.maps import PixelMaps, measure_pixels
from napari_noise2score.noise.request import AUTO, NoiseRequest

_ALIKE = 0.03
"""Relative difference of gains or read noises up to which channels share one calibration."""
_ALIKE_OFFSET = 0.2
"""The same for offsets, relative to the read noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Poisson-Gaussian noise as measured on calibration frames.

    Attributes
    ----------
    parameters, errors : dict of str to float
        ``offset`` and ``read_noise`` from dark frames, ``gain`` from flat-field frames, and their
        standard errors; grey levels, and grey levels per photon.
    correlation : Correlation
        Correlation of the noise between pixels; white if it is small.
    source : str
        Description of the frames that were measured.
    notes : tuple of str
        Warnings for the user.
    maps : PixelMaps or None
        Offset and read noise of each pixel, where dark frames show that they differ.
    """

    parameters: dict[str, float]
    errors: dict[str, float]
    correlation: Correlation
    source: str
    notes: tuple[str, ...] = ()
    maps: PixelMaps | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Parameters that are estimated from the image."""
        return tuple(n for n in parameters_of(PoissonGaussian) if n not in self.parameters)

    def request(self, asked: NoiseRequest | None = None) -> NoiseRequest:
        """The requested noise model, completed with the measured parameters.

        Parameters of ``asked`` take precedence; parameters that were neither given nor measured
        are estimated from the image. Maps are used unless an offset or a read noise is given.

        Raises
        ------
        InputError
            If the requested family is not photon noise.
        """
        asked = asked or NoiseRequest()
        photons = (AUTO, Poisson.name, PoissonGaussian.name)
        if asked.family not in photons:
            raise InputError(
                'calibration frames measure Poisson-Gaussian noise; '
                f'{FAMILIES[asked.family].label} noise was requested, accepted are '
                f'{", ".join(photons)}'
            )
        name = PoissonGaussian.name if asked.family == AUTO else asked.family
        accepted = parameters_of(FAMILIES[name])
        measured = {key: value for key, value in self.parameters.items() if key in accepted}
        maps = self.maps if name == PoissonGaussian.name else None
        if {'offset', 'read_noise'} & set(asked.parameters):
            maps = None
        return NoiseRequest(name, {**measured, **asked.parameters}, asked.correlation, maps)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'parameters': self.parameters,
            'standard_errors': self.errors,
            'correlation': self.correlation.to_dict(),
            'source': self.source,
            'notes': list(self.notes),
            'pixel_maps': self.maps and self.maps.to_dict(),
        }


def calibrate(
    dark: ArrayLike | None = None,
    flat: ArrayLike | None = None,
    *,
    whole: Iterable[NDArray[Any]] | None = None,
) -> Calibration:
    """Noise of a camera from dark frames, flat-field frames, or both.

    Parameters
    ----------
    dark : (Y, X) or (T, Y, X) array, optional
        Grey levels without light: they give the offset and the read noise; 20 frames or more also
        give those of each pixel, if pixels differ.
    flat : (T, Y, X) array, optional
        Grey levels of even light, two frames or more of each light level: they give the gain.
        Without dark frames two light levels or more are needed.
    whole : iterable of (Y, X) arrays, optional
        All dark frames in full, to measure single pixels, if ``dark`` is only a part of them.

    Raises
    ------
    InputError
        If neither is given, or nothing can be measured; see `measure_dark` and `measure_flat`.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_noise2score.noise.calibration.calibrate import calibrate
    >>> from napari_noise2score.noise.families import PoissonGaussian
    >>> rng, camera = np.random.default_rng(0), PoissonGaussian(2.0, 100.0, 3.0)
    >>> dark = camera.sample(np.full((8, 64, 64), 100.0), rng)
    >>> flat = camera.sample(np.full((8, 64, 64), 900.0), rng)
    >>> noise = calibrate(dark, flat).request().known()
    >>> bool(abs(noise.gain - 2) < 0.1)
    True
    """
    if dark is None and flat is None:
        raise InputError('no calibration frames are given; dark frames or a flat field are needed')
    darkness = None if dark is None else measure_dark(dark)
    maps = None if dark is None else measure_pixels(_planes(dark) if whole is None else whole)
    light = None if flat is None else measure_flat(flat, darkness)
    parameters: dict[str, float] = {}
    errors: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    source: list[str] = []
    correlation = Correlation.white()
    if light is not None:
        parameters['gain'], errors['gain'] = light.gain, light.gain_error
        correlation, notes = light.correlation, light.notes
        source.append(_flat_words(light))
    if darkness is not None:
        parameters |= {'offset': darkness.offset, 'read_noise': darkness.read_noise}
        errors |= {'offset': darkness.offset_error, 'read_noise': darkness.read_noise_error}
        of_pixels = () if maps is None else (maps.sentence,)
        notes = (*darkness.notes, *of_pixels, *notes)
        source.insert(0, _dark_words(darkness))
        correlation = darkness.correlation if light is None else correlation
    elif light is not None:
        zero = digits(light.zero, light.zero_error / 10, 5)
        notes = (
            *notes,
            f'The flat field alone gives the grey level of zero noise, {zero} '
            f'\N{PLUS-MINUS SIGN} {light.zero_error:.2g}, but not offset and read noise '
            'separately; dark frames are needed for these.',
        )
    return Calibration(parameters, errors, correlation, ' and '.join(source), notes, maps)


def combined_calibration(calibrations: Sequence[Calibration]) -> Calibration:
    """One calibration for several similar channels.

    Raises
    ------
    InputError
        If the channels differ by more than three standard errors, and by more than 3 % or, in the
        offset, 0.2 read noises.
    """
    first = calibrations[0]
    if len(calibrations) == 1:
        return first
    parameters, errors = {}, {}
    for name in first.parameters:
        values = np.array([each.parameters[name] for each in calibrations])
        doubts = np.array([each.errors[name] for each in calibrations])
        mean = float(values.mean())
        scale = first.parameters.get('read_noise', 0.0) if name == 'offset' else abs(mean)
        share = _ALIKE_OFFSET if name == 'offset' else _ALIKE
        if (np.abs(values - mean) > np.maximum(3 * doubts, share * scale)).any():
            different = ', '.join(digits(value, float(np.ptp(values)) / 10) for value in values)
            raise InputError(
                f'the channels of the calibration frames differ: {name.replace("_", " ")} '
                f'{different}; one noise model is used for all channels, so measure one channel '
                'at a time'
            )
        parameters[name] = mean
        errors[name] = float(np.maximum(doubts.max(), np.abs(values - mean).max()))
    notes = tuple(dict.fromkeys(note for each in calibrations for note in each.notes))
    if any(each.maps is not None for each in calibrations):
        notes = (
            *notes,
            'Pixels differ in offset or read noise; maps can be used for one channel only; for '
            'several channels, single numbers are used.',
        )
    return Calibration(
        parameters,
        errors,
        first.correlation,
        f'{first.source}, {len(calibrations)} channels that are alike',
        notes,
    )


def _planes(frames: ArrayLike) -> NDArray[Any]:
    """Frames (T, Y, X)."""
    values = np.asarray(frames)
    return values[None] if values.ndim == 2 else values


def _dark_words(dark: Dark) -> str:
    return 'one dark frame' if dark.frames == 1 else f'{dark.frames} dark frames'


def _flat_words(flat: Flat) -> str:
    count = len(flat.levels)
    return f'{flat.frames} flat-field frames at {count} light level{"s" if count > 1 else ""}'
