"""What programs of microscopes state, as tifffile hands it on."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_noise2score.images.acquisition import Acquisition
from napari_noise2score.images.tiff.microscopes import stated

SAID = {
    'lsm': {
        'VoxelSizeX': 1.08e-7,
        'VoxelSizeY': 1.08e-7,
        'VoxelSizeZ': 3e-7,
        'TimeIntervall': 0.5,
        'ChannelColors': {'Colors': [[0, 0, 255, 0], [255, 0, 0, 0]], 'ColorNames': ['a', 'b']},
    },
    'stk': {
        'XCalibration': 0.108,
        'YCalibration': 0.108,
        'CalibrationUnits': 'um',
        'ZDistance': np.array([0.3, 0.3]),
    },
    'micromanager': {
        'Summary': {
            'PixelSize_um': 0.108,
            'z-step_um': 0.3,
            'Interval_ms': 500,
            'ChNames': ['a', 'b'],
        }
    },
    'fei': {'Scan': {'PixelWidth': 1.08e-7, 'PixelHeight': 1.08e-7}},
    'sem': {'ap_image_pixel_size': ('Image Pixel Size', 108, 'nm')},
    'sis': {'pixelsizex': 1.08e-7, 'pixelsizey': 1.08e-7},
    'fluoview': {
        'Dimensions': [
            ('x', 512, 0.0, 0.108, 'um'),
            ('y', 512, 0.0, 0.108, 'um'),
            ('z', 9, 0.0, 0.3, 'um'),
            ('Ch', 2, 0.0, 1.0, 'Ch'),
        ]
    },
}
TRUTH = {'X': (0.108, 'µm'), 'Y': (0.108, 'µm'), 'Z': (0.3, 'µm'), 'T': (0.5, 's')}


@pytest.mark.parametrize('program', SAID)
def test_sizes_and_channels_of_programs(program):
    file = SimpleNamespace(**{f'is_{program}': True, f'{program}_metadata': SAID[program]})
    found = stated(file)
    assert {'X', 'Y'} <= set(found.spacing) <= set(TRUTH)
    for axis, step in found.spacing.items():
        size, unit = TRUTH[axis]
        assert step.within(unit) == pytest.approx(size)
    names = [channel.name for channel in found.channels]
    assert names == (['a', 'b'] if program in ('lsm', 'micromanager') else [])
    if program == 'lsm':
        assert found.channels[0].colour == (0, 0, 255)


@pytest.mark.parametrize('program', SAID)
def test_programs_that_state_nothing(program):
    for said in ({}, None):
        file = SimpleNamespace(**{f'is_{program}': True, f'{program}_metadata': said})
        assert stated(file) == Acquisition()
