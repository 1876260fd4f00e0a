"""What a command or the panel says of a training."""

import pytest

from napari_noise2score.analysis.training_gain import gain_words


def record(start: float, risk: float) -> dict:
    return {
        'steps_done': 100,
        'delivered_step': 100,
        'start_risk': {'value': start},
        'risk': {'value': risk},
        'gain': {'standard_error': (start - risk) / 10},
    }


@pytest.mark.parametrize(
    ('start', 'risk', 'words'),
    [
        (0.35, 0.12, '35 % to 12 %'),
        (0.1712, 0.1698, '17.1 % to 17.0 %'),
        (0.0213, 0.0209, '2.13 % to 2.09 %'),
    ],
)
def test_the_two_errors_are_told_with_the_digits_in_which_they_differ(start, risk, words):
    assert f'lowered the estimated error from {words} of the noise' in gain_words(
        record(start, risk)
    )
