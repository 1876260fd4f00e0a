from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

from napari_noise2score._widget import samples
from napari_noise2score.noise.families import family_from_dict

MANIFEST = PluginManifest.from_distribution('napari-noise2score')


@pytest.mark.parametrize('scene', ['filaments', 'nuclei', 'puncta'])
def test_sample_opens_with_truth_below_and_units(scene):
    viewer = ViewerModel()
    for data, settings, kind in getattr(samples, scene)():
        assert kind == 'image'
        viewer.add_image(data, **settings)
    truth, noisy = viewer.layers
    assert (truth.name, noisy.name) == (f'{scene} (ground truth)', f'{scene} (noisy)')
    assert noisy.data.shape == (4, *truth.data.shape)
    assert noisy.axis_labels == ('t', 'y', 'x')
    np.testing.assert_allclose(noisy.scale, (1, 0.1, 0.1))
    np.testing.assert_allclose(truth.scale, (0.1, 0.1))
    assert [str(unit) for unit in noisy.units] == ['second', 'micrometer', 'micrometer']
    assert truth.contrast_limits == noisy.contrast_limits


def test_metadata_names_the_noise_that_was_added():
    (truth, _, _), (noisy, settings, _) = samples.nuclei()
    noise = family_from_dict(settings['metadata']['noise2score_sample']['noise'])
    residual = (noisy - truth.astype(np.float64)) ** 2 / noise.variance(truth)
    assert abs(residual.mean() - 1) < 5 * residual.std() / np.sqrt(residual.size)


def test_every_sample_of_the_manifest_can_be_made():
    contributions = MANIFEST.contributions
    assert [s.key for s in contributions.sample_data] == ['filaments', 'nuclei', 'puncta']
    commands = {command.id: command for command in contributions.commands}
    for sample in contributions.sample_data:
        make = import_python_name(commands[sample.command].python_name)
        assert len(make()) == 2


def test_panel_is_in_the_filter_menu_and_in_the_plugins_menu():
    contributions = MANIFEST.contributions
    menu = contributions.menus['napari/layers/filter']
    assert [item.command for item in menu] == ['napari-noise2score.panel']
    assert [(w.command, w.display_name) for w in contributions.widgets] == [
        ('napari-noise2score.panel', 'Noise2Score'),
        ('napari-noise2score.simple', 'Denoise (simple)'),
    ]
