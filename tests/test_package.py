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


def test_import_takes_less_than_50_ms():
    code = (
        'import time, importlib; start = time.perf_counter(); import napari_noise2score; '
        'print(time.perf_counter() - start)'
    )
    assert min(float(_fresh(code)) for _ in range(3)) < 0.05


def test_noise_families_come_without_torch():
    code = 'import sys; from napari_noise2score import Poisson; print("torch" in sys.modules)'
    assert _fresh(code) == 'False'


@pytest.mark.parametrize('module', ['fields', 'settings', 'settings.options', 'settings.tree'])
def test_settings_come_without_torch_and_qt(module):
    heavy = set(HEAVY) - {'scipy'}
    code = f'import sys, napari_noise2score.{module}; print(sorted(sys.modules.keys() & {heavy}))'
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
