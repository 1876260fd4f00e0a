import pytest

from napari_noise2score.images.acquisition import Spacing, unit_symbol


@pytest.mark.parametrize(
    ('words', 'symbol'),
    [
        (('um', 'µm', 'μm', '\\u00B5m', 'micron', 'Microns', 'micrometer', 'micrometres'), 'µm'),
        (('nm', 'NM', 'nanometers'), 'nm'),
        (('in', 'inch', 'inches', '"'), 'in'),
        (('cm', 'centimeter', 'CENTIMETERS'), 'cm'),
        (('m', 'meter', 'metres'), 'm'),
        (('Å', '\N{ANGSTROM SIGN}', 'angstrom', 'Angstroms'), 'Å'),
        (('s', 'sec', 'sec.', 'seconds'), 's'),
        (('ms', 'msec', 'milliseconds'), 'ms'),
        (('h', 'hr', 'hours'), 'h'),
        (('', ' ', None, 'pixel', 'Pixels', 'px'), ''),
        (('furlong',), 'furlong'),
    ],
)
def test_units_in_all_their_spellings(words, symbol):
    assert {unit_symbol(word) for word in words} == {symbol}


def test_sizes_are_converted_where_they_can_be():
    assert Spacing(65, 'nm').within('µm') == 0.065
    assert Spacing(0.5, 'min').within('s') == 30
    assert Spacing(1, 'in').within('cm') == 2.54
    assert Spacing(1, 'µm').within('s') is None
    assert Spacing(1, '').within('µm') is None
    assert Spacing(2, 'furlong').within('furlong') == 2


@pytest.mark.parametrize('size', [None, '', 'x', 0, float('nan'), float('inf'), '1e999', [1]])
def test_what_is_no_size_is_none(size):
    assert Spacing.of(size, 'µm') is None


def test_a_negative_distance_is_one():
    assert Spacing.of('-0.3', 'um') == Spacing(0.3, 'µm')
