from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_noise2score.cli import main
from napari_noise2score.cli.sample import truth_name
from napari_noise2score.images.formats import read_image
from napari_noise2score.images.samples import SAMPLES, make_sample


@pytest.mark.parametrize('name', SAMPLES)
def test_a_sample_and_its_truth_are_written_with_their_sizes(name, tmp_path, capsys):
    path = tmp_path / 'a.tif'
    assert main(['sample', name, '--output', str(path)]) == 0
    sample = make_sample(name)
    for file, values in ((path, sample.noisy), (tmp_path / 'a_truth.tif', sample.truth)):
        image = read_image(file)
        np.testing.assert_array_equal(image.data, values)
        assert image.axes == sample.axes
        for axis, spacing in sample.acquisition.spacing.items():
            assert image.acquisition.spacing[axis].within(spacing.unit) == pytest.approx(
                spacing.size
            )
    said = capsys.readouterr()
    assert said.err == ''
    (line,) = said.out.splitlines()
    assert line.startswith(f'{path}: {sample.about}; axes {sample.axes}, ')
    assert str(sample.noise) in line
    assert str(tmp_path / 'a_truth.tif') in line


def test_the_line_tells_the_correlation(tmp_path, capsys):
    assert main(['sample', 'wide-field', '--output', str(tmp_path / 'a.tif')]) == 0
    assert 'correlation between neighbouring pixels 0.37 along rows' in capsys.readouterr().out


def test_ome_zarr(tmp_path):
    path = tmp_path / 'a.ome.zarr'
    call = ['sample', 'z-stack', '--output', str(path)]
    assert main(call) == 0
    image = read_image(tmp_path / 'a_truth.ome.zarr')
    assert image.axes == 'ZYX'
    assert image.acquisition.spacing['Z'].size == pytest.approx(0.3)
    np.testing.assert_array_equal(np.asarray(image.data[0]), make_sample('z-stack').truth[0])
    assert main(call) == 2
    assert main([*call, '--seed', '1', '--overwrite']) == 0
    noisy = read_image(path).data[0]
    np.testing.assert_array_equal(np.asarray(noisy), make_sample('z-stack', seed=1).noisy[0])
    assert {one.name for one in tmp_path.iterdir()} == {'a.ome.zarr', 'a_truth.ome.zarr'}


@pytest.mark.parametrize('there', ['a.tif', 'a_truth.tif'])
def test_files_that_exist_are_not_replaced_unasked(there, tmp_path, capsys):
    (tmp_path / there).write_text('mine')
    call = ['sample', 'confocal', '--output', str(tmp_path / 'a.tif')]
    assert main(call) == 2
    message = capsys.readouterr().err
    assert f'{there}: exists already; --overwrite replaces it' in message
    assert (tmp_path / there).read_text() == 'mine'
    assert [one.name for one in tmp_path.iterdir()] == [there]
    assert main([*call, '--overwrite']) == 0
    assert read_image(tmp_path / there).axes == 'TYX'


def test_a_folder_of_others_is_not_replaced_as_an_ome_zarr(tmp_path):
    store = tmp_path / 'a.ome.zarr'
    store.mkdir()
    (store / 'notes.txt').write_text('mine')
    assert main(['sample', 'confocal', '--output', str(store), '--overwrite']) == 2
    assert (store / 'notes.txt').read_text() == 'mine'
    assert [one.name for one in tmp_path.iterdir()] == ['a.ome.zarr']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['cells', '--output', 'a.tif'], "sample 'cells' is unknown; accepted are confocal"),
        (
            ['confocal', '--output', 'a.png'],
            'a.png: PNG is not written, only read; images are written as .tif or .tiff',
        ),
        (['confocal', '--output', 'a/'], 'a file name is needed'),
        (['confocal', '--output', 'a.tif', '--seed', '-1'], 'seed is -1'),
        (['confocal'], '--output'),
    ],
)
def test_wrong_calls_are_refused_in_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(['sample', *words])
    except SystemExit as end:  # what cannot be parsed
        status = end.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('name', 'truth'),
    [
        ('cells.tif', 'cells_truth.tif'),
        ('cells.v2.TIFF', 'cells.v2_truth.TIFF'),
        ('cells.ome.tif', 'cells_truth.ome.tif'),
        ('cells.ome.zarr', 'cells_truth.ome.zarr'),
        ('cells.zarr', 'cells_truth.zarr'),
    ],
)
def test_name_of_the_truth(name, truth):
    assert truth_name(Path('here') / name) == Path('here') / truth


def test_help_names_every_sample(capsys):
    with pytest.raises(SystemExit):
        main(['sample', '--help'])
    said = ' '.join(capsys.readouterr().out.split())
    assert all(name in said for name in SAMPLES)
