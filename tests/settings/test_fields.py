"""Fields that describe themselves: their values are checked, listed, changed and stored."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.fields import check, described, setting
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.plain import json_text
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.settings import (
    DenoiseSettings,
    Loss,
    ModelPer,
    NetworkSettings,
    PanelSettings,
    PretrainSettings,
    TrainSettings,
)
from napari_noise2score.settings.options import add_fields, option_words, read_fields
from napari_noise2score.settings.tree import from_dict, replaced, settings_in, to_dict

EVERY = (DenoiseSettings, NetworkSettings, PanelSettings, PretrainSettings)


class Colour(StrEnum):
    RED = 'red'
    BLUE = 'blue'


@dataclass(frozen=True, slots=True)
class Inner:
    count: int = setting(3, label='Count', help='How many.', least=1, most=9)
    rate: float | None = setting(None, label='Rate', help='How fast, in %.', above=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    colour: Colour = setting(Colour.RED, label='Colour', help='Which colour.')
    smooth: bool = setting(True, label='Smooth', help='Whether it is smooth.')
    mode: str = setting('a', label='Mode', help='Which mode.', choices={'a': 'A', 'b': 'B'})
    start: str = setting(
        'warm', label='Start', help='A name.', choices={'warm': 'Warm'}, more_choices=True
    )
    hidden: int = 0

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        (lambda: Inner(count=0), 'count is 0; a whole number from 1 to 9 is needed'),
        (lambda: Inner(count=2.0), 'count is 2.0; a whole number'),
        (lambda: Inner(count=True), 'count is True'),
        (lambda: Inner(count=None), 'count is None'),
        (lambda: Inner(rate=0), 'rate is 0; a finite number above 0 is needed'),
        (lambda: Inner(rate=float('inf')), 'rate is inf'),
        (lambda: Inner(rate='x'), "rate is 'x'"),
        (lambda: Outer(colour='green'), "colour 'green' is unknown; accepted are red, blue"),
        (lambda: Outer(mode='c'), "mode 'c' is unknown; accepted are a, b"),
        (lambda: Outer(smooth=1), 'smooth is 1; True or False is needed'),
    ],
)
def test_values_that_are_not_accepted_are_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_names_become_members_of_the_enumeration():
    assert Outer(colour='blue').colour is Colour.BLUE
    assert Outer(start='any file').start == 'any file'


def test_settings_in_settings_are_listed_and_changed_by_name():
    names = [one.name for one in settings_in(Outer)]
    assert names == ['count', 'rate', 'colour', 'smooth', 'mode', 'start']
    changed = replaced(Outer(hidden=5), {'rate': 0.5, 'colour': 'blue'})
    assert changed == Outer(Inner(rate=0.5), Colour.BLUE, hidden=5)
    assert {one.name: one.value for one in settings_in(changed)}['rate'] == 0.5
    with pytest.raises(TypeError, match='no such settings: speed'):
        replaced(Outer(), {'speed': 1})


def test_plain_values_give_the_settings_again():
    settings = Outer(Inner(rate=0.5), Colour.BLUE, smooth=False, hidden=5)
    plain = json.loads(json_text(to_dict(settings)))
    assert plain['inner'] == {'count': 3, 'rate': 0.5}
    assert plain['colour'] == 'blue'
    assert from_dict(Outer, plain) == settings
    with pytest.raises(InputError, match='Inner has no speed'):
        from_dict(Outer, {'inner': {'speed': 1}})


def test_options_give_the_settings_that_they_were_written_from():
    parser = argparse.ArgumentParser()
    add_fields(parser, Outer)
    add_fields(parser, Inner(count=4))
    assert read_fields(parser.parse_args([]), Inner(count=4)) == Inner(count=4)
    settings = Outer(Inner(7, 0.25), Colour.BLUE, smooth=False, start='a file')
    options = parser.parse_args(option_words(settings))
    assert replace(read_fields(options, Outer()), inner=read_fields(options, Inner())) == settings
    text = ' '.join(parser.format_help().split())
    assert 'how many (default: 4)' in text
    assert 'how fast, in %' in text
    assert '{red,blue}' in text


@pytest.mark.parametrize('cls', EVERY)
def test_every_field_has_words_and_a_label_for_each_choice(cls):
    for one in settings_in(cls):
        assert one.help[0].isupper()
        assert one.help.endswith('.')
        assert not one.choices or one.more_choices or set(one.choices) == set(one.accepted)


@pytest.mark.parametrize('cls', EVERY)
def test_names_and_options_are_unique(cls):
    every = settings_in(cls)
    assert len({one.name for one in every}) == len(every)
    assert len({one.option or one.name for one in every}) == len(every)


def test_every_loss_has_a_name_in_the_settings():
    assert set(Loss) == set(LOSSES)


def test_settings_of_a_denoising_are_stored_whole():
    settings = DenoiseSettings(
        NoiseRequest('poisson-gaussian', {'gain': 2.0}, 'none'),
        Correction.PAPER,
        TrainSettings(None, 5, init='scratch', network=NetworkSettings(8, 2), device='cpu'),
        model_per=ModelPer.TIME,
        sigma_a=0.5,
        output='source',
    )
    plain = json.loads(json_text(settings.to_dict()))
    assert plain['noise'] == {'family': 'poisson-gaussian', 'gain': 2.0, 'correlation': 'none'}
    assert plain['training']['network']['channels'] == 8
    assert from_dict(DenoiseSettings, plain) == settings


def test_maps_of_pixels_are_not_restored():
    with pytest.raises(InputError, match='measure them again'):
        NoiseRequest.from_dict({'family': 'poisson-gaussian', 'pixel_maps': {'frames': 20}})


def test_families_describe_their_parameters_in_the_same_way():
    one = described(NoiseRequest)[0]
    assert one.option == 'noise'
    assert one.choices['poisson-gaussian'] == 'Poisson-Gaussian'
