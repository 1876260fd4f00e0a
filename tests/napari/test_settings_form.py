"""The form is made from the fields of the settings, whatever they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import pytest
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox

from napari_noise2score._widget.views.settings_form import SettingsForm
from napari_noise2score.errors import InputError
from napari_noise2score.fields import plain_value, setting
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.settings import DenoiseSettings, PanelSettings, TrainSettings
from napari_noise2score.settings.tree import settings_in


class Colour(StrEnum):
    RED = 'red'
    BLUE = 'blue'


@dataclass(frozen=True, slots=True)
class More(DenoiseSettings):
    """Settings with a field of every kind more."""

    count: int = setting(3, label='Count', help='How many.', least=1, most=9)
    width: float = setting(1.5, label='Width', help='How wide.', step=0.5, unit='px')
    rate: float | None = setting(None, label='Rate', help='How fast.')
    depth: int | None = setting(None, label='Depth', help='How deep.')
    sharp: bool = setting(False, label='Sharp', help='Whether it is sharp.')
    name: str = setting('cells', label='Name', help='Its name.')
    colour: Colour = setting(Colour.RED, label='Colour', help='Its colour.', folded=False)
    unseen: int = setting(0, label='Unseen', help='Not in the panel.', panel=False)


@pytest.fixture
def form(qtbot):
    found = SettingsForm(settings=More())
    qtbot.addWidget(found)
    return found


def test_untouched_it_gives_the_defaults(qtbot):
    form = SettingsForm()
    qtbot.addWidget(form)
    assert form.settings(NoiseRequest('gaussian')) == DenoiseSettings(NoiseRequest('gaussian'))
    shown = [*settings_in(DenoiseSettings), *settings_in(PanelSettings)]
    assert set(form.widgets) == {one.name for one in shown if one.panel}
    for one in shown:
        if one.panel:
            assert form.widgets[one.name].tooltip == one.tooltip


@pytest.mark.parametrize(
    'one',
    [one for one in [*settings_in(DenoiseSettings), *settings_in(PanelSettings)] if one.choices],
    ids=lambda one: one.name,
)
def test_a_tooltip_uses_the_words_of_its_menu(one):
    labels = ' '.join(one.choices.values()).lower()
    values = [str(plain_value(value)) for value in one.accepted or one.choices]
    unknown = [value for value in values if not re.search(rf'\b{value}\b', labels)]
    for value in set(unknown) - {'image'}:  # an ordinary word
        assert not re.search(rf'\b{value}\b', one.tooltip), value


@pytest.mark.parametrize(
    ('name', 'kind', 'value'),
    [
        ('count', SpinBox, 7),
        ('width', FloatSpinBox, 2.5),
        ('rate', LineEdit, '0.25'),
        ('depth', LineEdit, '4'),
        ('sharp', CheckBox, True),
        ('name', LineEdit, 'nuclei'),
        ('colour', ComboBox, 'blue'),
        ('seconds', SpinBox, 5),
    ],
)
def test_a_field_of_every_kind_has_a_widget(form, name, kind, value):
    widget = form.widgets[name]
    assert isinstance(widget, kind)
    widget.value = value
    values = {one.name: one.value for one in settings_in(form.settings(NoiseRequest()))}
    assert str(values[name]) in (str(value), f'{value}.0')
    assert all(values[one.name] == one.value for one in settings_in(More()) if one.name != name)


def test_limits_units_and_what_is_not_shown(form):
    assert (form.widgets['count'].min, form.widgets['count'].max) == (1, 9)
    assert form.widgets['width'].native.accessibleName() == 'Width (px)'
    with pytest.raises(AttributeError, match="no 'unseen'"):
        _ = form.unseen


def test_a_text_that_is_no_number_is_refused(form):
    form.rate.value = 'fast'
    with pytest.raises(InputError, match="Rate is 'fast'; a number is needed"):
        form.settings(NoiseRequest())


def test_a_correction_does_not_depend_on_the_start_of_a_training(qtbot):
    form = SettingsForm({'seconds': 0})
    qtbot.addWidget(form)
    form.init.value = 'scratch'
    with pytest.raises(InputError, match='the weights stay random'):
        form.settings(NoiseRequest())
    settings = form.settings(NoiseRequest(), leave_out=['init'])
    assert settings.training == TrainSettings(seconds=0)
