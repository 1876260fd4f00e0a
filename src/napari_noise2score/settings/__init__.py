"""All settings: frozen dataclasses whose fields describe themselves, without torch and Qt.

`denoising` has the settings of `denoise`; `training`, `network`, `pretraining` and `panel` have
its parts and others; `choices` has enumerations; `tree` has nested settings and plain values;
`options` has command-line options; `retired` has settings of earlier versions. Forms and
Preferences are in `_widget`.
"""

from napari_noise2score.settings.choices import (
    Context,
    Device,
    Loss,
    ModelPer,
    Output,
    StartFrom,
)
from napari_noise2score.settings.denoising import VIEWS, DenoiseSettings
from napari_noise2score.settings.network import NetworkSettings
from napari_noise2score.settings.panel import PanelSettings
from napari_noise2score.settings.pretraining import PretrainSettings
from napari_noise2score.settings.training import TrainSettings

__all__ = [
    'VIEWS',
    'Context',
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
