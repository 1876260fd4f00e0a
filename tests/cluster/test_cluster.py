"""A Dask cluster gives what one process gives, also where workers are lost."""

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import distributed
import numpy as np
import pytest
import tifffile

from napari_noise2score import InputError, memory, write_image
from napari_noise2score.cli import main, memory_limit
from napari_noise2score.cluster import planes
from napari_noise2score.cluster.parcel import packed, unpacked
from napari_noise2score.cluster.scheduler import cluster_at
from napari_noise2score.cluster.target import check_shared
from napari_noise2score.images import footprint
from napari_noise2score.images.blank_places import BlankPlaces
from napari_noise2score.images.ome_zarr import layout, read_ome_zarr
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.images.unfinished import UnfinishedImage

# workers cannot import this module
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.usefixtures('with_few_trials', 'with_small_batches')

CHANNELS = 2
QUICK = ['--seconds', '0', '--device', 'cpu']
ALONE = [*QUICK, '--context', 'none']
DENOISE = ['denoise', 'stack.ome.tif', *QUICK, '--output']


@pytest.fixture(scope='module')
def workers():
    """Two workers of this machine."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address='127.0.0.1:0',
        preload=str(Path(__file__).with_name('in_worker.py')),
    ) as cluster:
        yield cluster


@pytest.fixture
def connected(workers):
    with cluster_at(workers.scheduler_address) as cluster:
        yield cluster


@pytest.fixture(scope='module')
def stack() -> np.ndarray:
    """(T, C, Y, X) with a border without noise; channels differ."""
    frames = synthetic_stack('nuclei', frames=2, size=48).noisy.astype(np.uint16)
    frames[:, :5] = 0
    return np.stack([frames + 7 * channel for channel in range(CHANNELS)], 1)


@pytest.fixture
def folder(tmp_path, stack, monkeypatch) -> Path:
    """Where the command is called: a stack, and two images of one plane."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite('stack.ome.tif', stack, metadata={'axes': 'TCYX'})
    Path('data').mkdir()
    for number in range(2):
        tifffile.imwrite(f'data/{number}.tif', stack[number, 0], metadata={'axes': 'YX'})
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    """The chunks of all levels of an OME-Zarr, and the metadata of its arrays."""
    files = (file for file in root.rglob('*') if file.is_file() and file.parent != root)
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def report(path: Path) -> dict:
    """A report, without how long the work took, and when and where the file was made."""
    found = json.loads(path.read_text())
    for one in found.get('images', [found]):
        assert Path(one.pop('file')).is_absolute()
        del one['seconds'], one['origin']['input_modified']
    return found


def hidden() -> list[Path]:
    return [path for path in Path().rglob('.*') if path.name.endswith(('.part', '.claim'))]


@pytest.fixture(scope='module')
def alone(tmp_path_factory, stack) -> Path:
    """A folder in which one process has denoised the stack: ``out.ome.zarr``, ``out.json``."""
    folder = tmp_path_factory.mktemp('alone')
    tifffile.imwrite(folder / 'stack.ome.tif', stack, metadata={'axes': 'TCYX'})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small_levels(patch)
        assert main([*DENOISE, 'out.ome.zarr', '--report', 'out.json']) == 0
    return folder


def small_levels(patch: pytest.MonkeyPatch) -> None:
    """A pyramid also for a small image."""
    patch.setattr(layout, 'USUAL', layout.Sizes(smallest=12))


@pytest.mark.slow
def test_an_ome_zarr_is_that_of_one_process(folder, workers, alone, monkeypatch):
    small_levels(monkeypatch)
    more = ['--report', 'out.json', '--scheduler', workers.scheduler_address]
    assert main([*DENOISE, 'out.ome.zarr', *more]) == 0
    found = contents(Path('out.ome.zarr'))
    assert len(found) == 3 * (CHANNELS + 1)  # shards and metadata of three levels
    assert found == contents(alone / 'out.ome.zarr')
    assert report(Path('out.json')) == report(alone / 'out.json')
    attributes = [
        json.loads((at / 'out.ome.zarr/zarr.json').read_text()) for at in (Path(), alone)
    ]
    one, other = (each['attributes']['ome'] for each in attributes)
    assert one == other
    assert not hidden()


def kill_one(workers: distributed.LocalCluster, done: threading.Event) -> None:
    """Kill a worker as soon as the first shard is there."""
    while not list(Path().glob('out.ome.zarr.unfinished/image/0/c/*/*')) and not done.wait(0.01):
        pass
    first = next(iter(workers.workers.values()))
    os.kill(first.pid, signal.SIGKILL)


@pytest.mark.slow
def test_the_work_of_a_killed_worker_is_done_again(folder, workers, alone, capsys, monkeypatch):
    small_levels(monkeypatch)
    done = threading.Event()
    killer = threading.Thread(target=kill_one, args=(workers, done))
    killer.start()
    try:
        assert main([*DENOISE, 'out.ome.zarr', '--scheduler', workers.scheduler_address]) == 0
    finally:
        done.set()
        killer.join()
    assert 'is gone; its unfinished work is done again' in capsys.readouterr().err
    assert contents(Path('out.ome.zarr')) == contents(alone / 'out.ome.zarr')
    assert not hidden()


@pytest.mark.slow
def test_an_interrupted_result_continues_from_its_shards(
    folder, workers, alone, capsys, monkeypatch
):
    small_levels(monkeypatch)
    call = [*DENOISE, 'out.ome.zarr', '--scheduler', workers.scheduler_address]

    def interrupted(image: UnfinishedImage) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UnfinishedImage, 'finish', interrupted)
        assert main(call) == 130
    assert not Path('out.ome.zarr').exists()
    shard = Path('out.ome.zarr.unfinished/image/0/c/0/1/0/0')
    shard.write_bytes(b'damaged')
    capsys.readouterr()
    assert main([*call, '--resume']) == 0
    words = f'out.ome.zarr.unfinished: continues; {CHANNELS} parts of it are done'
    assert words in capsys.readouterr().err
    assert contents(Path('out.ome.zarr')) == contents(alone / 'out.ome.zarr')
    assert not list(Path().glob('*.unfinished*'))
    assert not hidden()


@pytest.mark.slow
def test_the_training_of_an_interrupted_result_is_kept(folder, workers, capsys, monkeypatch):
    call = ['denoise', 'data/0.tif', '--steps', '2', '--device', 'cpu', '--output', 'out.zarr']
    call += ['--scheduler', workers.scheduler_address]

    def interrupted(image: UnfinishedImage) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UnfinishedImage, 'finish', interrupted)
        assert main(call) == 130
    assert main([*call, '--resume']) == 0
    words = capsys.readouterr().err
    assert 'out.zarr.resume: the training is complete' in words
    assert 'out.zarr.unfinished: continues; 1 parts of it are done' in words
    assert sorted(path.name for path in Path().glob('out.*')) == ['out.zarr']


@pytest.mark.slow
def test_a_single_tiff_has_the_values_of_one_process(folder, workers, alone):
    assert main([*DENOISE, 'out.tif', '--scheduler', workers.scheduler_address]) == 0
    assert_equal_values('out.tif', alone)


def assert_equal_values(path: str, alone: Path) -> None:
    expected = np.asarray(read_ome_zarr(alone / 'out.ome.zarr').data[...])
    np.testing.assert_array_equal(tifffile.imread(path), expected)


@pytest.mark.slow
@pytest.mark.parametrize('per', ['all', 'image'])
def test_files_are_those_of_one_process(folder, workers, per):
    call = ['denoise', 'data', '--steps', '2', '--device', 'cpu', '--model-per', per]
    call += ['--difference', 'change']
    assert main([*call, '--output', 'alone', '--report', 'alone.json']) == 0
    more = ['--report', 'many.json', '--scheduler', workers.scheduler_address, '--overwrite']
    alone = {path.name: path.read_bytes() for path in Path('change').glob('*.tif')}
    assert main([*call, '--output', 'many', *more]) == 0
    assert sorted(path.name for path in Path('many').glob('*.tif')) == ['0.tif', '1.tif']
    for path in Path('many').glob('*.tif'):
        assert path.read_bytes() == Path('alone', path.name).read_bytes()
    assert {path.name: path.read_bytes() for path in Path('change').glob('*.tif')} == alone
    assert report(Path('many.json')) == report(Path('alone.json'))
    assert not hidden()


def test_one_wrong_file_does_not_take_the_others(folder, workers, capsys):
    tifffile.imwrite('data/2.tif', np.full((48, 48), 7, np.uint16))
    call = ['denoise', 'data', *ALONE, '--output', 'many', '--model-per', 'image']
    assert main([*call, '--scheduler', workers.scheduler_address]) == 1
    assert '2.tif: failed: no noise was detected' in capsys.readouterr().err
    assert sorted(path.name for path in Path('many').glob('*.tif')) == ['0.tif', '1.tif']
    assert not hidden()


@pytest.mark.slow
def test_several_large_images_are_done_by_all_workers(folder, workers, stack, monkeypatch):
    Path('large').mkdir()
    for number in range(2):
        write_image(f'large/{number}.zarr', stack[number, :1], 'CYX')
    call = ['denoise', 'large', *ALONE, '--model-per', 'image', '--output']
    assert main([*call, 'alone']) == 0
    monkeypatch.setattr('napari_noise2score.cli.cluster._LARGE', 1)
    address = workers.scheduler_address
    assert main([*call, 'many', '--scheduler', address]) == 0
    for number in range(2):
        many = contents(Path(f'many/{number}.zarr'))
        assert many
        assert many == contents(Path(f'alone/{number}.zarr'))
    again = ['--correction', 'paper', '--scheduler', address]
    assert main([*call, 'many', *again]) == 2  # made with other settings
    assert main([*call, 'many', *again, '--overwrite']) == 0
    assert contents(Path('many/0.zarr')) != contents(Path('alone/0.zarr'))
    assert not hidden()


@pytest.mark.slow
def test_images_above_the_limit_are_done_by_all_workers(folder, workers, monkeypatch, capsys):
    monkeypatch.setattr(memory, 'used', lambda: 0)
    monkeypatch.setattr(memory_limit, '_LEAST', 1)
    for name in ('PROGRAM', '_ESTIMATE', '_SINGLE', '_TRAINING', '_PATCHES'):
        monkeypatch.setattr(footprint, name, 0)
    monkeypatch.setattr(footprint, '_beside', lambda source: 0)
    Path('movies').mkdir()
    for number in range(2):
        movie = synthetic_stack('nuclei', frames=4, size=48, seed=number).noisy
        write_image(f'movies/{number}.tif', movie, 'TYX')
    call = ['denoise', 'movies', *ALONE, '--model-per', 'image', '--output']
    assert main([*call, 'alone']) == 0
    capsys.readouterr()
    units, in_turn = [], planes._in_turn
    monkeypatch.setattr(planes, '_in_turn', lambda one: units.append(one) or in_turn(one))
    more = ['--max-memory', '190K', '--scheduler', workers.scheduler_address]
    assert main([*call, 'many', *more]) == 0
    assert 'of 190 KiB (--max-memory)' in capsys.readouterr().err
    assert len(units) == 2
    for number in range(2):
        one, other = (tifffile.imread(f'{out}/{number}.tif') for out in ('alone', 'many'))
        np.testing.assert_array_equal(one, other)
    assert not hidden()


def test_what_is_done_is_skipped_also_on_a_cluster(folder, workers, capsys):
    call = ['denoise', 'data', *ALONE, '--output', 'many', '--model-per', 'image']
    assert main([*call, '--scheduler', workers.scheduler_address]) == 0
    assert main(call) == 0
    assert '0 of 2 images done, 2 skipped' in capsys.readouterr().err


@pytest.mark.slow
def test_a_cluster_of_this_machine_is_started_for_the_call(folder, alone):
    assert main([*DENOISE, 'out.tif', '--scheduler', 'local:1']) == 0
    assert_equal_values('out.tif', alone)


def end(shared: bytes, unit: int) -> None:
    """Work that ends its worker."""
    os._exit(1)


def wait(shared: bytes, unit: float) -> float:
    time.sleep(unit)
    return unit


def fail(shared: bytes, unit: str) -> None:
    raise ValueError(unit)


def test_work_that_ends_every_worker_is_given_up(workers, connected, monkeypatch):
    monkeypatch.setattr(workers.scheduler, 'allowed_failures', 0)
    found = [one for one in connected.results(end, iter([('a', 1)])) if one is not None]
    ((key, error),) = found
    assert key == 'a'
    assert isinstance(error, ConnectionError)
    assert 'ended before its end' in str(error)


def test_an_error_of_the_work_is_its_result(connected):
    found = [one for one in connected.results(fail, iter([('a', 'why')])) if one is not None]
    assert [(key, type(error), str(error)) for key, error in found] == [('a', ValueError, 'why')]


def test_the_caller_gets_its_turn_while_units_are_at_work(connected):
    units = iter([('slow', 2.5), ('quick', 0.0)])
    found = list(connected.results(wait, units))
    assert {key for key, _ in filter(None, found)} == {'quick', 'slow'}
    assert None in found


@pytest.mark.parametrize('device', ['cpu,cpu', 'cuda:all'])
def test_several_devices_of_a_worker_are_refused(device, capsys):
    call = ['denoise', 'a.tif', '--output', 'b.tif', '--scheduler', 'local:2']
    assert main([*call, '--device', device]) == 2
    assert f'--device {device} names several devices' in capsys.readouterr().err


def test_a_lost_scheduler_is_an_error_of_one_line():
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address='127.0.0.1:0'
        ) as own,
        cluster_at(own.scheduler_address) as connected,
    ):
        steps = connected.results(wait, iter([('a', 60.0)]))
        assert next(steps) is None
        own.close()
        with pytest.raises(ConnectionError, match='connection to the Dask scheduler was lost'):
            list(steps)


def test_other_versions_are_refused(connected):
    connected.versions = {'torch': '0.1'}
    ((_, error),) = filter(None, connected.results(wait, iter([('a', 0.0)])))
    assert isinstance(error, InputError)
    assert re.search(
        'a worker has .*torch .*, but the process of the call .*torch 0.1', str(error)
    )


@pytest.mark.parametrize(
    ('place', 'words'),
    [
        ('local:0', 'local:N needs a number of processes'),
        ('local:many', 'local:N needs a number of processes'),
        ('nothing.json', 'no such file; the address'),
    ],
)
def test_a_wrong_scheduler_is_named(folder, capsys, place, words):
    assert main([*DENOISE, 'out.tif', '--scheduler', place]) == 2
    assert words in capsys.readouterr().err
    assert not Path('out.tif').exists()


def test_a_scheduler_that_does_not_answer_is_named():
    with (
        pytest.raises(InputError, match='no Dask scheduler answers; the address'),
        cluster_at('tcp://127.0.0.1:9', patience=1),
    ):
        pass


def test_the_package_that_is_missing_is_named_before_any_work(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    assert main([*DENOISE, 'out.tif', '--scheduler', 'local:2']) == 2
    assert "pip install 'napari-noise2score[cluster]'" in capsys.readouterr().err


def test_a_parcel_has_no_pixels_but_those_of_the_image_that_is_left_out():
    image = ImageSource(np.zeros((256, 256)), 'YX')
    parcel = packed((image, BlankPlaces()), image)
    assert len(parcel) < 1000
    other = ImageSource(np.ones((256, 256)), 'YX')
    assert unpacked(parcel, other)[0] is other
    with pytest.raises(TypeError, match="image 'image' would be sent"):
        packed((image, other), image)


def test_a_folder_that_a_worker_does_not_see_is_named(folder):
    check_shared(Path('data'))
    with pytest.raises(InputError, match='a disk that all machines share is needed'):
        check_shared(Path('elsewhere/.abc.part'))
