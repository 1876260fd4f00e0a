"""OME-Zarr on the command line: in and out, and what is refused before any work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from napari_noise2score.cli import main
from napari_noise2score.cli.inputs import files_of
from napari_noise2score.cli.outputs import Place, result_name, targets
from napari_noise2score.cli.results import Results
from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing
from napari_noise2score.images.ome_zarr import read_ome_zarr, write_ome_zarr
from napari_noise2score.images.ome_zarr.layout import Sizes
from napari_noise2score.images.synthetic import synthetic_stack

pytestmark = pytest.mark.usefixtures('one_pass')
AT_ONCE = ['--seconds', '0', '--device', 'cpu']
ACQUISITION = Acquisition(
    {'T': Spacing(0.5, 's'), 'Y': Spacing(0.108, 'µm'), 'X': Spacing(0.108, 'µm')},
    (ChannelInfo('DAPI', (0, 0, 255)), ChannelInfo('GFP', (0, 255, 0))),
)


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    stack = synthetic_stack('puncta', frames=4, size=64, seed=1).noisy
    return stack.astype(np.uint16).reshape(2, 2, 64, 64)


@pytest.fixture
def cells(tmp_path, frames, monkeypatch) -> Path:
    """An image with labels and attributes of others, in the folder where the command is called."""
    monkeypatch.chdir(tmp_path)
    path = Path('cells.ome.zarr')
    write_ome_zarr(path, frames, 'TCYX', ACQUISITION)
    group = zarr.open_group(path, mode='a')
    group.attrs['lab'] = {'sample': 7}
    group.create_group('labels', attributes={'ome': {'labels': ['nuclei']}})
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def attributes(path: str) -> dict:
    return json.loads(Path(path, 'zarr.json').read_text())['attributes']


def refused(capsys, *call: str) -> str:
    before = sorted(Path().rglob('*'))
    assert main(list(call)) == 2
    assert sorted(Path().rglob('*')) == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_result_has_all_that_its_source_has_but_labels(cells, frames):
    before = snapshot(cells)
    call = ['denoise', str(cells), '--output', 'out.ome.zarr', '--report', 'r.json', *AT_ONCE]
    assert main(call) == 0
    assert snapshot(cells) == before
    image = read_ome_zarr('out.ome.zarr')
    assert (image.axes, image.data.shape) == ('TCYX', frames.shape)
    assert image.acquisition == ACQUISITION
    values = np.asarray(image.data)
    assert values.dtype == np.float32
    assert abs(values.mean() / frames.mean() - 1) < 0.02
    assert values.std() < frames.std()
    found = attributes('out.ome.zarr')
    assert found['lab'] == {'sample': 7}
    report = json.loads(Path('r.json').read_text())
    assert Path(report.pop('file')).samefile(cells)
    assert found['noise2score'] == report
    assert found['noise2score']['source'] == 'cells.ome.zarr'
    assert sorted(path.name for path in Path('out.ome.zarr').iterdir()) == ['0', 'zarr.json']
    yaozarrs.validate_zarr_store('out.ome.zarr')


def test_tiff_and_ome_zarr_give_the_same(cells, frames):
    tifffile.imwrite(
        'cells.tif',
        frames,
        imagej=True,
        resolution=(1 / 0.108, 1 / 0.108),
        metadata={'axes': 'TCYX', 'unit': 'micron', 'finterval': 0.5},
    )
    for source in ('cells.tif', str(cells)):
        for name in ('out.ome.tif', 'out.zarr'):
            place = Path(source).stem + '_' + name
            assert main(['denoise', source, '--output', place, '--dtype', 'source', *AT_ONCE]) == 0
    results = [
        tifffile.imread('cells_out.ome.tif'),
        tifffile.imread('cells.ome_out.ome.tif'),
        np.asarray(read_ome_zarr('cells_out.zarr').data),
        np.asarray(read_ome_zarr('cells.ome_out.zarr').data),
    ]
    for result in results:
        assert result.dtype == np.uint16
        np.testing.assert_array_equal(np.squeeze(result), results[0])
    assert read_ome_zarr('cells_out.zarr').acquisition.spacing == {
        axis: Spacing(pytest.approx(step.size), step.unit)
        for axis, step in ACQUISITION.spacing.items()
    }
    with tifffile.TiffFile('cells.ome_out.ome.tif') as file:
        assert 'Name="DAPI"' in file.ome_metadata
        assert 'PhysicalSizeX="0.108"' in file.ome_metadata
        assert 'TimeIncrement="0.5"' in file.ome_metadata


def test_a_region_keeps_its_place_and_its_channel(cells):
    region = ['--region', 'C1:2,Y2:62,X4:60']
    assert main(['denoise', str(cells), '--output', 'out.zarr', *region, *AT_ONCE]) == 0
    image = read_ome_zarr('out.zarr')
    assert (image.axes, image.data.shape) == ('TCYX', (2, 1, 60, 56))
    assert image.inherited.origin == {'Y': pytest.approx(0.216), 'X': pytest.approx(0.432)}
    assert image.acquisition.channels == ACQUISITION.channels[1:]


def test_models_estimates_and_differences(cells, capsys):
    assert main(['train', str(cells), '--model', 'm', *AT_ONCE]) == 0
    assert main(['apply', 'm', str(cells), '--output', 'out.zarr', '--device', 'cpu']) == 0
    assert main(['estimate', str(cells), '--json', '--device', 'cpu']) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said['source'], len(said['channels'])) == ('cells.ome.zarr', 2)
    steps = ['--steps', '2', '--device', 'cpu']
    call = ['denoise', str(cells), '--output', 'two.zarr', '--difference', 'change.zarr', *steps]
    assert main(call) == 0
    assert read_ome_zarr('change.zarr').data.dtype == np.float32
    assert attributes('change.zarr')['noise2score']['largest_change']


def test_a_result_whose_difference_is_missing_is_made_again_with_it(cells, capsys):
    steps = ['--steps', '2', '--device', 'cpu']
    call = ['denoise', str(cells), '--output', 'two.zarr', '--difference', 'change.zarr', *steps]
    assert main(call) == 0
    capsys.readouterr()
    assert main(call) == 0
    assert 'skipped' in capsys.readouterr().err
    shutil.rmtree('change.zarr')
    before = Path('two.zarr').stat().st_ino
    assert main(call) == 0
    assert attributes('change.zarr')['noise2score']['largest_change']
    assert Path('two.zarr').stat().st_ino != before
    shutil.rmtree('change.zarr')
    capsys.readouterr()
    shutil.copytree(cells, 'change.zarr')  # now it is somebody else's
    assert 'change.zarr: exists already, and is not a result' in refused(capsys, *call)


def test_what_appears_at_the_place_of_a_result_meanwhile_is_kept(cells, monkeypatch, capsys):
    real = Results.check_input

    def then_appears(self, number):
        real(self, number)
        shutil.copytree(cells, 'out.zarr')  # by somebody else

    monkeypatch.setattr(Results, 'check_input', then_appears)
    assert main(['denoise', str(cells), '--output', 'out.zarr', *AT_ONCE]) == 1
    assert 'out.zarr: exists already' in capsys.readouterr().err
    assert list(snapshot(Path('out.zarr')).values()) == list(snapshot(cells).values())


def test_several_images_go_into_a_folder_each_as_it_came(cells, frames, capsys):
    Path('data').mkdir()
    shutil.copytree(cells, 'data/b.zarr')
    tifffile.imwrite('data/a.tif', frames[0, 0])
    assert main(['denoise', 'data', '--output', 'out/', *AT_ONCE]) == 0
    assert 'data: a folder of 2 files' in capsys.readouterr().err
    assert sorted(path.name for path in Path('out').iterdir()) == [
        *('a.tif', 'b.zarr', 'denoised.csv', 'denoised.json')
    ]


def test_a_url_is_read_and_written(cells, frames):
    out = 'memory://command/out.ome.zarr'
    assert main(['denoise', str(cells), '--output', out, *AT_ONCE]) == 0
    assert main(['denoise', out, '--output', 'memory://command/more', *AT_ONCE]) == 0
    image = read_ome_zarr('memory://command/more/out.ome.zarr')
    assert image.data.shape == frames.shape
    assert image.inherited.attributes == {'lab': {'sample': 7}}


def test_one_of_several_series_is_denoised(cells, frames, capsys):
    path = Path('several.zarr')
    zarr.create_group(path, attributes={'ome': {'bioformats2raw.layout': 3}})
    for number in '01':
        shutil.copytree(cells, path / number)
    before = snapshot(path)
    assert main(['denoise', 'several.zarr/1', '--output', 'out/', *AT_ONCE]) == 0
    assert main(['denoise', 'several.zarr', '--series', '0', '--output', 'o.zarr', *AT_ONCE]) == 0
    assert read_ome_zarr('out/several_1.ome.zarr').data.shape == frames.shape
    assert attributes('out/several_1.ome.zarr')['noise2score']['source'] == 'several.zarr/1'
    assert snapshot(path) == before
    capsys.readouterr()
    assert main(['denoise', 'several.zarr', '--output', 'new.zarr', *AT_ONCE]) == 2
    told, line = capsys.readouterr().err.splitlines()
    assert 'several.zarr: contains 2 images (--scene chooses one): 0: cells; 1: cells' in told
    assert 'new.zarr: is one image; 2 images need a folder' in line
    text = refused(capsys, 'denoise', 'several.zarr/0', '--output', 'several.zarr/new.zarr')
    assert 'lies inside an input' in text


@pytest.mark.parametrize(
    ('output', 'words'),
    [
        ('cells.ome.zarr', 'is also an input'),
        ('cells.ome.zarr/', 'is also an input'),
        ('x/../cells.ome.zarr', 'is also an input'),
        ('cells.ome.zarr/clean.ome.zarr', 'lies inside an input'),
        ('cells.ome.zarr/labels/clean.zarr', 'lies inside an input'),
        ('cells.ome.zarr/clean.tif', 'lies inside an input'),
        ('there.zarr', 'exists already'),
        ('there.zarr/clean.zarr', 'lies inside the Zarr store'),
        ('http://host/clean.zarr', 'nothing can be written over http'),
        ('new.zarr/0', 'ends in .zarr'),
    ],
)
def test_what_must_not_be_written_is_refused_before_any_work(cells, capsys, output, words):
    Path('x').mkdir()
    shutil.copytree(cells, 'there.zarr')
    before = snapshot(Path())
    assert words in refused(capsys, 'denoise', str(cells), '--output', output, *AT_ONCE)
    assert snapshot(Path()) == before


def test_reports_and_models_are_local_files_outside_of_inputs(cells, capsys):
    call = ['denoise', str(cells), '--output', 'out.zarr', *AT_ONCE]
    assert 'lies inside an input' in refused(capsys, *call, '--report', 'cells.ome.zarr/r.json')
    for name in ('s3://bucket/r.json', 'r.zarr'):
        with pytest.raises(SystemExit):
            main([*call, '--report', name])
        assert 'a local file is needed here' in capsys.readouterr().err
    assert not Path('out.zarr').exists()


def test_stores_of_any_name_are_left_as_they_are(cells, capsys):
    cells.rename('experiment')
    for output in ('experiment/new.tif', 'experiment/0/new.tif', 'experiment/new.zarr'):
        words = refused(capsys, 'denoise', 'experiment', '--output', output, *AT_ONCE)
        assert 'lies inside' in words
    tifffile.imwrite('a.tif', np.zeros((8, 8), np.uint8))
    words = refused(capsys, 'denoise', 'a.tif', '--output', 'experiment/labels/new.tif', *AT_ONCE)
    assert 'lies inside the Zarr store' in words


def test_a_damaged_chunk_is_one_line(cells, capsys):
    (cells / '0' / 'c' / '0' / '0' / '0' / '0').write_bytes(b'nonsense')
    line = refused(capsys, 'denoise', str(cells), '--output', 'out.zarr', *AT_ONCE)
    assert "cells.ome.zarr, array '0': cannot be read; it is damaged" in line


def test_a_missing_chunk_is_said_and_reported(cells, frames, capsys):
    write_ome_zarr('in.zarr', frames, 'TCYX', sizes=Sizes(shard=1))
    Path('in.zarr/0/c/1/0/0/0').unlink()
    call = ['denoise', 'in.zarr', '--output', 'out.zarr', '--report', 'r.json', *AT_ONCE]
    assert main(call) == 0
    words = "1 of the 4 chunks of its array '0' are not stored; their pixels are read as 0"
    assert words in capsys.readouterr().err
    assert words in json.loads(Path('r.json').read_text())['warnings']
    result = read_ome_zarr('out.zarr').data
    assert not result[1, 0].any()
    assert result[1, 1].any()


def test_the_package_that_is_missing_is_named_before_any_work(cells, frames, capsys, monkeypatch):
    tifffile.imwrite('a.tif', frames[0, 0])
    monkeypatch.setitem(__import__('sys').modules, 'zarr', None)
    for source, output in ((str(cells), 'out.tif'), ('a.tif', 'out.zarr')):
        line = refused(capsys, 'denoise', source, '--output', output, *AT_ONCE)
        assert "pip install 'napari-noise2score[zarr]'" in line


def test_patterns_find_stores_and_a_missing_one_is_told(cells, capsys):
    assert files_of([Path('*.zarr')])[0] == [cells]
    assert 'a pattern of 1 file' in capsys.readouterr().err
    with pytest.raises(InputError, match='no such file; a TIFF, OME-Zarr, PNG'):
        files_of([Path('missing.zarr')])


@pytest.mark.parametrize(
    ('name', 'result'),
    [
        ('a.ome.zarr', 'a.ome.zarr'),
        ('a.zarr', 'a.zarr'),
        ('a.ome.zarr/0', 'a_0.ome.zarr'),
        ('plate.zarr/A/1/0', 'plate_A_1_0.ome.zarr'),
        ('s3://bucket/a.zarr/1', 'a_1.ome.zarr'),
    ],
)
def test_results_of_ome_zarr_are_ome_zarr(name, result):
    assert result_name(Path('somewhere') / name if '://' not in name else Path(name)) == result


def test_names_of_outputs_at_a_url():
    remote = Place.parse('s3://bucket/results')
    found = targets([Path('a.ome.tif'), Path('b.zarr')], remote)
    assert found == [remote.path / 'a.ome.zarr', remote.path / 'b.zarr']
    with pytest.raises(InputError, match=r'^s3://bucket/o\.zarr: is one image; 2 images need'):
        targets([Path('a.tif'), Path('b.tif')], Place.parse('s3://bucket/o.zarr'))
