"""Sizes and channels in the metadata formats of microscope programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing

if TYPE_CHECKING:
    from tifffile import TiffFile


def stated(file: TiffFile) -> Acquisition:
    """Metadata of the program that wrote a file; empty if the program is not supported."""
    for kind, read in _PROGRAMS.items():
        if getattr(file, f'is_{kind}', False):
            metadata = getattr(file, f'{kind}_metadata', None)
            if isinstance(metadata, Mapping):
                return read(metadata)
    return Acquisition()


def _acquired(
    steps: Mapping[str, tuple[Any, Any]], channels: Sequence[ChannelInfo] = ()
) -> Acquisition:
    spacing = {axis: Spacing.of(*step) for axis, step in steps.items()}
    return Acquisition(
        {axis: step for axis, step in spacing.items() if step is not None}, tuple(channels)
    )


def _micrometres(size: Any) -> Any:
    """A size in micrometres, from metres."""
    step = Spacing.of(size, 'm')
    return step and step.within('µm')


def _lsm(metadata: Mapping[str, Any]) -> Acquisition:
    """Zeiss."""
    steps = {axis: (_micrometres(metadata.get(f'VoxelSize{axis}')), 'µm') for axis in 'XYZ'}
    steps['T'] = metadata.get('TimeIntervall'), 's'
    colours = metadata.get('ChannelColors') or {}
    values = colours.get('Colors') or []
    names = colours.get('ColorNames') or [''] * len(values)
    channels = [
        ChannelInfo(str(name), (int(value[0]), int(value[1]), int(value[2])))
        for name, value in zip(names, values, strict=False)
    ]
    return _acquired(steps, channels)


def _stk(metadata: Mapping[str, Any]) -> Acquisition:
    """MetaMorph."""
    unit = metadata.get('CalibrationUnits', '')
    steps = {axis: (metadata.get(f'{axis}Calibration'), unit) for axis in 'XY'}
    distances = np.atleast_1d(metadata.get('ZDistance', 0))
    steps['Z'] = (distances[-1] if distances.size else 0), unit
    return _acquired(steps if unit else {})


def _micromanager(metadata: Mapping[str, Any]) -> Acquisition:
    summary = metadata.get('Summary') or {}
    steps = {axis: (summary.get('PixelSize_um'), 'µm') for axis in 'XY'}
    steps['Z'] = summary.get('z-step_um'), 'µm'
    steps['T'] = summary.get('Interval_ms'), 'ms'
    names = summary.get('ChNames') or ()
    names = [names] if isinstance(names, str) else names
    return _acquired(steps, [ChannelInfo(str(name)) for name in names])


def _fei(metadata: Mapping[str, Any]) -> Acquisition:
    """Thermo Fisher electron microscopes."""
    scan = metadata.get('Scan') or metadata.get('EScan') or {}
    return _acquired(
        {
            'X': (_micrometres(scan.get('PixelWidth')), 'µm'),
            'Y': (_micrometres(scan.get('PixelHeight')), 'µm'),
        }
    )


def _sem(metadata: Mapping[str, Any]) -> Acquisition:
    """Zeiss electron microscopes."""
    pixel = metadata.get('ap_image_pixel_size') or metadata.get('ap_pixel_size') or ('', 0, '')
    return _acquired(dict.fromkeys('XY', (pixel[1], pixel[2])) if len(pixel) > 2 else {})


def _sis(metadata: Mapping[str, Any]) -> Acquisition:
    """Olympus."""
    return _acquired(
        {axis: (_micrometres(metadata.get(f'pixelsize{axis.lower()}')), 'µm') for axis in 'XY'}
    )


def _fluoview(metadata: Mapping[str, Any]) -> Acquisition:
    """Olympus FluoView: name, length, origin, step and unit of each dimension."""
    steps = {}
    for dimension in metadata.get('Dimensions') or ():
        axis = str(dimension[0]).strip().upper()[:1]
        if axis in 'XYZT' and len(dimension) > 4:
            steps[axis] = dimension[3], dimension[4]
    return _acquired(steps)


_PROGRAMS: dict[str, Callable[[Mapping[str, Any]], Acquisition]] = {
    'lsm': _lsm,
    'stk': _stk,
    'micromanager': _micromanager,
    'fei': _fei,
    'sem': _sem,
    'sis': _sis,
    'fluoview': _fluoview,
}
