"""The form for training, correction and result, from the fields of the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noise2score._widget.views.collapsible import Collapsible
from napari_noise2score._widget.views.form import form_for, values_in
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.settings import DenoiseSettings, PanelSettings
from napari_noise2score.settings.tree import replaced, settings_in


class SettingsForm(QWidget):
    """One widget for each setting; those that are seldom changed are in a collapsible part.

    The widgets are in ``widgets`` by the names of the fields. They are also attributes of these
    names, such as ``form.seconds``, unless Qt has an attribute of the same name.

    Parameters
    ----------
    first : mapping, optional
        Initial values by name; by default the built-in ones.
    parent : QWidget, optional
        Qt parent.
    settings, own : dataclass instances, optional
        The settings of the pipeline, and those of the panel only.
    further : sequence of magicgui widgets
        Other widgets of the collapsible part, after those of the settings.
    """

    def __init__(
        self,
        first: Mapping[str, Any] | None = None,
        parent: QWidget | None = None,
        *,
        settings: Any = None,
        own: Any = None,
        further: Sequence[Any] = (),
    ) -> None:
        super().__init__(parent)
        self._settings = settings or DenoiseSettings()
        self._fields = [one for one in settings_in(self._settings) if one.panel]
        shown = [*self._fields, *settings_in(own or PanelSettings())]
        folded = [one for one in shown if one.folded]
        self.above = form_for([one for one in shown if not one.folded], first)
        self.more = form_for(folded, first, further)
        fields = {one.name for one in shown}
        every = (*self.above, *self.more)
        self.widgets = {widget.name: widget for widget in every if widget.name in fields}
        names = ', '.join([*(one.label for one in folded), *(one.label for one in further)])
        tip = f'{names}. The defaults suit most images.'
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.above.native)
        layout.addWidget(Collapsible('More settings', self.more.native, tip))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__['widgets'][name]
        except KeyError:
            raise AttributeError(f'the form has no {name!r}') from None

    def settings(self, noise: NoiseRequest, leave_out: Collection[str] = ()) -> DenoiseSettings:
        """The displayed settings, with a noise model.

        Parameters
        ----------
        noise : NoiseRequest
            The noise model.
        leave_out : collection of str
            Fields that get their default values instead of the displayed ones.

        Raises
        ------
        InputError
            If a setting is not acceptable.
        """
        fields = [one for one in self._fields if one.name not in leave_out]
        settings: DenoiseSettings = replace(self._settings, noise=noise)
        return replaced(settings, values_in(fields, self.widgets))
