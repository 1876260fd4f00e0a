"""Names of one device and of several."""

import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.settings import DenoiseSettings, Device, TrainSettings
from napari_noise2score.settings.devices import device_names
from napari_noise2score.settings.options import option_words
from napari_noise2score.settings.tree import from_dict


@pytest.mark.parametrize('name', [*Device, 'cuda:0', 'cuda:12', 'cuda:all'])
def test_names_of_one_setting_of_the_panel_or_of_one_gpu(name):
    assert device_names(name) == (name,)


@pytest.mark.parametrize(
    'name', ['', 'tpu', 'cuda:', 'cuda:-1', 'cuda:01', 'CPU', 'cpu,', 'cuda:0;cuda:1', None, 0]
)
def test_unknown_names_are_refused_with_those_that_are_accepted(name):
    with pytest.raises(InputError, match=r'is unknown; accepted are auto, cpu.*cuda:0,cuda:1'):
        TrainSettings(device=name)


@pytest.mark.parametrize(
    'name',
    ['cuda:0,cuda:0', 'cuda:0,cpu', 'cuda,cuda:1', 'auto,cpu', 'mps,mps', 'cuda:all,cuda:0'],
)
def test_devices_that_cannot_work_together_are_refused(name):
    with pytest.raises(InputError, match='several devices have to be NVIDIA GPUs with different'):
        TrainSettings(device=name)


def test_files_and_the_copied_command_line_name_all_devices():
    settings = DenoiseSettings(training=TrainSettings(device='cuda:0,cuda:1'))
    words = option_words(settings)
    assert words[words.index('--device') + 1] == 'cuda:0,cuda:1'
    assert from_dict(DenoiseSettings, settings.to_dict()) == settings
