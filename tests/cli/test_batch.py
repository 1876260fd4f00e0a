"""Many images: what is done already, tables, several processes, and what would be done."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from tests.hooks import before_each_step, seeing

from napari_noise2score.cli import main
from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.claims import claim, claim_file
from napari_noise2score.cli.inputs import files_of
from napari_noise2score.cli.table import Table
from napari_noise2score.errors import InputError
from napari_noise2score.images.formats import write_image
from napari_noise2score.images.ome_zarr import read_ome_zarr, record_of, write_ome_zarr
from napari_noise2score.images.synthetic import synthetic_stack

pytestmark = pytest.mark.usefixtures('one_pass')
GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'YX'}}


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    return synthetic_stack('puncta', frames=2, size=48, seed=1).noisy.astype(np.uint16)


@pytest.fixture(scope='module')
def model(tmp_path_factory, frames) -> str:
    folder = tmp_path_factory.mktemp('model')
    tifffile.imwrite(folder / 'in.tif', frames[0], **GREY)
    path = str(folder / 'm.safetensors')
    call = ['train', str(folder / 'in.tif'), '--model', path, '--seconds', '0', '--device', 'cpu']
    assert main(call) == 0
    return path


@pytest.fixture
def data(tmp_path, frames, monkeypatch) -> Path:
    """A folder with two images, which is where the command is called."""
    monkeypatch.chdir(tmp_path)
    Path('data').mkdir()
    for name, frame in zip('ab', frames, strict=True):
        tifffile.imwrite(f'data/{name}.tif', frame, **GREY)
    return Path('data')


@pytest.fixture
def apply(model):
    """Apply the model to the folder; returns the exit status."""

    def call(*more: str, images: str = 'data') -> int:
        return main(['apply', model, images, '--output', 'out', '--device', 'cpu', *more])

    return call


def rows(path: str = 'out/denoised.csv') -> dict[str, dict[str, str]]:
    """The rows of a table by output."""
    with Path(path).open(encoding='utf-8', newline='') as stream:
        return {row['output']: row for row in csv.DictReader(stream)}


def states(path: str = 'out/denoised.csv') -> dict[str, str]:
    return {name: row['status'] for name, row in rows(path).items()}


def times(folder: str = 'out') -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(folder).glob('*.tif')}


def snapshot() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path().rglob('*')}


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1].removeprefix('napari-noise2score: ')


def test_what_is_done_is_skipped_until_it_is_to_be_overwritten(data, apply, capsys):
    assert apply() == 0
    assert last_line(capsys) == '2 of 2 images done'
    before = times()
    tifffile.imwrite('data/c.tif', tifffile.imread('data/a.tif'), **GREY)
    assert apply() == 0
    assert last_line(capsys) == '1 of 3 images done, 2 skipped (done already)'
    assert {name: times()[name] for name in before} == before
    assert states() == {'a.tif': 'skipped', 'b.tif': 'skipped', 'c.tif': 'done'}
    assert rows()['a.tif']['noise'].startswith('poisson-gaussian(gain=')
    assert apply('--overwrite') == 0
    assert last_line(capsys) == '3 of 3 images done'
    assert all(times()[name] > before[name] for name in before)


def test_a_result_with_other_settings_or_another_input_is_left_and_named(data, apply, capsys):
    assert apply() == 0
    before = times()
    assert apply('--sigma-a', '0.5') == 2
    said = capsys.readouterr().err
    words = 'exists already, made with other settings; --overwrite replaces it'
    assert f'data{os.sep}a.tif: failed: out{os.sep}a.tif: {words}' in said
    os.utime('data/a.tif', (1, 1))  # copied, with the same values
    tifffile.imwrite('data/b.tif', tifffile.imread('data/a.tif'), **GREY)
    assert apply() == 1
    said = capsys.readouterr().err
    assert '1 skipped (done already), 1 failed' in said
    assert 'b.tif: exists already, made from another state of the input' in said
    assert times() == before


def test_a_file_of_others_is_not_replaced(data, apply, model, capsys):
    Path('out').mkdir()
    shutil.copy('data/a.tif', 'out/a.tif')
    assert apply() == 1
    assert 'does not state that it is a result of this program' in capsys.readouterr().err
    assert Path('out/a.tif').read_bytes() == Path('data/a.tif').read_bytes()
    assert states() == {'a.tif': 'failed', 'b.tif': 'done'}
    one = ['apply', model, 'data/a.tif', '--output', 'out/a.tif', '--device', 'cpu']
    assert main(one) == 2
    assert Path('out/a.tif').read_bytes() == Path('data/a.tif').read_bytes()
    assert main([*one, '--overwrite']) == 0
    assert tifffile.imread('out/a.tif').dtype == np.float32


def test_every_format_of_a_result_states_its_origin(data, frames, model, capsys):
    shutil.move('data/b.tif', 'data/b.ome.tif')
    write_ome_zarr('data/c.zarr', frames[0], 'YX')
    tifffile.imwrite('data/d.tif', frames[None, :, None], photometric='minisblack')
    for name, axes in {'a.tif': 'YX', 'b.ome.tif': 'YX', 'c.zarr': 'YX', 'd.tif': 'TCZYX'}.items():
        call = ['apply', model, f'data/{name}', '--output', 'out/', '--axes', axes]
        for _ in range(2):
            assert main([*call, '--device', 'cpu']) == 0
        assert f'{name} is done already' in last_line(capsys)


def test_the_table_has_a_row_for_each_image_whatever_became_of_it(data, apply, capsys):
    Path('data/bad.tif').write_bytes(b'II*\0')
    assert apply() == 1
    found = rows()
    assert {name: row['status'] for name, row in found.items()} == {
        'a.tif': 'done',
        'b.tif': 'done',
        'bad.tif': 'failed',
    }
    assert 'TIFF' in found['bad.tif']['message']
    good = found['a.tif']
    assert (good['axes'], good['shape'], good['dtype']) == ('YX', '48 x 48', 'float32')
    assert float(good['gain']) > 0
    assert float(good['seconds']) > 0
    assert int(good['peak_memory_bytes']) > 1 << 20
    assert len(good['model']) == 64
    (record,) = [
        row
        for row in json.loads(Path('out/denoised.json').read_text())['images']
        if row['output'] == 'a.tif'
    ]
    assert record['shape'] == [48, 48]
    assert record['noise'][0]['family'] == 'poisson-gaussian'
    assert Path(record['input']) == Path('data/a.tif').absolute()


def test_a_table_that_is_none_is_refused_before_the_work(data, apply, capsys):
    Path('mine.csv').write_text('day,temperature\n1,20\n')
    assert apply('--table', 'mine.csv') == 2
    assert 'is not a table of this program' in last_line(capsys)
    assert not Path('out').exists()
    assert apply('--table', 'new.json') == 0
    assert {row['status'] for row in json.loads(Path('new.json').read_text())['images']} == {
        'done'
    }
    assert not Path('out/denoised.csv').exists()
    with pytest.raises(SystemExit):
        apply('--table', 'table.txt')
    assert 'does not end in .csv or .json' in capsys.readouterr().err


def test_the_rows_of_other_processes_are_kept(tmp_path):
    path = tmp_path / 't.csv'
    one, other = Table([path]), Table([path])
    one.put(Path('a'), tmp_path / 'a.tif', 'done')
    other.put(Path('a'), tmp_path / 'a.tif', 'taken by another process')
    other.put(Path('b'), tmp_path / 'b.tif', 'done')
    one.write(at_the_end=True)
    other.write(at_the_end=True)
    assert states(str(path)) == {'a.tif': 'done', 'b.tif': 'done'}


def test_a_dry_run_lists_all_and_writes_nothing(data, apply, capsys):
    assert apply('--output', 'out/', images='data/a.tif') == 0
    Path('data/bad.tif').write_bytes(b'II*\0')
    before = snapshot()
    capsys.readouterr()
    assert apply('--dry-run') == 1
    assert snapshot() == before
    captured = capsys.readouterr()
    said = captured.out.splitlines()
    a, b, bad = (f'data{os.sep}{name}.tif' for name in ('a', 'b', 'bad'))
    assert said[0] == (f'would be done: {b} -> out{os.sep}b.tif: YX 48 x 48 uint16, result 9 KiB')
    assert said[1] == f'would be skipped: {a}: done already, with the same settings and model'
    assert said[2].startswith(f'would fail: {bad}: ')
    assert [line.partition(':')[0] for line in said[3:]] == ['memory', 'disk space', 'time']
    assert 'for 2304 of the 2304 pixels, measured now' in said[-1]
    assert '1 of 3 images would be done, 1 skipped (done already), 1 failed' in captured.err


def test_the_time_of_trainings_is_in_a_dry_run(data, capsys):
    call = ['denoise', 'data', '--output', 'out', '--device', 'cpu', '--dry-run', '--seconds']
    assert main([*call, '300', '--model-per', 'image']) == 0
    assert 'at most 10 min of it for 2 trainings' in capsys.readouterr().out
    assert main([*call, '300']) == 0
    assert 'at most 5 min of it for 1 training,' in capsys.readouterr().out


def test_two_processes_share_a_folder_and_each_image_is_done_once(data, frames, model):
    names = [f'{number}.tif' for number in range(8)]
    Path('many').mkdir()
    for name in names:
        tifffile.imwrite(f'many/{name}', frames[0], **GREY)
    code = 'import sys; from napari_noise2score.cli import main; sys.exit(main())'
    call = [sys.executable, '-c', code, 'apply', model, 'many', '--output', 'out']
    both = [
        subprocess.Popen([*call, '--device', 'cpu'], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    done = [
        line.split(', ')[1].split(':')[0]
        for text in said
        for line in text.splitlines()
        if ': done in ' in line
    ]
    assert sorted(done) == names
    assert states() == dict.fromkeys(names, 'done')
    assert {path.name for path in Path('out').iterdir()} == {
        *names,
        'denoised.csv',
        'denoised.json',
    }


def test_what_another_process_works_on_is_left_to_it(data, apply, capsys):
    Path('out').mkdir()
    claim(Path('out/a.tif'))
    assert apply() == 0
    assert '1 of 2 images done, 1 left to another process' in capsys.readouterr().err
    assert states() == {'a.tif': 'taken by another process', 'b.tif': 'done'}
    assert not Path('out/a.tif').exists()
    file = claim_file(Path('out/a.tif'))
    file.write_text(json.dumps({**json.loads(file.read_text()), 'started': 1.0}))
    assert apply() == 0
    assert states() == {'a.tif': 'done', 'b.tif': 'skipped'}
    assert not file.exists()


@pytest.mark.parametrize('more', [[], ['--overwrite']])
def test_what_another_process_made_in_the_meantime_is_left(data, apply, monkeypatch, capsys, more):
    assert apply() == 0
    saved = Path('out/b.tif').read_bytes()
    if not more:
        Path('out/b.tif').unlink()

    def late(output: Path) -> str:
        token = claim(output)
        if output.name == 'b.tif':
            Path('new.tif').write_bytes(saved)
            Path('new.tif').replace(output)
        return token

    monkeypatch.setattr('napari_noise2score.cli.claims.claim', late)
    assert apply(*more) == 0
    assert '1 left to another process' in last_line(capsys)
    assert Path('out/b.tif').read_bytes() == saved
    assert states()['b.tif'] == 'done'
    assert list(Path('out').glob('.*')) == []


def test_images_that_share_a_model_are_claimed_before_the_training(data):
    there = []

    def noted() -> None:
        there.extend(claim_file(Path('out', name)).exists() for name in ('a.tif', 'b.tif'))

    call = ['denoise', 'data', '--output', 'out', '--steps', '1', '--device', 'cpu']
    with before_each_step(noted):
        assert main(call) == 0
    assert there == [True, True]
    assert list(Path('out').glob('.*')) == []


def test_claims_are_released_after_an_error(data, apply):
    there = []

    def fail(*inputs):
        there.append(claim_file(Path('out/a.tif')).exists())
        raise KeyError('of no class that is expected')

    with seeing(fail), pytest.raises(KeyError):
        apply()
    assert there == [True]
    assert list(Path().glob('out/.*')) == []


def test_a_result_that_cannot_be_written_is_counted_as_failed(data, apply, monkeypatch, capsys):
    real = write_image

    def full(path: Path, *arguments, **options) -> None:
        if path.name == 'a.tif':
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        real(path, *arguments, **options)

    monkeypatch.setattr('napari_noise2score.images.formats.write_image', full)
    assert apply() == 1
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if 'a.tif' in line and '1 of 2' not in line] == [
        'napari-noise2score: out/a.tif: not enough disk space for it (No space left on device)'
    ]
    assert '1 of 2 images done, 1 failed: data/a.tif' in told
    assert states() == {'a.tif': 'failed', 'b.tif': 'done'}


def test_an_image_that_was_changed_since_it_was_looked_at_fails(data, apply, monkeypatch, capsys):
    look_at = Batch.look_at

    def look_and_change(*arguments) -> None:
        look_at(*arguments)
        os.utime(data / 'a.tif', (1, 1))

    monkeypatch.setattr(Batch, 'look_at', look_and_change)
    assert apply() == 1
    words = 'data/a.tif: failed: was changed after the start of the command'
    assert capsys.readouterr().err.count(words) == 1
    assert states() == {'a.tif': 'failed', 'b.tif': 'done'}


def test_an_ome_zarr_is_replaced_only_if_it_is_a_result(data, frames, apply, monkeypatch, capsys):
    shutil.rmtree(data)
    write_ome_zarr('data/a.zarr', frames[0], 'YX')
    write_ome_zarr('data/b.zarr', frames[1], 'YX')
    assert apply() == 0
    first = record_of('out/a.zarr')
    assert apply() == 0
    assert last_line(capsys) == '0 of 2 images done, 2 skipped (done already)'
    assert apply('--overwrite', '--sigma-a', '0.5') == 0
    assert record_of('out/a.zarr')['origin'] != first['origin']
    assert sorted(path.name for path in Path('out').iterdir()) == [
        *('a.zarr', 'b.zarr', 'denoised.csv', 'denoised.json')
    ]
    shutil.rmtree('out/b.zarr')
    shutil.copytree('data/b.zarr', 'out/b.zarr')
    assert apply('--overwrite') == 2
    assert 'is not a result of this program: it is not overwritten' in last_line(capsys)
    shutil.rmtree('out/b.zarr')

    def full(*arguments, **options):
        raise OSError(28, 'No space left on device')

    kept = record_of('out/a.zarr')
    monkeypatch.setattr('napari_noise2score.images.ome_zarr.writer.Writer', full)
    assert apply('--overwrite') == 1
    assert record_of('out/a.zarr') == kept


def test_all_fields_of_a_plate_are_denoised(data, frames, apply, capsys):
    shutil.rmtree(data)
    attributes = {'plate': {'wells': [{'path': 'A/1'}, {'path': 'B/2'}]}}
    zarr.create_group('plate.zarr', attributes={'ome': attributes})
    for well, count in (('A/1', 2), ('B/2', 1)):
        images = [{'path': str(number)} for number in range(count)]
        zarr.create_group(f'plate.zarr/{well}', attributes={'ome': {'well': {'images': images}}})
        for number in range(count):
            write_ome_zarr('one.zarr', frames[number], 'YX')
            shutil.move('one.zarr', f'plate.zarr/{well}/{number}')
    assert apply(images='plate.zarr') == 0
    assert 'a plate or well of 3 images' in capsys.readouterr().err
    names = ['plate_A_1_0.ome.zarr', 'plate_A_1_1.ome.zarr', 'plate_B_2_0.ome.zarr']
    assert sorted(path.name for path in Path('out').glob('*.zarr')) == names
    assert read_ome_zarr('out/' + names[0]).data.shape == (48, 48)


@pytest.mark.parametrize('folder', [False, True])
def test_a_scene_is_a_field_of_a_plate(tmp_path, monkeypatch, capsys, folder):
    monkeypatch.chdir(tmp_path)
    for name, wells in (('plates/a.zarr', ['A/1', 'B/2']), ('plates/b.zarr', ['A/1'])):
        plate = {'wells': [{'path': well} for well in wells]}
        zarr.create_group(name, attributes={'ome': {'plate': plate}})
        for well in wells:
            images = [{'path': '0'}, {'path': '1'}]
            zarr.create_group(f'{name}/{well}', attributes={'ome': {'well': {'images': images}}})
            for image in images:
                zarr.create_group(f'{name}/{well}/{image["path"]}')
    named = [Path('plates' if folder else 'plates/a.zarr')]
    assert len(files_of(named)[0]) == len(files_of(named, scene='all')[0]) == (6 if folder else 4)
    found, wrong = files_of(named, scene='B/2/0')
    assert found == files_of(named, scene='2')[0] == [Path('plates/a.zarr/B/2/0')]
    assert [path for path, _ in wrong] == ([Path('plates/b.zarr')] if folder else [])
    if not folder:
        assert 'of 4 images, of which B/2/0 is read' in capsys.readouterr().err
    with pytest.raises(InputError, match=r'of 4 images has no image number 7; numbers 0 to 3 are'):
        files_of(named, scene='7')


def test_the_noise_of_many_images_is_a_table(data, capsys):
    Path('data/bad.tif').write_bytes(b'II*\0')
    call = ['estimate', 'data', '--device', 'cpu', '--table', 'noise.csv']
    assert main(call) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f'data{os.sep}a.tif:\nPoisson-Gaussian (gain ')
    assert captured.err.splitlines()[-1].endswith(f'1 failed: data{os.sep}bad.tif')
    with Path('noise.csv').open(newline='') as stream:
        found = {Path(row['input']).name: row for row in csv.DictReader(stream)}
    assert {name: row['status'] for name, row in found.items()} == {
        'a.tif': 'done',
        'b.tif': 'done',
        'bad.tif': 'failed',
    }
    assert float(found['b.tif']['gain']) > 0
    assert main([*call[:4], '--json']) == 1
    record = json.loads(capsys.readouterr().out)
    assert [image['source'] for image in record['images']] == ['a.tif', 'b.tif']
    assert [Path(image['source']).name for image in record['failed']] == ['bad.tif']


def test_a_training_has_a_table_and_can_be_planned(data, capsys):
    call = ['train', 'data', '--model', 'm.safetensors', '--seconds', '0', '--device', 'cpu']
    before = snapshot()
    assert main([*call, '--dry-run']) == 0
    said = capsys.readouterr().out
    assert f'would be read: data{os.sep}a.tif: YX 48 x 48 uint16, 4.5 KiB' in said
    assert snapshot() == before
    assert main([*call, '--table', 'trained.json']) == 0
    found = json.loads(Path('trained.json').read_text())['images']
    assert [row['status'] for row in found] == ['done', 'done']
    assert found[0]['noise'][0]['family'] == 'poisson-gaussian'
    assert len(found[0]['model']) == 64


@pytest.mark.skipif(sys.platform != 'linux', reason='names of files are text elsewhere')
def test_a_name_that_is_no_text_is_a_row_too(data, apply):
    name = os.fsdecode(b'cells_5\xb5m.tif')
    shutil.copy(next(data.iterdir()), data / name)
    assert apply() == 0
    assert Path('out', name).is_file()
    for _ in range(2):
        assert Path('out/denoised.csv').read_text('utf-8').count(',cells_5?m.tif,') == 1
        assert apply() == 0  # once more: all are skipped
