import json
import math
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.files import write_json
from napari_noise2score.plain import json_line, json_text, plain


class Colour(StrEnum):
    RED = 'red'


RECORD = {
    'nan': math.nan,
    'infinite': [1.0, -math.inf, np.float32('inf')],
    'scalars': (np.float32(0.5), np.int64(3), np.bool_(True), np.str_('x')),
    'array': np.array([[1.0, np.nan], [3.0, 4.0]]),
    'kind': Colour.RED,
    'path': Path('a') / 'b',
    7: {'none': None, 'empty': [], 'nothing': {}},
    'name': 'half\udcff',
}
STRICT = {
    'nan': None,
    'infinite': [1.0, None, None],
    'scalars': [0.5, 3, True, 'x'],
    'array': [[1.0, None], [3.0, 4.0]],
    'kind': 'red',
    'path': str(Path('a') / 'b'),
    '7': {'none': None, 'empty': [], 'nothing': {}},
    'name': 'half?',
}


def refuse(word: str) -> None:
    raise ValueError(f'{word} is no JSON')


@pytest.mark.parametrize('write', [json_text, json_line])
def test_json_is_strict_and_loses_no_field(write):
    assert plain(RECORD) == STRICT
    assert json.loads(write(RECORD), parse_constant=refuse) == STRICT


def test_plain_values_have_plain_types():
    kinds = {type(value) for value in plain(RECORD)['scalars']}
    assert kinds == {float, int, bool, str}
    with pytest.raises(TypeError, match='object'):
        plain({'what': object()})


def test_lists_of_numbers_take_a_line_each():
    text = json_text({'kernel': np.eye(3), 'shape': (2, 64), 'places': [{'y': 1}]})
    assert text.splitlines() == [
        '{',
        '  "kernel": [',
        '    [1.0, 0.0, 0.0],',
        '    [0.0, 1.0, 0.0],',
        '    [0.0, 0.0, 1.0]',
        '  ],',
        '  "shape": [2, 64],',
        '  "places": [',
        '    {',
        '      "y": 1',
        '    }',
        '  ]',
        '}',
    ]


def test_a_report_with_what_is_no_number_can_be_read_by_all(tmp_path):
    path = tmp_path / 'r.json'
    write_json(path, RECORD)
    assert json.loads(path.read_text(encoding='utf-8'), parse_constant=refuse) == STRICT


@pytest.mark.parametrize('error', [None, math.inf, math.nan])
def test_a_gain_without_an_error_is_told_without_it(error):
    training = {
        'steps_done': 5,
        'delivered_step': 5,
        'start_risk': {'value': 0.3},
        'risk': {'value': 0.2},
        'gain': {'standard_error': error},
    }
    assert gain_words(training).endswith('(by 10 %).')
    assert gain_words({**training, 'risk': {'value': math.nan}}) is None
