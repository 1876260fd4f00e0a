"""A model that is trained already is skipped, and no other file is replaced without a word."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.model import ScoreModel

GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'YX'}}
CALL = ('--model', 'm.safetensors', '--seconds', '0', '--device', 'cpu')


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = synthetic_stack('puncta', frames=2, size=48, seed=1).noisy.astype(np.uint16)
    for name, frame in zip('ab', frames, strict=True):
        tifffile.imwrite(f'{name}.tif', frame, **GREY)


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1].removeprefix('napari-noise2score: ')


def changed() -> int:
    return Path('m.safetensors').stat().st_mtime_ns


def test_space_for_the_model_is_looked_for_before_the_training(monkeypatch, capsys):
    def nearly_full(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=100_000)

    monkeypatch.setattr('shutil.disk_usage', nearly_full)
    assert main(['train', 'a.tif', 'b.tif', *CALL]) == 2
    assert 'm.safetensors: not enough disk space' in capsys.readouterr().err
    assert not Path('m.safetensors').exists()


def test_a_model_of_the_same_images_and_settings_is_skipped(capsys):
    call = ['train', 'a.tif', 'b.tif', *CALL]
    assert main(call) == 0
    first = changed()
    stated = ScoreModel.load('m.safetensors').data['origin']
    assert [one['input_bytes'] for one in stated] == [
        Path(f'{n}.tif').stat().st_size for n in 'ab'
    ]
    capsys.readouterr()
    assert main([*call, '--table', 't.json']) == 0
    said = capsys.readouterr().err
    assert (
        'm.safetensors: skipped: trained already, on the same images with the same settings; '
        '--overwrite trains again'
    ) in said
    assert '0 of 2 images done, 2 skipped (done already)' in said
    rows = json.loads(Path('t.json').read_text())['images']
    assert [row['status'] for row in rows] == ['skipped', 'skipped']
    assert main([*call, '--dry-run']) == 0
    assert 'would be skipped: m.safetensors' in capsys.readouterr().out
    Path('a.tif').touch()  # a copy with another time, but the same grey levels
    assert main(call) == 0
    assert changed() == first
    assert main([*call, '--overwrite']) == 0
    assert changed() != first


def test_a_model_of_other_images_or_settings_is_left_and_named(capsys):
    assert main(['train', 'a.tif', *CALL]) == 0
    first = changed()
    for more, words in (
        (['--loss', 'published'], 'trained with other settings (a.tif)'),
        (['b.tif'], 'trained on 1 images, not on 2'),
    ):
        assert main(['train', 'a.tif', *more, *CALL]) == 2
        line = last_line(capsys)
        assert line == (
            f'm.safetensors: exists already, {words}; --overwrite replaces it, or give another '
            'name'
        )
    tifffile.imwrite('a.tif', tifffile.imread('b.tif'), **GREY)
    assert main(['train', 'a.tif', *CALL]) == 2
    assert 'trained from another state of the input (a.tif)' in last_line(capsys)
    assert changed() == first


def test_other_weights_to_start_from_are_named(capsys):
    assert main(['train', 'a.tif', '--model', 's.safetensors', *CALL[2:]]) == 0
    call = ['train', 'a.tif', '--init', 's.safetensors', *CALL]
    assert main(call) == 0
    start = ScoreModel.load('s.safetensors')
    start.network.head.weight.mul_(1.01)
    start.save('s.safetensors')
    assert main(call) == 2
    assert 'exists already, trained from other weights (a.tif)' in last_line(capsys)


def test_a_file_that_is_no_such_model_is_not_replaced(capsys):
    Path('m.safetensors').write_text('weights of another program')
    for more in ([], ['--dry-run']):
        assert main(['train', 'a.tif', *CALL, *more]) == 2
        assert 'does not state that train made it; --overwrite replaces it' in last_line(capsys)
    assert Path('m.safetensors').read_text() == 'weights of another program'
    assert main(['train', 'a.tif', *CALL, '--overwrite']) == 0
    assert ScoreModel.load('m.safetensors').data['origin'][0]['input_scene'] is None
