"""The command line and what files hold: sizes, several images, orders of axes, damage."""

import json

import numpy as np
import pytest
import tifffile
import torch

from napari_noise2score.cli import main
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.orientation import turned
from tests.hooks import seeing

pytestmark = pytest.mark.usefixtures('one_pass')
AT_ONCE = ['--seconds', '0', '--device', 'cpu']
GREY = {'photometric': 'minisblack'}


@pytest.fixture(scope='module')
def frames():
    return synthetic_stack('puncta', frames=4, size=64, seed=1).noisy.astype(np.uint16)


@pytest.fixture
def cells(tmp_path, frames):
    """Two channels of two time points, with all that ImageJ can say of them."""
    path = tmp_path / 'cells.tif'
    metadata = {'axes': 'TCYX', 'unit': 'micron', 'finterval': 0.5, 'spacing': 0.3}
    tifffile.imwrite(
        path,
        frames.reshape(2, 2, 64, 64),
        imagej=True,
        resolution=(1 / 0.108, 1 / 0.108),
        metadata=metadata | {'Labels': ['DAPI', 'GFP'] * 2},
    )
    return path


def sizes(path):
    with tifffile.TiffFile(path) as file:
        if file.is_ome:
            image = tifffile.xml2dict(file.ome_metadata)['OME']['Image']
            pixels, channels = image['Pixels'], image['Pixels']['Channel']
            channels = channels if isinstance(channels, list) else [channels]
            found = [pixels[f'PhysicalSize{axis}'] for axis in 'XYZ'] + [pixels['TimeIncrement']]
            names = [channel.get('Name') for channel in channels]
        else:
            said, tags = file.imagej_metadata, file.pages.first.tags
            assert said['unit'] == 'micron'
            values = [tags[f'{axis}Resolution'].value for axis in 'XY']
            found = [value[1] / value[0] for value in values] + [said['spacing']]
            found.append(said['finterval'])
            names = said['Labels'] if isinstance(said['Labels'], list) else [said['Labels']]
        return file.series[0].axes, pytest.approx(found), list(dict.fromkeys(names))


def test_results_regions_and_differences_have_the_sizes_of_the_input(cells, tmp_path):
    out, change = tmp_path / 'out.tif', tmp_path / 'change.ome.tif'
    call = ['denoise', str(cells), '--device', 'cpu', '--steps', '3', '--output', str(out)]
    assert main([*call, '--difference', str(change)]) == 0
    for path in (out, change):
        axes, found, names = sizes(path)
        assert (axes, names) == ('TCYX', ['DAPI', 'GFP'])
        assert found == [0.108, 0.108, 0.3, 0.5]
    region = ['--region', 'C1:2,Y2:62,X4:60', *AT_ONCE]
    for path in (out, change):
        assert main(['denoise', str(cells), '--output', str(path), *region]) == 0
        axes, found, names = sizes(path)
        assert (axes, names) == ('TYX', ['GFP'])
        assert found == [0.108, 0.108, 0.3, 0.5]


def test_what_is_left_out_of_a_file_is_said_and_reported(frames, tmp_path, capsys):
    path, out, report = (tmp_path / n for n in ('two.tif', 'out.tif', 'r.json'))
    with tifffile.TiffWriter(path) as file:
        file.write(frames[0, :48, :48], metadata=None, **GREY)
        for frame in frames:
            file.write(frame, metadata=None, **GREY)
    call = ['denoise', str(path), '--output', str(out), '--report', str(report), *AT_ONCE]
    assert main([*call, '--axes', 'TYX']) == 0
    assert tifffile.imread(out).shape == (4, 64, 64)
    lines = [line for line in capsys.readouterr().err.splitlines() if 'contains 2 images' in line]
    assert len(lines) == 1
    assert any('contains 2 images' in text for text in json.loads(report.read_text())['warnings'])
    assert main([*call, '--series', '0']) == 0
    assert tifffile.imread(out).shape == (48, 48)
    assert 'contains 2 images' not in capsys.readouterr().err
    assert main(['estimate', str(path), '--series', '0']) == 0
    assert main([*call, '--series', '2']) == 2
    assert 'no image number 2' in capsys.readouterr().err


@pytest.mark.parametrize(('axes', 'found'), [('SYX', 'SYX'), ('YXT', 'TYX'), ('XY', 'YX')])
def test_every_order_of_axes_becomes_an_ome_tiff(tmp_path, frames, axes, found):
    sides = {'S': 3, 'T': 3, 'Y': 64, 'X': 64}
    data = frames[0] if axes == 'XY' else frames[:3]
    given = (
        data.transpose(['TYX'.index(a) for a in axes.replace('S', 'T')]) if len(axes) > 2 else data
    )
    path, out = tmp_path / 'in.tif', tmp_path / 'out.ome.tif'
    tifffile.imwrite(path, given, metadata=None, **GREY)
    assert main(['denoise', str(path), '--axes', axes, '--output', str(out), *AT_ONCE]) == 0
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == found
        assert file.series[0].shape == tuple(sides[axis] for axis in found)


def test_what_ome_cannot_hold_is_refused_before_the_work(tmp_path, frames, capsys):
    path, out = tmp_path / 'in.tif', tmp_path / 'out.ome.tif'
    tifffile.imwrite(path, frames.astype(np.int64), metadata={'axes': 'TYX'}, **GREY)
    call = ['denoise', str(path), '--output', str(out), *AT_ONCE, '--dtype', 'source']
    asked = []
    with seeing(lambda *inputs: asked.append(inputs)):
        assert main(call) == 2
    assert not asked
    assert 'OME-TIFF cannot store int64; float32 is accepted' in capsys.readouterr().err


def test_six_axes_are_taken_or_can_be_named(tmp_path, frames, capsys):
    path, out = tmp_path / 'six.tif', tmp_path / 'out.tif'
    six = np.broadcast_to(frames[:2, :64, :64], (2, 1, 2, 1, 2, 64, 64))
    six = np.broadcast_to(six, (2, 2, 2, 2, 2, 64, 64))[:, 0]
    tifffile.imwrite(path, six, metadata={'axes': 'RTZCYX'}, **GREY)
    assert main(['estimate', str(path)]) == 0
    assert main(['estimate', str(path), '--axes', 'TCZYX']) == 2
    said = capsys.readouterr().err
    assert "one letter for each is needed, such as 'PTCZYX'; the file says RTZCYX" in said
    assert main(['denoise', str(path), '--axes', 'PTCZYX', '--output', str(out), *AT_ONCE]) == 0
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == 'PTCZYX'
    tifffile.imwrite(path, six, metadata=None, **GREY)
    assert main(['estimate', str(path)]) == 2
    assert 'give them with --axes, such as TYX' in capsys.readouterr().err


def test_damaged_files_end_in_one_line_wherever_they_are_given(cells, tmp_path, capsys):
    bad = tmp_path / 'bad.tif'
    tifffile.imwrite(bad, np.ones((3, 64, 64), np.uint16), compression='zlib', **GREY)
    bad.write_bytes(bad.read_bytes()[:-200].replace(b'x\x9c', b'\0\0'))
    for call in (
        ['estimate', str(bad), '--axes', 'TYX'],
        ['denoise', str(bad), '--axes', 'TYX', '--output', str(tmp_path / 'o.tif'), *AT_ONCE],
        ['estimate', str(cells), '--dark', str(bad)],
        ['estimate', str(cells), '--flat', str(bad)],
        ['train', str(bad), '--axes', 'TYX', '--model', str(tmp_path / 'm'), '--steps', '1'],
    ):
        assert main(call) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert 'bad.tif' in line
        assert 'torch' not in line
    assert {path.name for path in tmp_path.iterdir()} == {'cells.tif', 'bad.tif'}


def incompatible():
    raise RuntimeError('incompatible keyframe')


def unpacking():
    raise NotImplementedError('no such codec')


def turning_a_line():
    turned(torch.zeros(3), 1)  # its frame calls a compiled function


def layers_that_do_not_fit():
    torch.nn.Linear(2, 3)(torch.zeros(1, 5))


@pytest.mark.parametrize(
    ('fail', 'text'),
    [
        (incompatible, 'RuntimeError failed: incompatible keyframe'),
        (unpacking, 'NotImplementedError failed: no such codec'),
        (layers_that_do_not_fit, 'torch failed: mat1 and mat2 shapes cannot be multiplied'),
        (turning_a_line, 'torch failed: expected total dims >= 2'),
    ],
)
def test_torch_is_named_for_what_torch_raised(cells, tmp_path, capsys, monkeypatch, fail, text):
    name = 'napari_noise2score.pipeline.prepare.estimate_channel'
    monkeypatch.setattr(name, lambda *_: fail())
    assert main(['estimate', str(cells)]) == 1
    assert text in capsys.readouterr().err
