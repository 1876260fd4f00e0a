"""A small widget for scripts: it returns a clean layer for an image layer.

``denoise_simple()(layer)`` starts the work in the background and returns its worker, whose signal
``returned`` has the new layer as data, metadata and type.
"""

# No annotations as strings: magicgui does not resolve the one of the returned value.
from collections.abc import Callable
from contextlib import closing

from magicgui import magic_factory
from napari.layers import Image
from napari.qt.threading import FunctionWorker, create_worker
from napari.types import LayerDataTuple
from qtpy.QtCore import QTimer

from napari_noise2score._widget.control.messages import result_name
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import load_torch, one_core_free
from napari_noise2score._widget.layers.new_layers import LayerData, layer_data
from napari_noise2score._widget.layers.targets import likely_axes, target_of, unwrapped
from napari_noise2score.fields import Setting, described
from napari_noise2score.noise.request import AUTO, NoiseRequest
from napari_noise2score.settings import DenoiseSettings
from napari_noise2score.settings.tree import replaced, settings_in

_IMAGE_TIP = (
    'The layer to denoise. Its axes are read from its axis labels; without labels, they are '
    'guessed from its shape.'
)


def _field(name: str) -> Setting:
    """A field of the settings, by name."""
    fields = (*settings_in(DenoiseSettings()), *described(NoiseRequest()))
    return next(one for one in fields if one.name == name)


_SECONDS, _NOISE = _field('seconds'), _field('family')


@magic_factory(
    call_button='Denoise',
    image={'label': 'Image', 'tooltip': _IMAGE_TIP},
    seconds={
        'label': _SECONDS.title,
        'tooltip': _SECONDS.tooltip,
        'min': _SECONDS.least,
        'max': _SECONDS.most_shown or _SECONDS.most,
    },
    noise={
        'label': _NOISE.label,
        'tooltip': _NOISE.tooltip,
        'choices': [(label, name) for name, label in _NOISE.choices.items()],
    },
)
def denoise_simple(
    image: Image, seconds: int = 60, noise: str = AUTO
) -> FunctionWorker[LayerDataTuple]:
    """Train a score on an image layer and correct the layer with it, in the background.

    Parameters
    ----------
    image : napari.layers.Image
        The layer; it is not changed.
    seconds : int
        Training time, s; 0 applies the pretrained weights.
    noise : str
        Name of the noise model; ``'auto'`` selects it from the estimated noise.

    Returns
    -------
    FunctionWorker
        The worker. napari adds the returned layer to the viewer.

    Raises
    ------
    InputError
        If the axes of the layer do not fit its shape.
    """
    layer = unwrapped(image)
    target = target_of(layer, likely_axes(layer))
    settings = replaced(DenoiseSettings(NoiseRequest(noise)), {'seconds': seconds})

    def work() -> LayerData | None:
        return _denoised(target, settings, lambda: worker.abort_requested)

    worker = create_worker(
        work,
        _start_thread=False,
        _progress={'desc': f'Denoising {target.source.name}'},
    )
    QTimer.singleShot(0, worker.start)  # after napari has connected it
    return worker


def _denoised(
    target: Target, settings: DenoiseSettings, aborted: Callable[[], bool]
) -> LayerData | None:
    """The clean layer, None if the work was aborted; runs in the thread of the worker."""
    load_torch()
    from napari_noise2score.pipeline.results import Denoised
    from napari_noise2score.pipeline.run import denoise_steps

    with one_core_free(), closing(denoise_steps([target.source], settings)) as steps:
        for event in steps:
            if aborted():
                break
            if isinstance(event, Denoised):
                clean = event.corrected
                name = result_name(
                    target.source.name, clean.families, clean.correction, settings.context
                )
                return layer_data(target, clean.image, name, event.report)
    return None
