"""Images larger than --max-memory: computed plane by plane, written part by part, continued."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_noise2score import memory, read_image
from napari_noise2score.cli import main, memory_limit
from napari_noise2score.cli.memory_limit import size_named
from napari_noise2score.images import blocks, footprint
from napari_noise2score.images.block_files import BlockFiles
from napari_noise2score.images.ome_zarr import layout, record_of, write_ome_zarr
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.images.tiff import writing as tiff_writing
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.pipeline.clean_image import CleanImage

FRAMES = 5
LIMIT = ['--max-memory', '260K']
ON_CPU = ['--device', 'cpu']
AT_ONCE = [*ON_CPU, '--context', 'none']
"""Plane by plane, unless a test says otherwise: quicker."""
NUMBERS = ['mean', 'variance', 'correlation', 'removed']
OUTPUTS = ['out.ome.zarr', 'out.ome.tif', 'out.tif']

SMALL_LIMIT = """
import sys
from napari_noise2score import memory
from napari_noise2score.cli import main, memory_limit
from napari_noise2score.images import blocks, footprint
from napari_noise2score.images.block_files import BlockFiles
from napari_noise2score.images.ome_zarr import layout
memory.used = lambda: 0
memory_limit._LEAST = 1
footprint.PROGRAM = footprint._SHARDS = footprint._ESTIMATE = footprint._SINGLE = 0
footprint._TRAINING = footprint._PATCHES = 0
footprint._beside = lambda source: 0
layout.USUAL = layout.Sizes(shard=1)
sys.exit(main(sys.argv[1:]))
"""
"""A process for which a small image is a large one."""


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    stack = synthetic_stack('puncta', frames=FRAMES, size=64, seed=1).noisy.astype(np.uint16)
    stack[:, :3] = 0
    stack[2] = 7
    return stack


@pytest.fixture(scope='module')
def model(tmp_path_factory, frames) -> str:
    folder = tmp_path_factory.mktemp('model')
    tifffile.imwrite(folder / 'in.tif', frames[:2], photometric='minisblack')
    path = str(folder / 'm.safetensors')
    call = ['train', str(folder / 'in.tif'), '--axes', 'TYX', '--seconds', '0', '--model', path]
    assert main([*call, *ON_CPU]) == 0
    return path


@pytest.fixture(autouse=True)
def small_limit(one_pass, monkeypatch, tmp_path, frames) -> None:
    """A limit that the small image exceeds, and shards of a single chunk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, 'used', lambda: 0)
    monkeypatch.setattr(memory_limit, '_LEAST', 1)
    for name in ('PROGRAM', '_SHARDS', '_ESTIMATE', '_SINGLE', '_TRAINING', '_PATCHES'):
        monkeypatch.setattr(footprint, name, 0)
    monkeypatch.setattr(footprint, '_beside', lambda source: 0)
    monkeypatch.setattr(layout, 'USUAL', layout.Sizes(shard=1))
    write_ome_zarr('in.ome.zarr', frames, 'TYX')


@pytest.fixture
def apply(model):
    """Apply the model; the values and the report of the result."""

    def applied(output: str, *more: str, status: int = 0) -> tuple[np.ndarray, dict]:
        call = ['apply', model, 'in.ome.zarr', '--output', output, '--report', 'r.json']
        assert main([*call, *AT_ONCE, *more]) == status
        if status:
            return np.empty(0), {}
        return np.asarray(read_image(output).data), comparable(
            json.loads(Path('r.json').read_text())
        )

    return applied


def comparable(report: dict) -> dict:
    """A report without times and names of outputs."""
    return {name: value for name, value in report.items() if name != 'seconds'}


def said(capsys) -> str:
    return capsys.readouterr().err


class Planes:
    """Counts planes, and interrupts the computation of the one after ``last``."""

    def __init__(self, monkeypatch) -> None:
        self.done, self.last, real = 0, float('inf'), CleanImage._computed

        def computed(image, number, index):
            if self.done == self.last:
                raise KeyboardInterrupt
            self.done += 1
            return real(image, number, index)

        monkeypatch.setattr(CleanImage, '_computed', computed)


@pytest.fixture
def planes(monkeypatch) -> Planes:
    return Planes(monkeypatch)


@pytest.mark.parametrize('output', OUTPUTS)
@pytest.mark.parametrize('dtype', ['float32', 'source'])
def test_a_result_in_parts_equals_one_at_once(apply, planes, capsys, output, dtype):
    more = '--dtype', dtype, '--context', 'auto'
    whole, report = apply(f'whole-{output}', *more)
    assert planes.done == 0
    assert 'memory:' not in said(capsys)
    parts, report_of_parts = apply(output, *LIMIT, *more)
    assert planes.done == FRAMES
    np.testing.assert_array_equal(parts, whole)
    assert parts.dtype == whole.dtype
    assert report_of_parts == report
    kind = 'shard by shard' if output.endswith('.zarr') else 'page by page'
    line, *_ = said(capsys).splitlines()
    assert line.startswith('napari-noise2score: in.ome.zarr: memory: at most about 2')
    assert line.endswith(
        f'KiB of 260 KiB (--max-memory); planes are computed one after another, and the result is '
        f'written {kind}'
    )
    assert not list(Path().glob('*.unfinished*'))
    if output.endswith('.zarr'):
        assert record_of(output)['channels'] == report['channels']
        ours, theirs = (read_image(path) for path in (output, f'whole-{output}'))
        assert ours.acquisition == theirs.acquisition
        levels = [
            sorted(path.name for path in Path(one).iterdir())
            for one in (output, f'whole-{output}')
        ]
        assert levels[0] == levels[1]


def test_a_tiff_in_parts_is_the_same_file(apply):
    apply('whole.tif')
    apply('parts.tif', *LIMIT)
    assert Path('parts.tif').read_bytes() == Path('whole.tif').read_bytes()


@pytest.mark.parametrize('output', OUTPUTS)
def test_an_interrupted_result_goes_on_from_its_parts(apply, planes, capsys, output):
    whole, report = apply(output, *LIMIT)
    Path(output).rename('whole')
    planes.done, planes.last = 0, 3
    apply(output, *LIMIT, status=130)
    assert said(capsys).splitlines()[-1] == (
        'napari-noise2score: interrupted; nothing was written; --resume continues the result from '
        f'{output}.unfinished'
    )
    assert not Path(output).exists()
    planes.done, planes.last = 0, float('inf')
    parts, report_of_parts = apply(output, *LIMIT, '--resume')
    assert f'{output}.unfinished: continues; 3 parts of it are done' in said(capsys)
    assert planes.done == FRAMES - 3
    np.testing.assert_array_equal(parts, whole)
    assert report_of_parts == report
    assert not list(Path().glob('*.unfinished*'))


@pytest.mark.parametrize('output', OUTPUTS)
def test_an_interruption_just_before_the_name_is_given(apply, planes, monkeypatch, output):
    whole, report = apply(f'whole-{output}', *LIMIT)

    def interrupted(image) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UnfinishedImage, 'finish', interrupted)
        apply(output, *LIMIT, status=130)
    planes.done = 0
    parts, report_of_parts = apply(output, *LIMIT, '--resume')
    assert planes.done == 0
    np.testing.assert_array_equal(parts, whole)
    assert report_of_parts == report


@pytest.mark.parametrize('output', OUTPUTS)
def test_a_damaged_part_is_made_again(apply, planes, output):
    whole, _ = apply(f'whole-{output}', *LIMIT)
    planes.done, planes.last = 0, 3
    apply(output, *LIMIT, status=130)
    image = Path(f'{output}.unfinished', 'image')
    if output.endswith('.zarr'):
        (image / '0' / 'c' / '1' / '0' / '0').write_bytes(b'damaged')
    else:
        values = bytearray(image.read_bytes())
        values[-4 * 64 * 64 * (FRAMES - 1) - 100] ^= 1  # in the second page
        image.write_bytes(values)
    planes.done, planes.last = 0, float('inf')
    parts, _ = apply(output, *LIMIT, '--resume')
    assert planes.done == FRAMES - 2
    np.testing.assert_array_equal(parts, whole)


def test_parts_of_something_else_are_not_continued(apply, planes, frames, capsys):
    planes.last = 2
    apply('out.ome.zarr', *LIMIT, status=130)
    planes.last = float('inf')
    apply('out.ome.zarr', *LIMIT, '--resume', '--sigma-a', '0.3', status=1)
    assert 'out.ome.zarr.unfinished: cannot be continued: other settings. Use' in said(capsys)
    parts, _ = apply('out.ome.zarr', *LIMIT)
    words = 'which --resume would continue; it begins again, and the interrupted one is kept as '
    assert f'{words}out.ome.zarr.unfinished.old' in said(capsys)
    assert parts.shape == frames.shape
    assert Path('out.ome.zarr.unfinished.old').is_dir()


@pytest.fixture
def large_planes(monkeypatch) -> None:
    """Planes of more than 1000 pixels are large, and have blocks of 32 x 32."""
    monkeypatch.setattr(blocks, 'LARGE', 1000)
    monkeypatch.setattr(blocks, 'SIDE', 32)
    monkeypatch.setattr(footprint, 'LARGE', 1000)
    monkeypatch.setattr(tiff_writing, 'SIDE', 32)
    monkeypatch.setattr(tiff_writing, 'PART', 1)
    monkeypatch.setattr(layout, 'USUAL', layout.Sizes(chunk=32, shard=1))
    monkeypatch.setattr('napari_noise2score.score.probe._LARGEST', 32)


@pytest.mark.parametrize('output', OUTPUTS[::2])
def test_planes_in_blocks_equal_those_at_once(apply, planes, large_planes, capsys, output):
    whole, report = apply(f'whole-{output}')
    said(capsys)
    parts, report_of_parts = apply(output, '--max-memory', '200K')
    assert planes.done == 0
    np.testing.assert_allclose(parts, whole, rtol=1e-6, atol=0)
    np.testing.assert_allclose(
        [channel['residual'][name] for channel in report_of_parts['channels'] for name in NUMBERS],
        [channel['residual'][name] for channel in report['channels'] for name in NUMBERS],
        rtol=1e-6,
    )
    assert report_of_parts['warnings'] == report['warnings']
    kind = 'shard by shard' if output.endswith('.zarr') else 'in strips'
    line, *_ = said(capsys).splitlines()
    assert line.endswith(f'planes are computed in blocks, and the result is written {kind}')


def test_an_interrupted_plane_goes_on_from_its_blocks(apply, large_planes, monkeypatch, capsys):
    call = '--max-memory', '200K', '--region', 'T0:2'
    whole, _ = apply('whole.ome.zarr', *call)
    real, done = BlockFiles.write, []

    def interrupted(files, number, values):
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(number)
        real(files, number, values)

    with monkeypatch.context() as patch:
        patch.setattr(BlockFiles, 'write', interrupted)
        apply('out.ome.zarr', *call, status=130)
    assert done == [0, 1, 2, 3, 0, 1]
    said(capsys)
    done.clear()
    monkeypatch.setattr(BlockFiles, 'write', lambda *parts: (done.append(parts[1]), real(*parts)))
    parts, _ = apply('out.ome.zarr', *call, '--resume')
    assert 'out.ome.zarr.unfinished: continues; 4 parts of it are done' in said(capsys)
    assert done == [2, 3]
    np.testing.assert_array_equal(parts, whole)
    assert not list(Path().glob('*.unfinished*'))


def test_what_does_not_fit_is_refused_before_the_work(apply, planes, capsys):
    apply('out.ome.zarr', '--max-memory', '200K', status=2)
    assert said(capsys).splitlines() == [
        'napari-noise2score: in.ome.zarr: planes of 64 x 64 need about 240 KiB of memory, but '
        '--max-memory is 200 KiB; give --max-memory 1G, or choose regions (--region, such as '
        'Y0:4096,X0:4096)'
    ]
    assert planes.done == 0


def test_a_plan_tells_the_memory_of_the_way_that_is_taken(model, planes, capsys):
    call = ['apply', model, 'in.ome.zarr', '--output', 'o.tif', '--dry-run', *AT_ONCE]
    assert main([*call, *LIMIT]) == 0
    assert 'memory: about 256 KiB or more' in capsys.readouterr().out
    assert main(call) == 0
    assert 'memory: about 320 KiB or more' in capsys.readouterr().out
    assert planes.done == 0


def test_a_difference_is_refused_where_it_does_not_fit(capsys):
    call = ['denoise', 'in.ome.zarr', '--output', 'o.tif', '--difference', 'd.tif', '--steps', '2']
    assert main([*call, *AT_ONCE, *LIMIT]) == 2
    assert '--difference holds the whole image and needs ' in said(capsys)


def test_several_images_each_in_its_way(apply, planes, frames, model):
    tifffile.imwrite('small.tif', frames[0], photometric='minisblack')
    call = ['apply', model, 'in.ome.zarr', 'small.tif', '--output', 'out/', *AT_ONCE]
    call += ['--max-memory', '300K']
    assert main(call) == 0
    assert planes.done == FRAMES
    assert {path.name for path in Path('out').iterdir()} >= {'in.ome.zarr', 'small.tif'}
    assert main([*call, '--overwrite', '--resume']) == 0
    assert planes.done == 2 * FRAMES
    whole, _ = apply('whole.ome.zarr')
    np.testing.assert_array_equal(np.asarray(read_image('out/in.ome.zarr').data), whole)


def test_a_training_is_continued_with_its_result(planes, capsys):
    call = ['denoise', 'in.ome.zarr', '--steps', '3', '--save-every', '1000', *AT_ONCE, *LIMIT]
    assert main([*call, '--output', 'whole.ome.zarr']) == 0
    planes.done, planes.last = 0, 2
    assert main([*call, '--output', 'out.ome.zarr']) == 130
    assert Path('out.ome.zarr.resume').is_dir()
    planes.done, planes.last = 0, float('inf')
    assert main([*call, '--output', 'out.ome.zarr', '--resume']) == 0
    assert 'the training is complete' in said(capsys)
    assert planes.done == FRAMES - 2
    one, other = (np.asarray(read_image(f'{name}.ome.zarr').data) for name in ('out', 'whole'))
    np.testing.assert_array_equal(one, other)
    assert not list(Path().glob('*.unfinished*')) + list(Path().glob('*.resume'))


def test_an_unfinished_image_is_no_input(planes, apply, model, capsys):
    planes.last = 2
    Path('data').mkdir()
    Path('in.ome.zarr').rename('data/in.ome.zarr')
    call = ['apply', model, *AT_ONCE, *LIMIT]
    assert main([*call, 'data/in.ome.zarr', '--output', 'data/out.ome.zarr']) == 130
    assert Path('data/out.ome.zarr.unfinished').is_dir()
    planes.last = float('inf')
    assert main([*call, 'data', '--recursive', '--output', 'results/']) == 0
    assert 'data: a folder of 1 file' in said(capsys)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_a_result_that_was_killed_is_continued_bit_for_bit(model, frames):
    write_ome_zarr('long.ome.zarr', np.concatenate([frames] * 8), 'TYX')
    call = [sys.executable, '-c', SMALL_LIMIT, 'apply', model, 'long.ome.zarr', *AT_ONCE, *LIMIT]
    parts = Path('out.ome.zarr.unfinished/parts.jsonl')
    with subprocess.Popen([*call, '--output', 'out.ome.zarr']) as process:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if parts.exists() and len(parts.read_text().splitlines()) > 5:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not Path('out.ome.zarr').exists()
    assert 5 < len(parts.read_text().splitlines()) < 8 * FRAMES
    subprocess.run([*call, '--output', 'out.ome.zarr', '--resume'], check=True)
    subprocess.run([*call, '--output', 'whole.ome.zarr', '--max-memory', '1G'], check=True)
    one, other = (np.asarray(read_image(f'{name}.ome.zarr').data) for name in ('out', 'whole'))
    np.testing.assert_array_equal(one, other)
    first, second = (record_of(f'{name}.ome.zarr') for name in ('out', 'whole'))
    assert first['channels'] == second['channels']


def test_a_result_that_passes_its_limit_stops_and_is_continued(apply, planes, monkeypatch, capsys):
    whole, _ = apply('whole.ome.zarr', *LIMIT)
    said(capsys)
    planes.done = 0
    monkeypatch.setattr(memory, '_SELDOM', 0)
    monkeypatch.setattr(memory, 'used', lambda: (290 if planes.done > 2 else 280) << 10)
    apply('out.ome.zarr', *LIMIT, status=1)
    assert said(capsys).splitlines()[-1] == (
        'napari-noise2score: memory: 290 KiB are used, but --max-memory is 260 KiB; stopped; '
        'nothing was written; --resume continues the result from out.ome.zarr.unfinished'
    )
    monkeypatch.setattr(memory, 'used', lambda: 0)
    parts, _ = apply('out.ome.zarr', *LIMIT, '--resume')
    assert planes.done == FRAMES + 1
    np.testing.assert_array_equal(parts, whole)


def test_a_training_and_an_estimate_say_what_they_need(monkeypatch, capsys):
    monkeypatch.setattr(footprint, '_ESTIMATE', 38)
    call = ['train', 'in.ome.zarr', '--model', 'm2.safetensors', '--seconds', '0', *ON_CPU]
    assert main([*call, '--max-memory', '900K']) == 0
    assert 'memory: at most about 760 KiB of 900 KiB (--max-memory)' in said(capsys)
    assert main([*call, '--overwrite', '--max-memory', '700K']) == 2
    words = (
        'the noise estimate needs about 760 KiB of memory, but --max-memory is 700 KiB; give '
        '--max-memory 1G, or choose a region (--region, such as Y0:2048,X0:2048)'
    )
    assert words in said(capsys)
    assert main(['estimate', 'in.ome.zarr', '--max-memory', '700K']) == 2
    assert words in said(capsys)


@pytest.mark.parametrize(
    ('text', 'size'),
    [('2G', 2 << 30), ('1.5 GiB', 3 << 29), ('1500mb', 1500 << 20), ('4096', 4096)],
)
def test_sizes(text, size):
    assert size_named(text) == size


@pytest.mark.parametrize('text', ['', 'much', '-1G', '2X'])
def test_what_is_no_size(text, capsys):
    with pytest.raises(SystemExit):
        main(['apply', 'm', 'in.tif', '--output', 'o.tif', '--max-memory', text])
    assert '2G or 1500M is needed' in said(capsys) or text == '-1G'


def test_a_limit_below_what_the_program_needs_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(memory_limit, '_LEAST', 1 << 30)
    with pytest.raises(SystemExit):
        main(['apply', 'm', 'in.tif', '--output', 'o.tif', '--max-memory', '500M'])
    assert '500M is 500 MiB; 1 GiB or more is needed' in said(capsys)
