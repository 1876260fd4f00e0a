"""The readers of bioio for LIF and CZI, on files that these tests write.

Run by ``tox -e vendor``, which installs the readers; they are large, so other tests have a reader
of their own.
"""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pylibCZIrw import czi

from napari_noise2score import InputError, list_scenes, read_image
from napari_noise2score.cli import main
from napari_noise2score.images.acquisition import Spacing

RNG = np.random.default_rng(0)
VOLUME = RNG.poisson(80, (3, 2, 48, 64)).astype(np.uint16)
OVERVIEW = RNG.poisson(50, (1, 1, 64, 64)).astype(np.uint16)
FIRST = RNG.poisson(100, (3, 64, 80)).astype(np.uint16)
SECOND = RNG.poisson(200, (3, 64, 90)).astype(np.uint16)


def attributes(**values) -> str:
    return ' '.join(f'{name}="{value}"' for name, value in values.items())


def lif_element(number: int, name: str, data: np.ndarray) -> str:
    """The description of an image (Z, C, Y, X) in a LIF file."""
    z, c, y, x = data.shape
    common = {'Origin': 0, 'Unit': 'm', 'BitInc': 0}
    sizes = [(1, x, 2e-7, 2), (2, y, 2e-7, 2 * x)] + (
        [(3, z, 5e-7, 2 * x * y * c)] if z > 1 else []
    )
    dimensions = ''.join(
        f'<DimensionDescription {attributes(DimID=axis, NumberOfElements=side, **common)} '
        f'{attributes(Length=(side - 1) * step, BytesInc=bytes_)}/>'
        for axis, side, step, bytes_ in sizes
    )
    same = {'DataType': 0, 'ChannelTag': 0, 'Resolution': 16, 'NameOfMeasuredQuantity': ''}
    same |= {'Min': 0, 'Max': 65535, 'Unit': '', 'IsLUTInverted': 0, 'BitInc': 0}
    channels = ''.join(
        f'<ChannelDescription {attributes(LUTName=lut, BytesInc=place * x * y * 2, **same)}/>'
        for place, lut in enumerate(('Green', 'Red')[:c])
    )
    block = f'MemBlock_{number}'
    return (
        f'<Element Name="{name}" UniqueID="{block}"><Data><Image TextDescription="">'
        f'<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>'
        f'</ImageDescription></Image></Data><Memory Size="{data.nbytes}" '
        f'MemoryBlockID="{block}"/></Element>'
    )


def write_lif(path: Path, images: dict[str, np.ndarray]) -> None:
    elements = ''.join(lif_element(n, *item) for n, item in enumerate(images.items()))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="p.lif" UniqueID="u">'
        '<Memory Size="0" MemoryBlockID="MemBlock_root"/>'
        f'<Children>{elements}</Children></Element></LMSDataContainerHeader>'
    )
    text = xml.encode('utf-16-le')
    content = struct.pack('<IIBI', 0x70, len(text) + 5, 0x2A, len(xml)) + text
    for number, data in enumerate(images.values()):
        name = f'MemBlock_{number}'
        text = name.encode('utf-16-le')
        head = struct.pack('<IIBQBI', 0x70, len(text) + 14, 0x2A, data.nbytes, 0x2A, len(name))
        content += head + text + data.tobytes()
    path.write_bytes(content)


def write_czi(path: Path, scenes: list[np.ndarray], *, described: bool = True) -> None:
    """A file of scenes (Z, Y, X); pylibCZIrw does not describe them, so that is added."""
    with czi.create_czi(str(path)) as file:
        for number, data in enumerate(scenes):
            for z, plane in enumerate(data):
                where = {'plane': {'Z': z, 'T': 0, 'C': 0}, 'location': (500 * number, 0)}
                file.write(np.atleast_3d(plane), scene=number, **where)
        sizes = {'scale_x': 1e-7, 'scale_y': 2e-7, 'scale_z': 5e-7}
        file.write_metadata('X' * 400, channel_names={0: 'DAPI'}, **sizes)
    if not described:
        return
    names = ''.join(f'<Scene Index="{n}" Name="Well {n}/x"/>' for n in range(len(scenes)))
    added = f'<S><Scenes>{names}</Scenes></S>'.encode()
    content = path.read_bytes()
    before, _, rest = content.partition(b'<Dimensions>')
    middle, _, end = rest.partition(b'X' * len(added))  # a part of the title, of the same length
    path.write_bytes(before + b'<Dimensions>' + added + middle + end)
    assert path.stat().st_size == len(content)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_lif():
    write_lif(Path('a.lif'), {'Series 1': VOLUME, 'Overview': OVERVIEW})
    assert list_scenes('a.lif') == ('Series 1', 'Overview')
    image = read_image('a.lif', scene='Series 1')
    assert image.axes == 'CZYX'
    np.testing.assert_array_equal(image.data, VOLUME.swapaxes(0, 1))
    spacing = image.acquisition.spacing
    assert {axis: step.unit for axis, step in spacing.items()} == dict.fromkeys('XYZ', 'µm')
    assert [spacing[axis].size for axis in 'XYZ'] == pytest.approx([0.2, 0.2, 0.5])
    assert [channel.name for channel in image.acquisition.channels] == ['Green', 'Red']
    np.testing.assert_array_equal(read_image('a.lif/1').data, OVERVIEW[0, 0])
    lazy = read_image('a.lif', scene=0, in_memory=0).data
    np.testing.assert_array_equal(lazy[1, 2], VOLUME[2, 1])
    np.testing.assert_array_equal(lazy[0, ::2, 5:9], VOLUME[::2, 0, 5:9])


def test_czi_with_scenes_of_different_sizes():
    write_czi(Path('a.czi'), [FIRST, SECOND])
    assert list_scenes('a.czi') == ('Well 0/x', 'Well 1/x')
    for number, data in enumerate((FIRST, SECOND)):
        image = read_image('a.czi', scene=number)
        assert image.axes == 'ZYX'
        np.testing.assert_array_equal(image.data, data)
        np.testing.assert_array_equal(read_image(f'a.czi/{number}', in_memory=0).data[1], data[1])
    assert image.acquisition.spacing == {
        'X': Spacing(0.1, 'µm'),
        'Y': Spacing(0.2, 'µm'),
        'Z': Spacing(0.5, 'µm'),
    }
    assert [channel.name for channel in image.acquisition.channels] == ['DAPI']


def test_czi_without_a_description_of_its_scenes():
    write_czi(Path('one.czi'), [FIRST], described=False)
    np.testing.assert_array_equal(read_image('one.czi').data, FIRST)
    write_czi(Path('two.czi'), [FIRST, SECOND], described=False)
    with pytest.raises(InputError, match='has 2 scenes, but no description of them'):
        read_image('two.czi', scene=0)


def test_czi_of_colours():
    colours = np.stack([np.full((40, 50), n, np.uint8) for n in (1, 2, 3)], axis=-1)
    write_czi(Path('a.czi'), [colours[None]])
    image = read_image('a.czi')
    assert image.axes == 'YXS'
    assert list(image.data[0, 0]) == [3, 2, 1]  # a CZI has blue first
    write_czi(Path('b.czi'), [colours[None]], described=False)
    with pytest.raises(InputError, match='has colours, but no description of them'):
        read_image('b.czi')


def test_damaged_files_are_one_line():
    write_lif(Path('a.lif'), {'Series 1': VOLUME, 'Overview': OVERVIEW})
    write_czi(Path('a.czi'), [FIRST])
    for name in ('a.lif', 'a.czi'):
        content = Path(name).read_bytes()
        for length in (0, 20, len(content) // 3):
            Path(name).write_bytes(content[:length])
            with pytest.raises(InputError, match=r'^a\.\w+: not a readable \w+ file') as caught:
                read_image(name, scene=0)
            assert '\n' not in str(caught.value)


def test_all_scenes_are_denoised(capsys):
    write_lif(Path('a.lif'), {'Series 1': VOLUME, 'Overview': OVERVIEW})
    write_czi(Path('b.czi'), [FIRST, SECOND])
    call = ['denoise', 'a.lif', 'b.czi', '--output', 'out/', '--seconds', '0', '--device', 'cpu']
    assert main(call) == 0
    assert 'contains 2 images' in capsys.readouterr().err
    names = ['a_Overview.tif', 'a_Series 1.tif', 'b_Well 0_x.tif', 'b_Well 1_x.tif']
    assert sorted(path.name for path in Path('out').glob('*.tif')) == names
    with tifffile.TiffFile('out/a_Series 1.tif') as file:
        assert (file.series[0].axes, file.series[0].shape) == ('ZCYX', VOLUME.shape)
        assert file.imagej_metadata['spacing'] == pytest.approx(0.5)
