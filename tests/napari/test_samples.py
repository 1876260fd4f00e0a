from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from napari._app_model import get_app_model
from napari.components import ViewerModel
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

from napari_noise2score.images.samples import SAMPLES
from napari_noise2score.noise.families import family_from_dict

MANIFEST = PluginManifest.from_distribution('napari-noise2score')


STILL = {'confocal', 'wide-field', 'speckle', 'filaments', 'nuclei', 'puncta'}
KEYS = {sample.key: sample.command for sample in MANIFEST.contributions.sample_data}


def layers_of(key):
    """What napari gets from a sample of the File menu."""
    commands = {command.id: command for command in MANIFEST.contributions.commands}
    return import_python_name(commands[KEYS[key]].python_name)()


def test_the_file_menu_lists_every_sample():
    assert list(KEYS) == list(SAMPLES)
    names = [sample.display_name for sample in MANIFEST.contributions.sample_data]
    assert all('with ground truth' in name for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('name', SAMPLES)
def test_sample_opens_with_truth_below_and_units(name):
    viewer = ViewerModel()
    for data, settings, kind in layers_of(name):
        assert kind == 'image'
        viewer.add_image(data, **settings)
    truth, noisy = viewer.layers
    assert (truth.name, noisy.name) == (f'{name} (ground truth)', f'{name} (noisy)')
    shape = noisy.data.shape[1:] if name in STILL else noisy.data.shape
    assert truth.data.shape == shape
    stacked = 'z' if name == 'z-stack' else 't'
    assert noisy.axis_labels == (stacked, 'y', 'x')
    assert truth.axis_labels == noisy.axis_labels[-truth.ndim :]
    np.testing.assert_allclose(truth.scale, noisy.scale[-truth.ndim :])
    first = {'z': 'micrometer', 't': 'second'}[stacked]
    assert [str(unit) for unit in noisy.units] == [first, 'micrometer', 'micrometer']
    assert truth.contrast_limits == noisy.contrast_limits
    if name in ('filaments', 'nuclei', 'puncta'):
        assert noisy.data.shape == (4, 512, 512)
        np.testing.assert_allclose(noisy.scale, (1, 0.1, 0.1))


@pytest.mark.parametrize('name', SAMPLES)
def test_metadata_names_the_noise_that_was_added(name):
    (truth, _, _), (noisy, settings, _) = layers_of(name)
    noise = family_from_dict(settings['metadata']['noise2score_sample']['noise'])
    truth = np.broadcast_to(truth.astype(np.float64), noisy.shape)
    residual = (noisy - truth) ** 2 / noise.variance(truth)
    correlated = 1.5 if name == 'wide-field' else 1.0  # neighbours count for less than one each
    assert abs(residual.mean() - 1) < 5 * correlated * residual.std() / np.sqrt(residual.size)


def test_panel_is_in_the_filter_menu_and_in_the_plugins_menu():
    contributions = MANIFEST.contributions
    menu = contributions.menus['napari/layers/filter']
    assert [item.command for item in menu] == ['napari-noise2score.panel']
    assert [(w.command, w.display_name) for w in contributions.widgets] == [
        ('napari-noise2score.panel', 'Noise2Score'),
        ('napari-noise2score.simple', 'Denoise (simple)'),
    ]


def test_the_entries_of_the_menus_are_those_of_the_docs(viewer):
    panel, simple = 'Noise2Score', 'Denoise (simple)'
    for command, name in (('panel', panel), ('simple', simple)):
        title = get_app_model().commands[f'napari-noise2score.{command}'].title
        assert title in (f'{name} (Noise2Score)', name)  # older napari: without
    root = Path(__file__).parents[2]
    pages = [root / 'README.md', *sorted((root / 'docs').rglob('*.md'))]
    named = [
        ' '.join(found.split())
        for page in pages
        for found in re.findall(
            r'\*((?:Plugins > Noise2Score|Layers > Filter) > [^*]+)\*', page.read_text('utf-8')
        )
    ]
    assert len(named) > 5
    assert set(named) == {
        f'Plugins > Noise2Score > {panel} (Noise2Score)',
        f'Plugins > Noise2Score > {simple} (Noise2Score)',
        f'Layers > Filter > {panel} (Noise2Score)',
    }
