"""Commands on formats that are only read, and on files of several scenes."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.cli.inputs import files_of
from napari_noise2score.cli.outputs import result_name
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import read_ome_zarr
from napari_noise2score.images.synthetic import synthetic_stack

AT_ONCE = ('--seconds', '0', '--device', 'cpu')


@pytest.fixture(autouse=True)
def quick(one_pass, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    return synthetic_stack('puncta', frames=2, size=48, seed=1).noisy.astype(np.uint16)


@pytest.fixture
def cells(frames, bioio_reader) -> Path:
    """A file of a microscope maker with two scenes."""
    path = Path(f'cells{bioio_reader}')
    with path.open('wb') as file:
        np.savez(file, **{'Well A|YX': frames[0], 'Well B/2|TCYX': frames[:, None]})
    return path


def test_each_scene_has_a_result_that_is_skipped_the_next_time(cells, capsys):
    call = ['denoise', 'cells.nd2', '--output', 'out/', '--model-per', 'image', *AT_ONCE]
    assert main(call) == 0
    said = capsys.readouterr().err
    assert 'cells.nd2: contains 2 images (--scene chooses one): 0: Well A; 1: Well B/2' in said
    assert 'file 2 of 2, cells.nd2/1: done' in said
    assert sorted(path.name for path in Path('out').glob('*.tif')) == [
        'cells_Well A.tif',
        'cells_Well B_2.tif',
    ]
    with tifffile.TiffFile('out/cells_Well B_2.tif') as file:
        assert (file.series[0].axes, file.series[0].shape) == ('TYX', (2, 48, 48))
        metadata, (x, _) = file.imagej_metadata, file.pages[0].tags['XResolution'].value
        assert (metadata['unit'], metadata['finterval']) == ('micron', 0.25)
        assert file.pages[0].tags['XResolution'].value[1] / x == pytest.approx(0.1)
    assert main(call) == 0
    assert '0 of 2 images done, 2 skipped (done already)' in capsys.readouterr().err
    assert main([*call, '--scene', 'Well A']) == 0
    assert 'is done already' in capsys.readouterr().err
    # the same name, but another scene
    Path('out/cells_Well A.tif').replace('out/cells_Well B_2.tif')
    assert main([*call, '--scene', '1']) == 2
    assert 'made from another image of the input' in capsys.readouterr().err


def test_a_scene_becomes_an_ome_zarr_of_its_own(cells, frames):
    call = ['--output', 'b.ome.zarr', *AT_ONCE]
    assert main(['denoise', 'cells.nd2', '--scene', 'Well B/2', *call]) == 0
    image = read_ome_zarr('b.ome.zarr')
    assert image.data.shape == frames.shape
    assert image.acquisition.spacing['X'].within('nm') == 100


def test_names_of_results_follow_file_and_scene(cells):
    assert result_name(cells / '1') == 'cells_Well B_2.tif'
    assert result_name(cells / '1', remote=True) == 'cells_Well B_2.ome.zarr'
    assert result_name(Path('other.nd2')) == 'other.tif'
    with tifffile.TiffWriter('a.ome.tif', ome=True) as file:
        for name in 'AB':
            frame = np.zeros((8, 9), np.uint8)
            file.write(frame, metadata={'axes': 'YX', 'Name': name}, photometric='minisblack')
    assert result_name(Path('a.ome.tif/1')) == 'a_B.ome.tif'


def test_scenes_of_a_call_are_listed_and_chosen(cells, capsys):
    assert files_of([cells])[0] == [cells / '0', cells / '1']
    assert files_of([cells], scene='Well A')[0] == [cells / '0']
    assert files_of([cells / 'Well A', Path('*.nd2')])[0] == [
        cells / '0',
        cells / '0',
        cells / '1',
    ]
    with pytest.raises(InputError, match="no image 'C'; numbers 0 to 1 are accepted"):
        files_of([cells], scene='C')
    capsys.readouterr()
    assert main(['estimate', 'cells.nd2', '--scene', '1']) == 0
    said = capsys.readouterr()
    assert 'of its 2 images, number 1 is read: 0: Well A; 1: Well B/2' in said.err
    assert 'gain' in said.out
    assert main(['denoise', 'cells.nd2', '--output', 'out.tif', *AT_ONCE]) == 2
    assert 'out.tif: is one file; 2 images need a folder' in capsys.readouterr().err


def test_an_output_is_never_the_file_of_a_scene(frames, capsys):
    with tifffile.TiffWriter('a.ome.tif', ome=True) as file:
        for frame in frames:
            file.write(frame, metadata={'axes': 'YX'}, photometric='minisblack')
    call = ['denoise', 'a.ome.tif', '--scene', '0', '--output', 'a.ome.tif', *AT_ONCE]
    assert main(call) == 2
    assert 'is also an input; give another output' in capsys.readouterr().err


def test_a_folder_stands_for_vendor_formats_but_not_for_png_and_npy(cells, frames, capsys):
    Path('data').mkdir()
    cells.replace('data/cells.nd2')
    tifffile.imwrite('data/a.tif', frames[0])
    Path('data/preview.png').write_bytes(imagecodecs.png_encode(frames[0]))
    np.save('data/b.npy', frames[0])
    data = Path('data')
    assert files_of([data])[0] == [data / 'a.tif', data / 'cells.nd2/0', data / 'cells.nd2/1']
    assert files_of([data / '*.png', data / '*.npy'])[0] == [data / 'preview.png', data / 'b.npy']


def test_png_and_npy_are_denoised(frames, capsys):
    Path('a.png').write_bytes(imagecodecs.png_encode(frames[0]))
    np.save('b.npy', frames)
    assert main(['denoise', 'a.png', '--output', 'a.tif', *AT_ONCE]) == 0
    assert tifffile.imread('a.tif').shape == (48, 48)
    assert main(['denoise', 'b.npy', '--output', 'b.tif', *AT_ONCE]) == 2
    assert 'b.npy: shape (2, 48, 48), and an NPY file does not say' in capsys.readouterr().err
    assert main(['denoise', 'b.npy', '--axes', 'TYX', '--output', 'b.tif', *AT_ONCE]) == 0
    assert tifffile.imread('b.tif').shape == (2, 48, 48)


def test_a_missing_reader_is_one_line_and_does_not_end_a_batch(frames, monkeypatch, capsys):
    monkeypatch.setattr('napari_noise2score.images.vendor.readers.entry_points', lambda group: [])
    Path('a.lif').write_bytes(b'?')
    np.save('b.npy', frames[0])
    assert main(['estimate', 'a.lif']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        'a.lif: Leica LIF needs the package bioio-lif, which is not installed: '
        "pip install 'napari-noise2score[vendor]'"
    )
    assert main(['estimate', 'a.lif', 'b.npy']) == 1
    assert '1 of 2 images done, 1 failed: a.lif' in capsys.readouterr().err
