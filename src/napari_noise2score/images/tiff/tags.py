"""Resolution tags: pixels per unit along X and Y, which every TIFF can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_noise2score.images.acquisition import Acquisition, Spacing

if TYPE_CHECKING:
    from tifffile import TiffPage

_CODES = {'': 1, 'in': 2, 'cm': 3}
_UNITS = {2: 'in', 3: 'cm', 4: 'mm', 5: 'µm'}
_UNSCALED = 1 / 72
"""Inches per pixel at 72 dots per inch, which programs such as ImageJ write for unknown sizes."""
_MICROSCOPIC = 20.0
"""Micrometres below which a size in inches or centimetres is converted to micrometres."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Sizes of a pixel by axis, X and Y, in one unit: of length, or ``''`` if it is not known."""

    sizes: Mapping[str, float] = field(default_factory=dict)
    unit: str = ''

    @classmethod
    def of(cls, page: TiffPage) -> Resolution:
        """Resolution of a page; empty if its tags contain none."""
        code = page.tags.valueof('ResolutionUnit', 2)
        unit = _UNITS.get(int(code) if isinstance(code, int) else 1, '')
        sizes = {}
        for axis in 'XY':
            value = page.tags.valueof(f'{axis}Resolution')
            if not isinstance(value, tuple) or len(value) != 2 or not value[0]:
                continue
            step = Spacing.of(value[1] / value[0])
            if step is not None:
                sizes[axis] = step.size
        return cls(sizes, unit)

    def spacing(self, axis: str, unit: str = '') -> Spacing | None:
        """Spacing along an axis, in the given unit, or in that of the tags."""
        size = self.sizes.get(axis)
        if size is None or (not unit and size == (_UNSCALED if self.unit == 'in' else 1)):
            return None
        return Spacing(size, unit or self.unit)

    def options(self) -> dict[str, Any]:
        """Options with which tifffile writes the tags."""
        if not self.sizes:
            return {}
        x, y = (self.sizes.get(axis, next(iter(self.sizes.values()))) for axis in 'XY')
        return {'resolution': (1 / x, 1 / y), 'resolutionunit': _CODES.get(self.unit, 1)}


def stated(resolution: Resolution) -> Acquisition:
    """Sizes of a plain TIFF; small ones in micrometres, a unit that the tags do not have."""
    spacing = {}
    for axis in 'XY':
        step = resolution.spacing(axis)
        if step is None:
            continue
        micrometres = step.within('µm')
        small = micrometres is not None and micrometres < _MICROSCOPIC
        spacing[axis] = Spacing(micrometres, 'µm') if small and micrometres else step
    return Acquisition(spacing)


def tagged(acquisition: Acquisition) -> Resolution:
    """Tags of a file, in centimetres or inches if the sizes are lengths."""
    steps = {axis: acquisition.spacing[axis] for axis in 'XY' if axis in acquisition.spacing}
    if not steps:
        return Resolution()
    units = {step.unit for step in steps.values()}
    if units == {'in'}:
        return Resolution({axis: step.size for axis, step in steps.items()}, 'in')
    lengths = {axis: step.within('cm') for axis, step in steps.items()}
    if all(length is not None for length in lengths.values()):
        return Resolution({axis: length for axis, length in lengths.items() if length}, 'cm')
    return Resolution({axis: step.size for axis, step in steps.items()})
