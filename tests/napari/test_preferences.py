"""Settings in napari's Preferences: what the manifest declares, and where it ends up."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from npe2 import PluginManifest

import napari_noise2score
from napari_noise2score._widget.jobs import RunSettings
from napari_noise2score._widget.preferences import CATEGORY, PLUGIN, Preferences, preferences

MANIFEST = Path(napari_noise2score.__file__).with_name('napari.yaml')


@pytest.fixture
def saved(request, npe2pm):
    """The settings of the plugin as napari keeps them, in a folder of the test."""
    settings = pytest.importorskip('napari.settings')
    if not hasattr(settings, 'get_plugin_settings'):
        pytest.skip('plugins have settings from napari 0.9 on')
    request.getfixturevalue('plugin_settings')
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return settings.get_plugin_settings(PLUGIN)


def declared_properties():
    contributions = yaml.safe_load(MANIFEST.read_text(encoding='utf-8'))['contributions']
    return contributions['configurations'][CATEGORY]['properties']


def test_the_manifest_declares_each_with_its_built_in_value():
    declared = declared_properties()
    built_in = Preferences()
    assert set(declared) == {each.name for each in fields(Preferences)}
    assert {name: spec['default'] for name, spec in declared.items()} == {
        name: getattr(built_in, name) for name in declared
    }
    assert all(spec['title'] and spec['description'] for spec in declared.values())


def test_built_in_values_are_those_of_a_run():
    run, built_in = RunSettings(), Preferences()
    for name in ('seconds', 'device', 'output'):
        assert getattr(built_in, name) == getattr(run, name)


def test_what_is_saved_is_read(saved):
    assert preferences() == Preferences()
    saved.panel.seconds = 7
    saved.panel.live = False
    assert preferences() == Preferences(seconds=7, live=False)
    with pytest.raises(ValueError, match='tpu'):
        saved.panel.device = 'tpu'


def test_they_are_the_first_values_of_the_panel(saved, open_panel, monkeypatch):
    monkeypatch.setattr('napari_noise2score._widget.panel.preferences', preferences)
    saved.panel.update({'seconds': 7, 'device': 'cpu', 'output': 'source', 'live': False})
    _, panel = open_panel()
    settings = panel.settings()
    assert (settings.seconds, settings.device, settings.output) == (7, 'cpu', 'source')
    assert not panel.form.live.value
    assert not panel._live


def test_every_choice_is_one_of_the_panel(open_panel):
    _, panel = open_panel()
    properties = declared_properties()
    assert tuple(properties['device']['enum']) == tuple(panel.form.device.choices)
    assert tuple(properties['output']['enum']) == tuple(panel.form.output.choices)
    assert properties['seconds']['maximum'] == panel.form.seconds.max


def test_a_napari_without_such_settings_has_the_built_in_ones(monkeypatch):
    settings = pytest.importorskip('napari.settings')
    monkeypatch.delattr(settings, 'get_plugin_settings', raising=False)
    assert preferences() == Preferences()


def test_a_plugin_that_napari_does_not_know_has_the_built_in_ones(npe2pm, monkeypatch):
    settings = pytest.importorskip('napari.settings')
    monkeypatch.setattr(settings, 'get_plugin_settings', {}.__getitem__, raising=False)
    assert preferences() == Preferences()
