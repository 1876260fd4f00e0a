"""The requested noise model, completed with estimates from the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.fields import check, setting
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.families import FAMILIES, NoiseFamily, parameters_of
from napari_noise2score.noise.families.base import check_parameter
from napari_noise2score.noise.pixels.maps import PixelMaps

AUTO = 'auto'
INDEPENDENT = 'none'


@dataclass(frozen=True, slots=True)
class NoiseRequest:
    """A noise model that is given completely or in part; the rest is estimated from the data.

    Parameters
    ----------
    family : str
        ``'auto'`` or a name in `FAMILIES`.
    parameters : mapping of str to float
        Known parameters, such as ``{'gain': 2.0}``. With ``'auto'`` the family is the one with the
        most parameters that has all of these: Poisson-Gaussian for a gain.
    correlation : str
        ``'auto'`` measures the correlation between pixels, ``'none'`` treats pixels as
        independent.
    maps : PixelMaps, optional
        Offset and read noise of each pixel of the camera, for images of its size; for images of
        another size the parameters are used.

    Raises
    ------
    InputError
        If the family is unknown, does not have a given parameter, or a value is out of range.

    Examples
    --------
    >>> from napari_noise2score import NoiseRequest
    >>> NoiseRequest('gaussian', {'sigma': 5.0}).known()
    Gaussian(sigma=5.0)
    >>> NoiseRequest(parameters={'gain': 2.0}).known() is None  # offset and read noise are open
    True
    """

    family: str = setting(
        AUTO,
        label='Noise model',
        help=(
            'Noise of the detector; auto estimates it from the image, separately for each channel.'
        ),
        in_form='Noise of the detector; estimated from the image, separately for each channel, '
        'unless you choose one.',
        details='After a training you can change it and correct the image again without a new '
        'training.',
        choices={AUTO: 'Automatic', **{name: one.label for name, one in FAMILIES.items()}},
        option='noise',
        panel=False,
    )
    parameters: Mapping[str, float] = field(default_factory=dict)
    correlation: str = setting(
        AUTO,
        label='Correlation',
        help='Whether noise may be correlated between neighbouring pixels: auto measures it, '
        'none treats pixels as independent.',
        in_form='Whether noise may be correlated between neighbouring pixels: measured, or not, '
        'with pixels treated as independent.',
        details='Cameras that interpolate or sharpen the image make the noise correlated, and '
        'much of it remains if pixels are treated as independent. A change takes effect '
        'in the next training.',
        choices={AUTO: 'As measured', INDEPENDENT: 'Independent pixels'},
        panel=False,
    )
    maps: PixelMaps | None = None

    def __post_init__(self) -> None:
        check(self)
        family = self._family()
        photons = family is not None and 'read_noise' in parameters_of(family)
        if self.maps is not None and not (photons and 'offset' in self.parameters):
            raise InputError(
                'maps of pixels are given for noise without an offset; they need '
                'Poisson-Gaussian noise and one offset for all pixels'
            )
        if family is None:
            if self.parameters:
                raise InputError(f'no noise model has the parameters {", ".join(self.parameters)}')
            return
        accepted = parameters_of(family)
        for name, value in self.parameters.items():
            if name not in accepted:
                raise InputError(
                    f'{name} is not a parameter of {family.label} noise; accepted are '
                    f'{", ".join(accepted) or "none"}'
                )
            check_parameter(accepted[name], value)

    @classmethod
    def exactly(cls, family: NoiseFamily) -> NoiseRequest:
        """The request for exactly ``family``, independent of the data."""
        return cls(family.name, family.parameters())

    def _family(self) -> type[NoiseFamily] | None:
        if self.family != AUTO:
            return FAMILIES[self.family]
        if not self.parameters:
            return None
        able = [f for f in FAMILIES.values() if set(self.parameters) <= set(parameters_of(f))]
        return max(able, key=lambda f: len(parameters_of(f)), default=None)

    def known(self) -> NoiseFamily | None:
        """The noise model, if no estimate is needed."""
        family = self._family()
        if family is None or set(parameters_of(family)) != set(self.parameters):
            return None
        return family(**self.parameters)

    def resolve(self, fit: NoiseFit) -> NoiseFamily:
        """The noise model; parameters that are not given come from the fit.

        Raises
        ------
        InputError
            If photon noise is requested without a gain, and no gain can be estimated from the
            data.
        """
        known = self.known()
        if known is not None:
            return known
        family = self._family()
        if family is None:
            return fit.family
        fitted = family.fitted(fit.evidence, fit.line, self.parameters)
        return family(**{**fitted, **self.parameters})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NoiseRequest:
        """The request from its plain representation, see `to_dict`.

        Raises
        ------
        InputError
            If it had maps of pixels, of which only a summary is stored, or if values are not
            valid.
        """
        given = dict(values)
        if given.pop('pixel_maps', None) is not None:
            raise InputError(
                'the noise was given with maps of pixels, which are not stored with the settings; '
                'measure them again on the dark frames'
            )
        family, correlation = given.pop('family', AUTO), given.pop('correlation', AUTO)
        return cls(family, given, correlation)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        maps = {} if self.maps is None else {'pixel_maps': self.maps.to_dict()}
        return {
            'family': self.family,
            **self.parameters,
            'correlation': self.correlation,
            **maps,
        }
