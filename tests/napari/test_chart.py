"""Charts: what is drawn, and that something is."""

from dataclasses import replace

import numpy as np
import pytest
from superqt.utils import qimage_to_array

from napari_noise2score._widget.views.chart import (
    Chart,
    Curves,
    learning_curve,
    photon_transfer,
    ticks,
)
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.families import Poisson
from tests.napari.helpers import NOISE, noisy_stack

BLUE = (90, 123, 208)


def colours(chart) -> np.ndarray:
    """(rows, columns, 3) of what is on the screen."""
    return qimage_to_array(chart.grab().toImage())[..., :3]


def blue(chart) -> np.ndarray:
    return (np.abs(colours(chart).astype(int) - BLUE) < 30).all(-1)


@pytest.mark.parametrize(
    ('low', 'high', 'texts'),
    [
        (0, 1, ['0', '0.5', '1']),
        (-0.1, 4.3, ['0', '2', '4']),
        (97, 2040, ['500', '1000', '1500', '2000']),
        (0.011, 0.019, ['0.012', '0.014', '0.016', '0.018']),
    ],
)
def test_ticks_are_round_numbers(low, high, texts):
    assert [text for _, text in ticks(low, high)] == texts


def test_photon_transfer_has_the_measured_points_and_the_model():
    fit = estimate_noise(noisy_stack(4))
    curves = photon_transfer(fit, fit.family)
    assert curves.dots.shape == (len(fit.evidence.level), 2)
    np.testing.assert_allclose(
        np.polyfit(*curves.line.T, 1)[0], fit.family.parameters()['gain'], rtol=1e-6
    )
    assert 'Poisson-Gaussian' in curves.words
    other = photon_transfer(fit, Poisson(2 * NOISE.gain, 0.0))
    assert not np.allclose(other.line, curves.line)


def test_bars_show_how_certain_the_measured_points_are(qtbot):
    few, many = (estimate_noise(noisy_stack(2, size)) for size in (64, 256))
    doubts = [
        photon_transfer(fit, fit.family).doubt / fit.evidence.variance for fit in (few, many)
    ]
    assert np.median(doubts[0]) > 2 * np.median(doubts[1])
    curves = photon_transfer(few, few.family)
    assert '2 standard errors of the measured variance' in curves.words
    charts = []
    for shown in (curves, replace(curves, doubt=0 * curves.doubt)):
        chart = Chart()
        qtbot.addWidget(chart)
        chart.resize(300, 130)
        chart.show_curves(shown)
        charts.append(colours(chart))
    assert not np.array_equal(*charts)


def test_a_chart_draws_its_line_and_hides_without_one(qtbot):
    chart = Chart()
    qtbot.addWidget(chart)
    assert chart.isHidden()
    chart.resize(300, 130)
    chart.show_curves(learning_curve([(0, 1.0), (5, 0.5), (10, 0.4)]))
    assert not chart.isHidden()
    drawn = blue(chart)
    assert drawn.sum() > 100
    first, last = (np.nonzero(drawn)[1].min(), np.nonzero(drawn)[1].max())
    assert np.nonzero(drawn[:, first])[0].mean() < np.nonzero(drawn[:, last])[0].mean()
    assert 'loss against training time' in chart.accessibleName()
    chart.show_curves(None)
    assert chart.isHidden()


def test_a_flat_line_can_be_drawn(qtbot):
    chart = Chart()
    qtbot.addWidget(chart)
    chart.resize(300, 130)
    flat = np.array([(1.0, 5.0), (2.0, 5.0)])
    chart.show_curves(Curves(np.empty((0, 2)), flat, 'x', 'y'))
    assert blue(chart).sum() > 100
