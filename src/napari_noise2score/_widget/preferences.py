"""What the user has chosen in napari's Preferences: the first values of a newly opened panel.

The manifest declares them (``configurations``), from npe2 0.9 and napari 0.9 on. Earlier ones pass
over that key, and the built-in values hold.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from napari_noise2score._widget.jobs import RunSettings
from napari_noise2score._widget.reader import PLUGIN

CATEGORY = 'panel'
"""Their key in the manifest."""

_BUILT_IN = RunSettings()


@dataclass(frozen=True, slots=True)
class Preferences:
    """First values of the panel; each is a property of the same name in the manifest.

    Attributes
    ----------
    seconds : int
        Training time.
    device : str
        Where to compute.
    output : str
        Numbers of the result, ``'float32'`` or ``'source'``.
    live : bool
        Whether the slice in sight is corrected while training.
    """

    seconds: int = round(_BUILT_IN.seconds)
    device: str = _BUILT_IN.device
    output: str = _BUILT_IN.output
    live: bool = True


def preferences() -> Preferences:
    """Those of the user; the built-in ones where napari has none."""
    try:
        from napari.settings import get_plugin_settings

        chosen = getattr(get_plugin_settings(PLUGIN), CATEGORY)
        return Preferences(
            **{each.name: getattr(chosen, each.name) for each in fields(Preferences)}
        )
    except (AttributeError, ImportError, KeyError):
        # an earlier napari, or it does not know the plugin or its settings
        return Preferences()
