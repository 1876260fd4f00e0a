"""``report``, and ``--report R.html``."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.report.scenes import almost_clean, noisy, truth

from napari_noise2score.cli import main
from napari_noise2score.images.formats import recipe_of

pytestmark = pytest.mark.usefixtures('one_pass')

CLEAN = truth()[:96, :96]
NOISE = ['--noise', 'poisson-gaussian', '--gain', '2', '--offset', '100', '--read-noise', '1.5']
QUICK = ['--seconds', '0', '--device', 'cpu']


@pytest.fixture
def folder(tmp_path):
    for name in ('noisy', 'clean'):
        (tmp_path / name).mkdir()
    for seed in range(2):
        image = noisy(CLEAN, seed)
        tifffile.imwrite(tmp_path / 'noisy' / f'{seed}.tif', image.astype(np.uint16))
        result = almost_clean(CLEAN, image).astype(np.float32)
        tifffile.imwrite(tmp_path / 'clean' / f'{seed}.tif', result)
    return tmp_path


def test_a_page_and_its_values(folder, capsys):
    page = folder / 'r.html'
    files = [str(folder / kind / '0.tif') for kind in ('noisy', 'clean')]
    assert main(['report', *files, '--output', str(page), '--device', 'cpu', *NOISE]) == 0
    assert 'Is it blurred?' in page.read_text(encoding='utf-8')
    values = json.loads(page.with_suffix('.json').read_text())
    assert values['clean']['name'] == '0.tif'
    assert values['channels'][0]['noise']['gain'] == 2
    out = capsys.readouterr().out
    assert 'blurred? No: ' in out
    assert 'invented? Nothing was found' in out


def test_folders(folder, capsys):
    (folder / 'clean' / '1.tif').unlink()
    call = ['report', str(folder / 'noisy'), str(folder / 'clean'), '--device', 'cpu', *NOISE]
    assert main([*call, '--output', f'{folder / "out"}/']) == 1
    assert 'no such file; a clean image is needed' in capsys.readouterr().err
    assert sorted(p.name for p in (folder / 'out').iterdir()) == ['0.tif.html', '0.tif.json']


def test_folders_in_folders(folder):
    """Pages lie in folders of the same names, as results of ``--recursive`` do."""
    for kind in ('noisy', 'clean'):
        for number in range(2):
            day = folder / kind / f'day{number}'
            day.mkdir()
            (folder / kind / f'{number}.tif').rename(day / 'a.tif')
    call = ['report', str(folder / 'noisy'), str(folder / 'clean'), '--device', 'cpu', *NOISE]
    assert main([*call, '--recursive', '--output', f'{folder / "out"}/']) == 0
    pages = sorted(page.relative_to(folder).as_posix() for page in folder.rglob('*.html'))
    assert pages == ['out/day0/a.tif.html', 'out/day1/a.tif.html']


def test_the_noisy_image_alone(folder):
    page = folder / 'r.html'
    call = ['report', str(folder / 'noisy' / '0.tif'), '--output', str(page), '--device', 'cpu']
    assert main([*call, *NOISE]) == 0
    assert json.loads(page.with_suffix('.json').read_text())['clean'] is None


@pytest.mark.parametrize(
    ('more', 'words'),
    [
        (['noisy/0.tif', 'clean/0.tif', '--output', 'r.pdf'], 'a name that ends in .html'),
        (['noisy', 'clean', '--output', 'r.html'], 'several images need a folder'),
        (['noisy', 'clean/0.tif', '--output', 'out'], 'is one image; several noisy images'),
        (['noisy/0.tif', 'none.tif', '--output', 'r.html'], 'no such file'),
        (
            ['noisy/0.tif', 'clean/0.tif', '--output', 'r.html', '--recipe', 'clean/0.tif'],
            'does not state how it was made',
        ),
        (['noisy/0.tif', 'other.tif', '--output', 'r.html'], 'has the shape'),
    ],
)
def test_bad_input_is_refused(folder, capsys, monkeypatch, more, words):
    monkeypatch.chdir(folder)
    tifffile.imwrite('other.tif', np.zeros((5, 6), np.float32))
    assert main(['report', *more, '--device', 'cpu', *NOISE]) == 2
    assert words in capsys.readouterr().err
    assert not list(folder.glob('r.*'))
    assert not (folder / 'out').exists()


def test_denoise_writes_a_page_and_the_result_states_its_recipe(folder):
    source, result, page = (folder / name for name in ('noisy/0.tif', 'o.tif', 'r.html'))
    call = ['denoise', str(source), '--output', str(result), '--report', str(page), *QUICK]
    assert main([*call, *NOISE]) == 0
    assert 'correction' in page.read_text(encoding='utf-8')
    values = json.loads(page.with_suffix('.json').read_text())
    stated = recipe_of(result)
    assert stated is not None
    for recipe in (values['recipe'], stated):
        assert recipe['settings']['training']['seconds'] == 0
        assert recipe['channels'][0]['noise']['gain'] == 2
        assert recipe['versions']['napari-noise2score']
    again = folder / 'again.html'
    assert main(['report', str(source), str(result), '--output', str(again), *NOISE]) == 0
    assert json.loads(again.with_suffix('.json').read_text())['recipe'] == stated


def test_one_page_of_many_images_is_refused_before_the_work(folder, capsys):
    call = ['denoise', str(folder / 'noisy'), '--output', f'{folder / "out"}/', *QUICK]
    assert main([*call, '--report', str(folder / 'r.html')]) == 2
    assert 'is the report of one image, but there are 2' in capsys.readouterr().err
    assert not (folder / 'out').exists()


@pytest.mark.parametrize(
    ('axes', 'sides', 'output', 'more'),
    [
        ('ZCYX', (2, 3), 'out.ome.zarr', []),
        ('ZCYX', (2, 2), 'out.ome.zarr', []),
        ('TCYX', (2, 1), 'out.tif', []),
        ('TCYX', (2, 2), 'one.tif', ['--region', 'C1:2']),
    ],
)
def test_the_planes_of_a_page_belong_together(tmp_path, monkeypatch, axes, sides, output, more):
    """A file has its own order of axes, and not those of length 1."""
    monkeypatch.chdir(tmp_path)
    light = 1 + np.arange(np.prod(sides)).reshape(sides)  # so that no two planes are alike
    stack = np.array([[noisy(CLEAN * by, int(by)) for by in row] for row in light])
    tifffile.imwrite('in.tif', stack.astype(np.float32), photometric='minisblack')
    call = ['denoise', 'in.tif', '--axes', axes, '--output', output, *QUICK, *NOISE, *more]
    assert main([*call, '--report', 'r.html']) == 0
    both = ['in.tif', output, '--axes', axes, *more, *NOISE, '--device', 'cpu']
    assert main(['report', *both, '--output', 'again.html']) == 0
    own, again = (json.loads(Path(f'{name}.json').read_text()) for name in ('r', 'again'))
    assert own['channels'] == again['channels']
    for channel in own['channels']:  # other planes would leave much more than noise
        assert 0.5 < channel['result']['removed']['whole_variance'] < 1.2
