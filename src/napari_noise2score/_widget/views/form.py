"""Forms of magicgui from the fields of settings, and menus of napari's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSpinBox,
    LineEdit,
    SpinBox,
    create_widget,
)
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QWidget

from napari_noise2score.errors import InputError
from napari_noise2score.fields import Setting, plain_value

_LARGEST = 2**31 - 1
"""Largest value of an integer field."""


def form_for(
    settings: Sequence[Setting],
    first: Mapping[str, Any] | None = None,
    further: Sequence[Any] = (),
) -> Container:
    """A form with a widget for each field; the widget has the name of the field.

    Parameters
    ----------
    settings : sequence of Setting
        The fields.
    first : mapping, optional
        Initial values by name; by default the value of the field.
    further : sequence of magicgui widgets
        Other widgets, after those of the fields.
    """
    given = first or {}
    widgets = [widget_for(one, given.get(one.name, one.value)) for one in settings]
    return form_of([*widgets, *further])


def form_of(widgets: Sequence[Any]) -> Container:
    """Widgets of magicgui in a column, with their labels.

    The labels are also the names for screen readers. Menus may be narrower than their texts.
    """
    for widget in widgets:
        if isinstance(widget, ComboBox):
            narrow(widget)
        if not isinstance(widget, CheckBox):  # the text of a check box is its name
            widget.native.setAccessibleName(widget.label)
            policy = widget.native.sizePolicy()
            policy.setHorizontalPolicy(QSizePolicy.Policy.Expanding)  # the label stays narrow
            widget.native.setSizePolicy(policy)
    form = Container(widgets=widgets)
    form.margins = (0, 0, 0, 0)
    _AlignedLabels(form.native)
    return form


class _AlignedLabels(QObject):
    """Gives all labels of a form the width of the widest visible one, in any style.

    magicgui measures the texts once, before the style of the window is applied.
    """

    _EVENTS = (QEvent.Type.Show, QEvent.Type.LayoutRequest, QEvent.Type.StyleChange)

    def __init__(self, form: QWidget) -> None:
        super().__init__(form)
        form.installEventFilter(self)

    def eventFilter(self, form: Any, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Align the labels when the form is shown, and when its rows change."""
        if event.type() in self._EVENTS:
            labels = [label for label in form.findChildren(QLabel) if label.isVisibleTo(form)]
            width = max((label.sizeHint().width() for label in labels), default=0)
            for label in labels:
                label.setFixedWidth(width)
        return False


def widget_for(one: Setting, value: Any) -> Any:
    """A menu, a check box, a number field or a text field, with a tooltip."""
    if one.kind is bool:
        return CheckBox(name=one.name, text=one.label, value=value, tooltip=one.tooltip)
    shared = {'name': one.name, 'label': one.title, 'tooltip': one.tooltip}
    choices = one.choices or {each: str(plain_value(each)) for each in one.accepted}
    if choices:
        pairs = [(label, choice) for choice, label in choices.items()]
        return ComboBox(choices=pairs, value=value, **shared)
    if _has_spin_box(one):
        whole = isinstance(one.step or 1, int)
        return (SpinBox if whole else FloatSpinBox)(
            value=round(value) if whole else value,
            min=-_LARGEST if one.least is None else one.least,
            max=min(_LARGEST, one.most_shown or _LARGEST, one.most or _LARGEST),
            step=one.step or 1,
            **shared,
        )
    return LineEdit(value='' if value is None else str(value), **shared)


def layer_menu(kind: Any, name: str, label: str, none: str, tooltip: str) -> ComboBox:
    """A menu of the layers of one class in the viewer in which it is docked.

    Its value is None if ``none`` is chosen. `list_layers` updates it.

    Parameters
    ----------
    kind : type
        The class of napari's layers.
    name, label, tooltip : str
        Name, label and tooltip of the widget.
    none : str
        Text of the entry for no layer.
    """
    options = {'nullable': True, 'tooltip': tooltip}
    menu = create_widget(annotation=kind, name=name, label=label, options=options)
    menu.null_string = none
    menu.reset_choices()
    return menu


def list_layers(form: Container) -> None:
    """Update the menus of layers in a form; a renamed layer stays chosen."""
    for menu in form:
        if isinstance(menu, ComboBox):
            chosen = menu.value
            menu.choices = ()  # otherwise magicgui moves a renamed layer to the end
            menu.reset_choices()
            if chosen in menu.choices:
                menu.value = chosen


def values_in(settings: Sequence[Setting], widgets: Mapping[str, Any]) -> dict[str, Any]:
    """The values of fields from their widgets, by name.

    Raises
    ------
    InputError
        If a number is not valid.
    """
    return {one.name: _value_in(one, widgets[one.name].value) for one in settings}


def narrow(combo: ComboBox) -> None:
    """Allow a menu to be narrower than its longest text, so that the panel can be narrow."""
    combo.native.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.native.setMinimumContentsLength(10)


def _has_spin_box(one: Setting) -> bool:
    """Whether a field is a number with steps and always has a value."""
    number = one.kind is int or (one.kind is float and one.step is not None)
    return number and one.value is not None


def _value_in(one: Setting, value: Any) -> Any:
    if one.kind not in (int, float) or one.choices:
        return value
    if value == '':
        return None
    try:
        return one.kind(value)
    except ValueError:
        raise InputError(f'{one.label} is {value!r}; a number is needed') from None
