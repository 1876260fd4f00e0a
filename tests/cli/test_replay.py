"""``replay``: a recipe gives the same pixels again, and says what differs."""

import json

import numpy as np
import pytest
import tifffile
from tests.report.scenes import noisy, truth

from napari_noise2score.cli import main
from napari_noise2score.cli.replay import recipe_in, replay_words

CLEAN = truth()[:96, :96]
QUICK = ['--device', 'cpu', '--noise', 'poisson-gaussian', '--gain', '2']

pytestmark = pytest.mark.usefixtures('one_pass')


@pytest.fixture
def folder(tmp_path):
    for seed in range(2):
        tifffile.imwrite(tmp_path / f'{seed}.tif', noisy(CLEAN, seed).astype(np.uint16))
    return tmp_path


def denoised(folder, *more):
    result, report = folder / 'result.tif', folder / 'r.json'
    call = ['denoise', str(folder / '0.tif'), '--output', str(result), '--report', str(report)]
    assert main([*call, *QUICK, *more]) == 0
    return result, report


@pytest.mark.parametrize('kind', ['report', 'result', 'page'])
def test_the_same_pixels(folder, kind):
    result, report = denoised(folder, '--seconds', '0', '--region', 'Y8:72', '--dtype', 'source')
    page = folder / 'p.html'
    images = [str(folder / '0.tif')]
    if kind == 'page':
        files = [*images, str(result), '--region', 'Y8:72']
        assert main(['report', *files, '--output', str(page), '--device', 'cpu']) == 0
    recipe = {'report': report, 'result': result, 'page': page.with_suffix('.json')}[kind]
    again = folder / 'again.tif'
    given = [] if kind == 'report' else images  # a report states where its image was
    assert main(['replay', str(recipe), *given, '--output', str(again)]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(result))
    assert tifffile.imread(again).dtype == np.uint16


def test_a_training_by_steps_is_repeated(folder):
    result, report = denoised(folder, '--steps', '12', '--learn-from', 'Y0:64')
    again = folder / 'again.tif'
    assert json.loads(report.read_text())['learn_from'] == 'Y0:64'
    assert main(['replay', str(report), '--output', str(again)]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(result))


def test_the_model_of_a_training_by_time_gives_the_same_pixels(folder, capsys):
    model = folder / 'm.n2s'
    result, report = denoised(folder, '--seconds', '2', '--model-out', str(model))
    again = folder / 'again.tif'
    call = ['replay', str(report), '--output', str(again)]
    assert main([*call, '--model', str(model)]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(result))
    assert 'limited' not in capsys.readouterr().err
    assert main([*call, '--overwrite', '--dry-run']) == 0
    assert 'its training was limited to 2 s' in capsys.readouterr().err
    recipe = recipe_in(report)
    words = replay_words(recipe, [folder / '0.tif'], 'x.tif')
    assert words[words.index('--steps') + 1] == str(recipe['training']['steps_done'])
    assert '--seconds' not in words


def test_what_differs_is_named(folder, capsys):
    _, report = denoised(folder, '--seconds', '0')
    values = json.loads(report.read_text())
    values['versions']['torch'] = '1.0'
    values['model']['sha256'] = 'f' * 64
    report.write_text(json.dumps(values))
    out = folder / 'again.tif'
    assert main(['replay', str(report), str(folder / '1.tif'), '--output', str(out)]) == 0
    err = capsys.readouterr().err
    assert '1.tif is another image than that of the recipe (0.tif, CRC-32 ' in err
    assert 'was made with torch 1.0; here is ' in err
    assert 'the pretrained weights are other weights (' in err
    assert 'not ffffffffffff...' in err


def test_nothing_is_said_where_nothing_differs(folder, capsys):
    _, report = denoised(folder, '--seconds', '0')
    capsys.readouterr()
    assert main(['replay', str(report), '--output', str(folder / 'again.tif')]) == 0
    assert 'r.json: ' not in capsys.readouterr().err


def test_a_folder_of_images(folder):
    result, report = denoised(folder, '--seconds', '0')
    out = folder / 'out'
    images = [str(folder / f'{seed}.tif') for seed in range(2)]
    assert main(['replay', str(report), *images, '--output', f'{out}/']) == 0
    assert {p.name for p in out.glob('*.tif')} == {'0.tif', '1.tif'}
    np.testing.assert_array_equal(tifffile.imread(out / '0.tif'), tifffile.imread(result))


def test_a_recipe_of_an_earlier_version(folder, capsys):
    """It states how many slices the network saw at once; this version has networks for one."""
    result, report = denoised(folder, '--seconds', '0')
    values, again = json.loads(report.read_text()), folder / 'again.tif'
    values['slices'] = values['settings']['training']['slices'] = 1
    report.write_text(json.dumps(values))
    assert main(['replay', str(report), '--output', str(again)]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(result))
    values['slices'] = values['settings']['training']['slices'] = 3
    report.write_text(json.dumps(values))
    capsys.readouterr()
    assert main(['replay', str(report), '--output', str(again), '--overwrite']) == 2
    assert (
        'the recipe cannot be replayed: its network was trained to see 3 slices at once, which '
        'this version does not do; train again with context depth (--context depth)'
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda values: values.pop('settings'), 'does not state how an image was made'),
        (lambda values: values.pop('file'), 'does not state where its image is'),
        (lambda values: values.update(file='/no/such.tif'), 'is no longer there'),
        (lambda values: values['settings'].update(new=1), 'cannot be replayed: DenoiseSettings'),
        (lambda values: values['settings']['noise'].update(pixel_maps={}), 'maps of pixels'),
    ],
)
def test_a_recipe_that_cannot_be_replayed(folder, capsys, change, words):
    _, report = denoised(folder, '--seconds', '0')
    values = json.loads(report.read_text())
    change(values)
    report.write_text(json.dumps(values))
    assert main(['replay', str(report), '--output', str(folder / 'again.tif')]) == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_no_recipe(folder, capsys):
    for path in (folder / '0.tif', folder / 'none.json', folder / 'none.tif'):
        assert main(['replay', str(path), '--output', str(folder / 'again.tif')]) == 2
    err = capsys.readouterr().err
    assert '0.tif: does not state how it was made' in err
    assert 'none.json: is no report in JSON' in err
    assert 'none.tif: no such file' in err


def test_a_scene_of_a_file_is_found_again(folder, capsys):
    path = folder / 'two.ome.tif'
    with tifffile.TiffWriter(path, ome=True) as file:
        for seed in range(2):
            image = noisy(CLEAN, seed).astype(np.uint16)
            file.write(image, metadata={'axes': 'YX'}, photometric='minisblack')
    result, report = folder / 'result.tif', folder / 'r.json'
    call = ['denoise', str(path), '--scene', '1', '--output', str(result), '--report', str(report)]
    assert main([*call, *QUICK, '--seconds', '0']) == 0
    again = folder / 'again.tif'
    assert main(['replay', str(report), '--output', str(again)]) == 0
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(result))
    path.unlink()
    assert main(['replay', str(report), '--output', str(folder / 'more.tif')]) != 0
    assert 'two.ome.tif' in capsys.readouterr().err


def test_a_parameter_below_zero_is_one_word(folder):
    _, report = denoised(folder, '--seconds', '0', '--offset=-1.5e-05')
    again = folder / 'again.tif'
    assert main(['replay', str(report), '--output', str(again)]) == 0
    assert again.is_file()
