import importlib.util
import subprocess

import numpy as np
import pytest

from napari_noise2score.cli import demo


def test_without_a_display_the_files_are_named(capsys, tmp_path):
    assert demo.show(tmp_path / 'a.tif', tmp_path / 'b.tif', display=False) == 0
    assert 'No display: look at comparison.png' in capsys.readouterr().out


def test_without_napari_it_says_how_to_get_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert demo.show(tmp_path / 'a.tif', tmp_path / 'b.tif', display=True) == 0
    assert "pip install 'napari-noise2score[all]'" in capsys.readouterr().out


def test_napari_opens_with_both_images_and_the_panel(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(subprocess, 'call', lambda command: calls.append(command) or 0)
    assert demo.show(tmp_path / 'noisy.tif', tmp_path / 'clean.tif', display=True) == 0
    (command,) = calls
    assert command[1:3] == ['-m', 'napari']
    assert command[-2:] == ['--with', 'napari-noise2score']
    assert str(tmp_path / 'noisy.tif') in command
    assert str(tmp_path / 'clean.tif') in command


def test_a_viewer_that_cannot_open_names_the_system_packages(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(subprocess, 'call', lambda command: 134)
    assert demo.show(tmp_path / 'a.tif', tmp_path / 'b.tif', display=True) == 1
    text = capsys.readouterr().err
    assert 'status 134' in text
    assert 'apt-get install' in text
    assert 'libxcb-cursor0' in text


@pytest.mark.parametrize(
    ('platform', 'environment', 'expected'),
    [
        ('linux', {}, False),
        ('linux', {'DISPLAY': ':1'}, True),
        ('linux', {'WAYLAND_DISPLAY': 'wayland-0'}, True),
        ('win32', {}, True),
        ('darwin', {}, True),
    ],
)
def test_where_a_window_can_be_opened(monkeypatch, platform, environment, expected):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr('sys.platform', platform)
    assert demo.has_display() is expected


def test_psnr_by_hand():
    truth = np.array([[0.0, 10.0]])
    assert demo.psnr(truth + 1.0, truth) == pytest.approx(20.0)
