"""OME-XML of a store as bioformats2raw writes it, and attributes of arrays, go to the result."""

from xml.etree import ElementTree as ET

import fsspec
import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from napari_noise2score.images.acquisition import ChannelInfo, Spacing
from napari_noise2score.images.formats import read_image, write_image
from napari_noise2score.images.ome_zarr import read_ome_zarr, write_ome_zarr
from napari_noise2score.images.ome_zarr.ome_xml import for_result, only_image
from napari_noise2score.images.region import Region

SPACE = 'http://www.openmicroscopy.org/Schemas/OME/2016-06'
IMAGE = """<Image ID="Image:{0}" Name="scene {0}"><Description>{{tag &amp; more}}</Description>
<Pixels ID="Pixels:{0}" DimensionOrder="XYZCT" Type="uint16" SignificantBits="12" SizeX="30"
 SizeY="20" SizeZ="1" SizeC="2" SizeT="1" PhysicalSizeX="0.2" PhysicalSizeXUnit="µm">
<Channel ID="Channel:{0}:0" Name="DAPI" EmissionWavelength="461" ExcitationWavelength="358"/>
<Channel ID="Channel:{0}:1" Name="GFP" EmissionWavelength="509" AcquisitionMode="SpinningDisk"/>
<MetadataOnly/></Pixels></Image>"""
XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<OME xmlns="{SPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:schemaLocation="{SPACE} {SPACE}/ome.xsd">'
    f'{IMAGE.format(0)}{IMAGE.format(1)}</OME>'
)
DATA = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)


@pytest.fixture
def store(tmp_path):
    """Two images and OME-XML, as bioformats2raw lays them out."""
    path = tmp_path / 'scan.ome.zarr'
    zarr.create_group(path, attributes={'ome': {'version': '0.5', 'bioformats2raw.layout': 3}})
    for name in ('0', '1'):
        write_ome_zarr(path.with_name(name + '.zarr'), DATA, 'CYX')
        path.with_name(name + '.zarr').rename(path / name)
    zarr.open_array(path / '1' / '0').update_attributes({'gain': 3, '_ARRAY_DIMENSIONS': ['c']})
    (path / 'OME').mkdir()
    (path / 'OME' / 'METADATA.ome.xml').write_text(XML, encoding='utf-8')
    return path


@pytest.mark.parametrize('way', ['scene', 'path'])
def test_channels_and_sizes_come_from_the_xml_where_the_attributes_state_nothing(store, way):
    image = read_ome_zarr(store, scene=1) if way == 'scene' else read_ome_zarr(store / '1')
    assert image.acquisition.spacing == {'X': Spacing(0.2, 'µm')}
    assert image.acquisition.channels == (
        ChannelInfo('DAPI', None, Spacing(461, 'nm'), Spacing(358, 'nm')),
        ChannelInfo('GFP', None, Spacing(509, 'nm')),
    )
    assert 'scene 1' in image.inherited.xml
    assert 'scene 0' not in image.inherited.xml


@pytest.mark.parametrize('remote', [False, True])
def test_a_result_has_the_xml_of_its_image(store, tmp_path, remote):
    image = read_image(store, scene=1)
    place = f'memory://{tmp_path.name}/out.zarr' if remote else str(tmp_path / 'out.zarr')
    clean = np.asarray(image.data, np.float32)
    for target in (place, place.replace('out', 'again')):
        write_image(target, clean, 'CYX', image.acquisition, inherited=image.inherited)
        image = read_image(target)
    with fsspec.open(target + '/OME/METADATA.ome.xml', 'rt', encoding='utf-8') as file:
        xml = file.read()
    assert xml.count('xmlns="') == 1
    (own,) = ET.fromstring(xml).iter(f'{{{SPACE}}}Image')
    assert own.get('Name') == 'scene 1'
    assert own.find(f'{{{SPACE}}}Description').text == '{tag & more}'
    pixels = own.find(f'{{{SPACE}}}Pixels')
    assert (pixels.get('Type'), pixels.get('SignificantBits')) == ('float', None)
    assert pixels[1].get('AcquisitionMode') == 'SpinningDisk'
    waves = [channel.emission for channel in read_image(target).acquisition.channels]
    assert waves == [Spacing(461, 'nm'), Spacing(509, 'nm')]
    if not remote:
        yaozarrs.validate_zarr_store(target)


def test_wavelengths_go_from_the_xml_into_a_tiff(store, tmp_path):
    image = read_image(store, scene=0)
    write_image(tmp_path / 'clean.ome.tif', DATA, 'CYX', image.acquisition)
    with tifffile.TiffFile(tmp_path / 'clean.ome.tif') as file:
        assert 'EmissionWavelength="461' in file.ome_metadata


def test_attributes_of_the_array_go_to_that_of_the_result(store, tmp_path):
    image = read_image(store, scene=1)
    write_image(tmp_path / 'out.zarr', DATA, 'CYX', inherited=image.inherited)
    assert zarr.open_array(tmp_path / 'out.zarr' / '0').attrs.asdict() == {'gain': 3}


def test_another_part_of_the_image_has_no_xml(store):
    image = read_ome_zarr(store, scene=0)
    assert image.inherited.part(Region({'Y': (0, 5)}), {}).xml == ''
    assert for_result(image.inherited.xml, 'CYX', (2, 20, 29), 'float32') == ''
    assert for_result(image.inherited.xml, 'CYX', (2, 20, 30), 'float32')


@pytest.mark.parametrize('text', ['', '<OME', '<OME/>', 'no xml'])
def test_damaged_xml_is_left_out(store, tmp_path, text):
    (store / 'OME' / 'METADATA.ome.xml').write_text(text)
    image = read_image(store, scene=1)
    assert image.inherited.xml == ''
    assert image.acquisition.channels == ()
    assert only_image(XML, 2) == ''
