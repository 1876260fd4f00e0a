"""A new setting is one edit: one field in a copy of the package, which is found everywhere."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_noise2score

BEFORE = '    device: str = setting(\n'
EDIT = """    zoom: float = setting(
        1.5, label='Zoom', unit='px', help='How far to zoom.', least=1, step=0.5, preference=True
    )
"""

USES = """
import json, sys
import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QApplication, QLabel

from napari_noise2score import ScoreModel, denoise
from napari_noise2score._widget.control.command import command_line
from napari_noise2score._widget.layers import target_of
from napari_noise2score._widget.preferences import built_in, configurations
from napari_noise2score._widget.views.settings_form import SettingsForm
from napari_noise2score.noise.request import NoiseRequest

application = QApplication(sys.argv[:1])
image = np.random.default_rng(0).normal(100, 8, (48, 48)).astype(np.float32)
form = SettingsForm({**built_in(), 'zoom': 2.0})
labels = [label.text() for label in form.findChildren(QLabel) if 'oom' in label.text()]
first = form.zoom.value
form.zoom.value, form.seconds.value, form.device.value = 2.5, 0, 'cpu'
settings = form.settings(NoiseRequest('gaussian', {'sigma': 8.0}))
result = denoise(image, 'YX', settings)
result.score_map.models[0].save('m.safetensors')
print(json.dumps({
    'first': first,
    'label': labels,
    'tooltip': form.zoom.tooltip,
    'least': form.zoom.min,
    'settings': settings.training.zoom,
    'command': command_line([target_of(Image(image, name='cells'), 'YX')], settings),
    'report': result.report['settings']['training']['zoom'],
    'model': ScoreModel.load('m.safetensors').training['zoom'],
    'preference': configurations()['panel']['properties']['zoom'],
    'built_in': built_in()['zoom'],
}))
"""

READS = """
import json, sys
from napari_noise2score.cli import _parser
from napari_noise2score.cli.options import settings_of

options = _parser().parse_args(sys.argv[2:])
print(json.dumps(settings_of(options).training.zoom))
"""


@pytest.fixture(scope='module')
def edited(tmp_path_factory):
    """Runs code with the edited package; returns its standard output."""
    folder = tmp_path_factory.mktemp('edited')
    package = folder / 'napari_noise2score'
    source = Path(napari_noise2score.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns('__pycache__'))
    file = package / 'settings' / 'training.py'
    text = file.read_text(encoding='utf-8')
    assert text.count(BEFORE) == 1
    file.write_text(text.replace(BEFORE, EDIT + BEFORE), encoding='utf-8')

    def run(code: str, *arguments: str, status: int = 0) -> str:
        more = {'PYTHONPATH': str(folder), 'QT_QPA_PLATFORM': 'offscreen'}
        done = subprocess.run(
            [sys.executable, '-c', code, *arguments],
            cwd=folder,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def test_a_new_setting_is_found_in_panel_files_and_preferences(edited):
    found = json.loads(edited(USES).splitlines()[-1])
    command = shlex.split(found.pop('command'))
    assert found.pop('preference') == {
        'type': 'number',
        'title': 'Zoom (px)',
        'description': 'How far to zoom.',
        'default': 1.5,
        'minimum': 1,
    }
    assert found == {
        'first': 2.0,
        'label': ['Zoom (px)'],
        'tooltip': 'How far to zoom.',
        'least': 1,
        'settings': 2.5,
        'report': 2.5,
        'model': 2.5,
        'built_in': 1.5,
    }
    assert command[command.index('--zoom') + 1] == '2.5'
    assert edited(READS, *command).strip() == '2.5'


def test_a_new_setting_is_an_option_of_the_commands_that_train(edited):
    call = 'from napari_noise2score.cli import main; main()'
    for command in ('denoise', 'train'):
        text = ' '.join(edited(call, command, '--help').split())
        assert 'how far to zoom (default: 1.5)' in text
    assert '--zoom' not in edited(call, 'apply', '--help')
    common = ['x', 'denoise', 'a.tif', '--output', 'b.tif']
    assert edited(READS, *common).strip() == '1.5'
    assert 'zoom is 0.5; a finite number of 1 or more' in edited(
        READS, *common, '--zoom', '0.5', status=1
    )
