"""Pixel size, slice distance, frame interval and channels, from every format into every format.

What comes out is read here by tifffile and the rules of each format, not by the product's reader.
"""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing
from napari_noise2score.images.region import Region
from napari_noise2score.images.tiff import read_tiff, write_tiff

NAMES = ['DAPI', 'Alexa 488 & "GFP" <x>']
STACK = np.arange(2 * 3 * 2 * 4 * 5, dtype=np.uint16).reshape(2, 3, 2, 4, 5)  # TZCYX
X, Y, Z, T = 0.108, 0.216, 0.3, 0.5  # micrometres, seconds
MICRON = {'micron': 1, 'nm': 1e-3, 'cm': 1e4, 'inch': 25400, 'mm': 1e3}


def imagej(path, unit='micron', escaped=None):
    factor = MICRON[unit]
    tifffile.imwrite(
        path,
        STACK,
        imagej=True,
        resolution=(factor / X, factor / Y),
        metadata={
            'axes': 'TZCYX',
            'unit': escaped or unit,
            'spacing': Z / factor,
            'finterval': T,
            'Labels': NAMES * 6,
        },
    )


def ome(path, unit='µm', factor=1.0, seconds=('s', 1.0), axes='TCZYX'):
    data = STACK.transpose(['TZCYX'.index(axis) for axis in axes])
    sizes = {f'PhysicalSize{a}': s / factor for a, s in zip('XYZ', (X, Y, Z), strict=True)}
    units = {f'PhysicalSize{a}Unit': unit for a in 'XYZ'} if unit != 'µm' else {}
    tifffile.imwrite(
        path,
        data,
        ome=True,
        photometric='minisblack',
        metadata={
            'axes': axes,
            **sizes,
            **units,
            'TimeIncrement': T / seconds[1],
            'TimeIncrementUnit': seconds[0],
            'Channel': {'Name': NAMES},
        },
    )


def plain(path, code, factor):
    tifffile.imwrite(
        path,
        STACK,
        photometric='minisblack',
        resolution=(factor / X, factor / Y),
        resolutionunit=code,
        metadata={'axes': 'TZCYX'},
    )


def plain_in_words(path):
    tifffile.imwrite(
        path,
        STACK,
        photometric='minisblack',
        resolution=(1 / X, 1 / Y),
        metadata={
            'axes': 'TZCYX',
            'unit': 'um',
            'spacing': Z,
            'finterval': T,
            'Labels': NAMES * 6,
        },
    )


ALL, FLAT = {'X', 'Y', 'Z', 'T', 'C'}, {'X', 'Y'}
INPUTS = {
    'ImageJ, micron': (imagej, ALL),
    'ImageJ, escaped': (lambda path: imagej(path, escaped='\\u00B5m'), ALL),
    'ImageJ, um': (lambda path: imagej(path, escaped='um'), ALL),
    'ImageJ, nm': (lambda path: imagej(path, 'nm'), ALL),
    'ImageJ, mm': (lambda path: imagej(path, 'mm'), ALL),
    'ImageJ, inch': (lambda path: imagej(path, 'inch'), ALL),
    'OME, no unit': (ome, ALL),
    'OME, nm and ms': (lambda path: ome(path, 'nm', 1e-3, ('ms', 1e-3)), ALL),
    'OME, mm and min': (lambda path: ome(path, 'mm', 1e3, ('min', 60)), ALL),
    'OME, inch': (lambda path: ome(path, 'in', 25400), ALL),
    'OME, CTZYX': (lambda path: ome(path, axes='CTZYX'), ALL),
    'plain, inch': (lambda path: plain(path, 2, 25400), FLAT),
    'plain, cm': (lambda path: plain(path, 3, 1e4), FLAT),
    'plain, ImageJ words': (plain_in_words, ALL),
}
OUTPUTS = {'ImageJ': ('o.tif', np.float32), 'OME': ('o.ome.tif', np.float32)}
OUTPUTS['plain'] = 'o.tif', np.float64


def found_in(path):
    """Micrometres and seconds by axis, and the names of channels, by the rules of the format."""
    units = {'micron': 1, 'um': 1, 'µm': 1, 'nm': 1e-3, 'mm': 1e3, 'cm': 1e4, 'inch': 25400}
    seconds = {'s': 1, 'sec': 1, 'ms': 1e-3, 'min': 60}
    with tifffile.TiffFile(path) as file:
        kind, axes, tags = file.series[0].kind, file.series[0].axes, file.pages.first.tags
        xml, said = file.ome_metadata, file.imagej_metadata
    if kind == 'ome':
        pixels = next(e for e in ET.fromstring(xml).iter() if e.tag.endswith('Pixels'))
        found = {
            axis: float(pixels.get(f'PhysicalSize{axis}'))
            * units[pixels.get(f'PhysicalSize{axis}Unit', 'µm')]
            for axis in 'XYZ'
            if f'PhysicalSize{axis}' in pixels.attrib
        }
        if 'TimeIncrement' in pixels.attrib:
            unit = pixels.get('TimeIncrementUnit', 's')
            found['T'] = float(pixels.get('TimeIncrement')) * seconds[unit]
        names = [e.get('Name') for e in pixels if e.tag.endswith('Channel')]
        return kind, axes, found, names if any(names) else []
    resolution = {axis: tags[f'{axis}Resolution'].value for axis in 'XY'}
    found = {axis: value[1] / value[0] for axis, value in resolution.items()}
    if kind == 'imagej':
        unit = units[said['unit']]
        found = {axis: size * unit for axis, size in found.items()}
        found |= {'Z': said['spacing'] * unit} if 'spacing' in said else {}
        found |= {'T': said['finterval']} if 'finterval' in said else {}
        return kind, axes, found, said.get('Labels', [])[: said.get('channels', 1)]
    factor = {2: 25400, 3: 1e4}[int(tags['ResolutionUnit'].value)]
    return kind, axes, {axis: size * factor for axis, size in found.items()}, []


@pytest.mark.parametrize('output', OUTPUTS)
@pytest.mark.parametrize('given', INPUTS)
def test_sizes_and_names_from_every_format_into_every_format(tmp_path, given, output):
    make, known = INPUTS[given]
    name, dtype = OUTPUTS[output]
    make(tmp_path / 'in.tif')
    image = read_tiff(tmp_path / 'in.tif')
    assert image.notes == ()
    path = tmp_path / name
    write_tiff(path, image.data.astype(dtype), image.axes, image.acquisition)
    kind, axes, found, names = found_in(path)
    assert kind == {'ImageJ': 'imagej', 'OME': 'ome', 'plain': 'shaped'}[output]
    assert axes == ('TZCYX' if output == 'ImageJ' else image.axes)
    truth = {'X': X, 'Y': Y, 'Z': Z, 'T': T}
    told = known & set('XYZT') if output != 'plain' else FLAT
    assert found == {axis: pytest.approx(truth[axis], rel=1e-6) for axis in told}
    assert names == (NAMES if 'C' in known and output != 'plain' else [])
    back = read_tiff(path)
    order = [back.axes.index(axis) for axis in 'TZCYX']
    np.testing.assert_array_equal(back.data.transpose(order), STACK)
    for axis in known & set('XYZ'):
        size = back.acquisition.spacing[axis].within('µm')
        assert size == pytest.approx(truth[axis], rel=1e-6)
    if 'T' in known:
        assert back.acquisition.spacing['T'].within('s') == pytest.approx(T)
    assert [channel.name for channel in back.acquisition.channels] == NAMES * ('C' in known)


def test_a_file_that_says_nothing_gets_no_sizes(tmp_path):
    for options in ({}, {'resolution': (72, 72), 'resolutionunit': 2}):
        tifffile.imwrite(tmp_path / 'in.tif', STACK[0, 0, 0], metadata={'axes': 'YX'}, **options)
        image = read_tiff(tmp_path / 'in.tif')
        assert image.acquisition == Acquisition()
        write_tiff(tmp_path / 'o.ome.tif', image.data, 'YX', image.acquisition)
        assert found_in(tmp_path / 'o.ome.tif')[2] == {}


def test_a_pixel_size_without_a_unit_stays_a_number_without_a_unit(tmp_path):
    plain(tmp_path / 'in.tif', 1, 1)
    image = read_tiff(tmp_path / 'in.tif')
    assert image.acquisition.spacing == {'X': Spacing(X), 'Y': Spacing(Y)}
    for name in ('o.tif', 'o.ome.tif'):
        write_tiff(tmp_path / name, image.data, image.axes, image.acquisition)
        assert read_tiff(tmp_path / name).acquisition == image.acquisition
    with tifffile.TiffFile(tmp_path / 'o.tif') as file:
        assert 'unit' not in file.imagej_metadata


def test_colours_and_wavelengths_of_channels_are_kept(tmp_path):
    channels = (
        ChannelInfo('a', (255, 0, 128), Spacing(520, 'nm'), Spacing(488, 'nm')),
        ChannelInfo('', (0, 255, 0)),
    )
    given = Acquisition({}, channels)
    for name, dtype in (('o.ome.tif', np.float32), ('o.tif', np.float64)):
        write_tiff(tmp_path / name, STACK.astype(dtype), 'TZCYX', given)
        assert read_tiff(tmp_path / name).acquisition.channels == channels
    write_tiff(tmp_path / 'o.tif', STACK, 'TZCYX', given)
    found = read_tiff(tmp_path / 'o.tif').acquisition.channels
    assert [channel.colour for channel in found] == [(255, 0, 128), (0, 255, 0)]
    with tifffile.TiffFile(tmp_path / 'o.tif') as file:
        assert file.imagej_metadata['mode'] == 'composite'


def test_names_of_planes_by_bio_formats_are_names_of_channels(tmp_path):
    labels = [
        f'c:{c}/2 z:{z}/3 t:{t}/2 - {NAMES[c - 1]}'
        for t in (1, 2)
        for z in (1, 2, 3)
        for c in (1, 2)
    ]
    metadata = {'axes': 'TZCYX', 'Labels': labels}
    tifffile.imwrite(tmp_path / 'in.tif', STACK, imagej=True, metadata=metadata)
    channels = read_tiff(tmp_path / 'in.tif').acquisition.channels
    assert [channel.name for channel in channels] == NAMES


def test_different_units_of_x_and_z_become_one_in_imagej(tmp_path):
    given = Acquisition({'X': Spacing(65, 'nm'), 'Y': Spacing(65, 'nm'), 'Z': Spacing(0.2, 'µm')})
    write_tiff(tmp_path / 'o.tif', STACK, 'TZCYX', given)
    assert found_in(tmp_path / 'o.tif')[2] == pytest.approx({'X': 0.065, 'Y': 0.065, 'Z': 0.2})


def test_of_a_region_the_pixel_size_and_the_names_of_its_channels_are_kept(tmp_path):
    ome(tmp_path / 'in.ome.tif')
    acquisition = read_tiff(tmp_path / 'in.ome.tif').acquisition
    part = acquisition.part(Region.parse('C1:2,X1:3'))
    assert part.spacing == acquisition.spacing
    assert [channel.name for channel in part.channels] == NAMES[1:]
    assert acquisition.part(Region.parse('X1:3')) == acquisition


@pytest.mark.parametrize(
    ('stated', 'axes', 'kept'),
    [
        ('ZCYX', 'ZCYX', {'Z': 3, 'Y': 2, 'X': 1}),
        ('ZCYX', 'TCYX', {'Y': 2, 'X': 1}),  # slices that are frames have no distance
        ('CYX', 'CXY', {'Z': 3, 'X': 2, 'Y': 1}),
        ('QYX', 'YXT', {'Z': 3, 'X': 2}),
    ],
)
def test_sizes_go_with_their_place_where_axes_are_named_anew(stated, axes, kept):
    spacing = {'X': Spacing(1, 'µm'), 'Y': Spacing(2, 'µm'), 'Z': Spacing(3, 'µm')}
    given = Acquisition(spacing, (ChannelInfo('a'), ChannelInfo('b')))
    found = given.renamed(stated, axes)
    assert {axis: step.size for axis, step in found.spacing.items()} == kept
    same = stated.find('C') == axes.find('C')
    assert found.channels == (given.channels if same else ())


@pytest.mark.parametrize('code', [2, 3])
def test_sizes_of_paper_stay_in_their_unit(tmp_path, code):
    plain(tmp_path / 'in.tif', code, 300 * X)
    image = read_tiff(tmp_path / 'in.tif')
    write_tiff(tmp_path / 'o.tif', image.data, image.axes, image.acquisition)
    with tifffile.TiffFile(tmp_path / 'o.tif') as file:
        tags = file.pages.first.tags
        assert int(tags['ResolutionUnit'].value) == code
        numerator, denominator = tags['XResolution'].value
        assert numerator / denominator == pytest.approx(300)
