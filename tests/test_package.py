from __future__ import annotations

import subprocess
import sys

import pytest

import napari_noise2score

HEAVY = ('torch', 'napari', 'qtpy', 'PyQt6', 'PySide6', 'magicgui', 'scipy', 'skimage')


def _fresh(code: str) -> str:
    """Standard output of the code in a new interpreter."""
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    code = f'import sys, napari_noise2score; print(sorted(sys.modules.keys() & {set(HEAVY)}))'
    assert _fresh(code) == '[]'


def test_noise_families_come_without_torch():
    code = 'import sys; from napari_noise2score import Poisson; print("torch" in sys.modules)'
    assert _fresh(code) == 'False'


@pytest.mark.parametrize('module', ['fields', 'settings', 'settings.options', 'settings.tree'])
def test_settings_come_without_torch_and_qt(module):
    heavy = set(HEAVY) - {'scipy'}  # its parts load when they are used first
    code = f'import sys, napari_noise2score.{module}; print(sorted(sys.modules.keys() & {heavy}))'
    assert _fresh(code) == '[]'


@pytest.mark.parametrize('module', ['noise.calibration.calibrate', 'settings', 'fields'])
def test_what_an_opening_panel_needs_comes_without_the_parts_of_scipy(module):
    parts = {'scipy.fft', 'scipy.ndimage', 'scipy.special', 'scipy.stats'}
    code = f'import sys, napari_noise2score.{module}; print(sorted(sys.modules.keys() & {parts}))'
    assert _fresh(code) == '[]'


@pytest.mark.parametrize('name', napari_noise2score.__all__)
def test_every_public_name_loads_and_is_listed(name):
    value = getattr(napari_noise2score, name)
    assert getattr(value, '__name__', name) == name
    assert name in dir(napari_noise2score)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'napari_noise2score' has no attribute 'denois'"):
        _ = napari_noise2score.denois


def test_version_is_the_installed_one():
    assert napari_noise2score.__version__[0].isdigit()
