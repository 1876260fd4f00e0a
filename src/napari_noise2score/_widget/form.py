"""Widgets of magicgui for the fields of settings, and the values that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from qtpy.QtWidgets import QComboBox, QFormLayout

from napari_noise2score.errors import InputError
from napari_noise2score.fields import Setting, plain_value

_LARGEST = 2**31 - 1
"""Of a field of whole numbers."""


def widgets_for(settings: Sequence[Setting], first: Mapping[str, Any]) -> dict[str, Any]:
    """A widget for each field by name.

    Parameters
    ----------
    settings : sequence of Setting
        The fields.
    first : mapping
        First values by name; the value of the field where there is none.
    """
    return {one.name: widget_for(one, first.get(one.name, one.value)) for one in settings}


def widget_for(one: Setting, value: Any) -> Any:
    """A menu, a check box, a field of numbers or a line of text, with a tooltip."""
    choices = one.choices or {each: str(plain_value(each)) for each in one.accepted}
    if choices:
        pairs = [(label, choice) for choice, label in choices.items()]
        return ComboBox(choices=pairs, value=value, tooltip=one.tooltip)
    if one.kind is bool:
        return CheckBox(text=one.label, value=value, tooltip=one.tooltip)
    if _has_spin_box(one):
        whole = isinstance(one.step or 1, int)
        return (SpinBox if whole else FloatSpinBox)(
            value=round(value) if whole else value,
            min=-_LARGEST if one.least is None else one.least,
            max=min(_LARGEST, one.most_shown or _LARGEST, one.most or _LARGEST),
            step=one.step or 1,
            tooltip=one.tooltip,
        )
    return LineEdit(value='' if value is None else str(value), tooltip=one.tooltip)


def values_in(settings: Sequence[Setting], widgets: Mapping[str, Any]) -> dict[str, Any]:
    """What the widgets of fields show, by name.

    Raises
    ------
    InputError
        If a number cannot be read.
    """
    return {one.name: _value_in(one, widgets[one.name].value) for one in settings}


def rows_of(settings: Sequence[Setting], widgets: Mapping[str, Any]) -> QFormLayout:
    """The widgets of fields with their labels, one row each."""
    return form_of(
        *(('' if one.kind is bool else one.title, widgets[one.name]) for one in settings)
    )


def form_of(*rows: tuple[str, Any]) -> QFormLayout:
    """Labels and widgets of magicgui, one row each; menus may be narrower than their texts."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, widget in rows:
        form.addRow(label, widget.native)
        widget.native.setAccessibleName(label)
        if isinstance(widget, ComboBox):
            narrow(widget)
    return form


def narrow(combo: ComboBox) -> None:
    """Let a menu be narrower than its longest text, so that the panel can be."""
    combo.native.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.native.setMinimumContentsLength(10)


def _has_spin_box(one: Setting) -> bool:
    """Whether it is a number in steps that always has a value."""
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
