"""All settings: frozen dataclasses whose fields describe themselves. No torch, no Qt.

denoising -> everything that `denoise` takes; training, network, pretraining, panel -> its parts
and relatives; choices -> enumerations; tree -> settings in settings, and as plain values;
options -> on the command line. Forms and Preferences are made in `_widget`.
"""

from napari_noise2score.settings.choices import Device, Loss, ModelPer, Output, StartFrom
from napari_noise2score.settings.denoising import DenoiseSettings
from napari_noise2score.settings.network import NetworkSettings
from napari_noise2score.settings.panel import PanelSettings
from napari_noise2score.settings.pretraining import PretrainSettings
from napari_noise2score.settings.training import TrainSettings

__all__ = [
    'DenoiseSettings',
    'Device',
    'Loss',
    'ModelPer',
    'NetworkSettings',
    'Output',
    'PanelSettings',
    'PretrainSettings',
    'StartFrom',
    'TrainSettings',
]
