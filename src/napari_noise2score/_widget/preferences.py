"""Settings in napari's Preferences: initial values of a new panel.

The manifest declares them (``configurations``) for npe2 0.9 and napari 0.9 or newer. Older
versions ignore that key, and the built-in values are used. ``docs/write_preferences.py`` writes
that part of the manifest from the fields of the settings.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from napari_noise2score._widget.reader import PLUGIN
from napari_noise2score.fields import Setting, plain_value
from napari_noise2score.settings import DenoiseSettings, PanelSettings
from napari_noise2score.settings.tree import settings_in

CATEGORY = 'panel'
"""Their key in the manifest."""

_TYPES = {bool: 'boolean', int: 'integer', float: 'number'}


def preferred(*settings: Any) -> tuple[Setting, ...]:
    """The fields that are preferences; by default those of all settings."""
    every = settings or (DenoiseSettings(), PanelSettings())
    return tuple(one for part in every for one in settings_in(part) if one.preference)


def preferences() -> dict[str, Any]:
    """The values of the user by name; the built-in values if napari has none."""
    try:
        from napari.settings import get_plugin_settings

        chosen = getattr(get_plugin_settings(PLUGIN), CATEGORY)
        return {one.name: getattr(chosen, one.name) for one in preferred()}
    except (AttributeError, ImportError, KeyError):
        # an older napari, or the plugin or its settings are not registered
        return built_in()


def built_in() -> dict[str, Any]:
    """The values of the fields, by name."""
    return {one.name: one.value for one in preferred()}


def configurations(*settings: Any) -> dict[str, Any]:
    """The configurations of the manifest, from the fields that are preferences."""
    properties = {one.name: _property(one) for one in preferred(*settings)}
    return {CATEGORY: {'title': 'Default values of the panel', 'properties': properties}}


def _property(one: Setting) -> dict[str, Any]:
    """A field as JSON Schema."""
    whole = one.kind is float and isinstance(one.step, int)
    default = plain_value(one.value)
    bounds = {'minimum': one.least, 'maximum': one.most_shown or one.most}
    words = {'title': one.title, 'description': one.description}
    enum = [plain_value(value) for value in one.accepted or one.choices]
    return {
        'type': 'integer' if whole else _TYPES.get(one.kind, 'string'),
        **words,
        'default': int(default) if whole else default,
        **{name: bound for name, bound in bounds.items() if bound is not None},
        **({'enum': enum} if enum and issubclass(one.kind, (Enum, str)) else {}),
    }
