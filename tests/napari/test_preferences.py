"""Settings in napari's Preferences: what the manifest declares, and where it ends up."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest

import napari_noise2score
from napari_noise2score._widget.preferences import (
    PLUGIN,
    built_in,
    configurations,
    preferences,
)
from napari_noise2score.settings import DenoiseSettings, PanelSettings
from napari_noise2score.settings.tree import settings_in

MANIFEST = Path(napari_noise2score.__file__).with_name('napari.yaml')
SCRIPT = Path(__file__).parents[2] / 'docs' / 'write_preferences.py'


@pytest.fixture
def saved(request, npe2pm):
    """The settings of the plugin as napari keeps them, in a folder of the test."""
    settings = pytest.importorskip('napari.settings')
    if not hasattr(settings, 'get_plugin_settings'):
        pytest.skip('plugins have settings from napari 0.9 on')
    request.getfixturevalue('plugin_settings')
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return settings.get_plugin_settings(PLUGIN)


def test_the_manifest_declares_what_the_fields_say():
    contributions = yaml.safe_load(MANIFEST.read_text(encoding='utf-8'))['contributions']
    assert contributions['configurations'] == configurations()


def test_the_script_has_written_the_manifest():
    text = MANIFEST.read_text(encoding='utf-8')
    assert runpy.run_path(str(SCRIPT))['manifest'](text) == text


def test_preferences_have_the_values_and_limits_of_the_fields():
    every = [*settings_in(DenoiseSettings()), *settings_in(PanelSettings())]
    assert built_in() == {one.name: one.value for one in every if one.preference}
    assert built_in() == {'seconds': 60, 'device': 'auto', 'output': 'float32', 'live': True}
    properties = configurations()['panel']['properties']
    assert properties['seconds']['type'] == 'integer'
    assert properties['seconds']['maximum'] == 7 * 24 * 3600
    assert properties['device']['enum'] == ['auto', 'cpu', 'cuda', 'cuda:all', 'mps']
    assert properties['live'].keys() == {'type', 'title', 'description', 'default'}


def test_what_is_saved_is_read(saved):
    assert preferences() == built_in()
    saved.panel.seconds = 7
    saved.panel.live = False
    assert preferences() == {**built_in(), 'seconds': 7, 'live': False}
    with pytest.raises(ValueError, match='tpu'):
        saved.panel.device = 'tpu'


def test_they_are_the_first_values_of_the_panel(saved, open_panel, monkeypatch):
    monkeypatch.setattr('napari_noise2score._widget.panel.preferences', preferences)
    saved.panel.update({'seconds': 7, 'device': 'cpu', 'output': 'source', 'live': False})
    _, panel = open_panel()
    settings = panel.settings()
    assert (settings.training.seconds, settings.training.device) == (7, 'cpu')
    assert settings.output == 'source'
    assert not panel.form.live.value
    assert not panel.live.during_training


def test_every_choice_is_one_of_the_panel(open_panel):
    _, panel = open_panel()
    properties = configurations()['panel']['properties']
    assert tuple(properties['device']['enum']) == tuple(panel.form.device.choices)
    assert tuple(properties['output']['enum']) == tuple(panel.form.output.choices)
    assert properties['seconds']['maximum'] == panel.form.seconds.max


def test_a_napari_without_such_settings_has_the_built_in_ones(monkeypatch):
    settings = pytest.importorskip('napari.settings')
    monkeypatch.delattr(settings, 'get_plugin_settings', raising=False)
    assert preferences() == built_in()


def test_a_plugin_that_napari_does_not_know_has_the_built_in_ones(npe2pm, monkeypatch):
    settings = pytest.importorskip('napari.settings')
    monkeypatch.setattr(settings, 'get_plugin_settings', {}.__getitem__, raising=False)
    assert preferences() == built_in()
