import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.axes import check_axes, guess_axes, overruled, suggested_axes


@pytest.mark.parametrize(
    ('shape', 'rgb', 'axes'),
    [
        ((8, 8), False, 'YX'),
        ((3, 8, 8), False, 'TYX'),
        ((2, 3, 8, 8), False, 'TZYX'),
        ((2, 3, 4, 8, 8), False, 'TCZYX'),
        ((8, 8, 3), True, 'YXS'),
        ((5, 8, 8, 3), True, 'TYXS'),
    ],
)
def test_guesses(shape, rgb, axes):
    assert guess_axes(shape, rgb) == axes
    assert check_axes(axes.lower(), shape) == axes


@pytest.mark.parametrize(
    ('shape', 'stated', 'axes'),
    [
        ((8, 8, 3), '', 'YXS'),
        ((5, 8, 8, 4), '', 'TYXS'),
        ((2, 5, 8, 8, 3), '', 'TZYXS'),
        ((5, 8, 8), '', 'TYX'),
        ((8, 3), '', 'YX'),
        ((8, 8, 3), 'QYX', 'YXS'),
        ((5, 8, 8, 3), 'QYXS', 'TYXS'),
        ((3, 8, 8, 5), 'SYXQ', 'SYXT'),
        ((5, 8, 8), 'QYX', 'TYX'),
    ],
)
def test_a_last_axis_of_three_or_four_is_taken_for_colours(shape, stated, axes):
    assert suggested_axes(shape, stated) == axes


@pytest.mark.parametrize(
    ('axes', 'shape', 'text'),
    [
        ('TQX', (2, 8, 8), 'Q is unknown; use letters of TCZYXS'),
        ('YYX', (2, 8, 8), 'is repeated'),
        ('YX', (2, 8, 8), r"name 2 axes; the image has 3, shape \(2, 8, 8\).*'TYX'"),
        ('YX', (512, 512, 3), r"shape \(512, 512, 3\); one letter .*, such as 'YXS'"),
        ('YX', (5, 8, 8, 4), "such as 'TYXS'"),
        ('TZX', (2, 8, 8), 'lack Y or X'),
        ('TYX', (0, 8, 8), 'is empty'),
    ],
)
def test_misfits_are_refused_in_words(axes, shape, text):
    with pytest.raises(InputError, match=text):
        check_axes(axes, shape)


@pytest.mark.parametrize('stated', ['ZYX', 'QYX', 'SYX'])
def test_axes_that_are_given_or_that_nobody_states_need_no_note(stated):
    assert overruled('ZYX', stated) == ()


def test_axes_against_those_of_the_file_are_noted():
    (note,) = overruled('ZYX', 'TYX')
    assert note == 'the file says that its axes are TYX; they are read as ZYX, as given'
