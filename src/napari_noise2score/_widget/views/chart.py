"""A small chart of dots and a line, in the colours of the theme of the viewer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_noise2score._widget.views.style import ACCENT
from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.families import NoiseFamily

_HEIGHT = 130
_TICKS = 4
_GAP = 4
_DOT = 1.8
_ERRORS = 2
"""Half-length of a bar, standard errors."""
_MARGIN = 0.05
"""Free space around the curves, relative to their extent."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Curves of a chart.

    Attributes
    ----------
    dots, line : (K, 2) and (N, 2) float64
        x and y.
    across, up : str
        Labels of the axes.
    words : str
        Description of the chart.
    doubt : (K,) float64 or None
        Half-length of the bar at each dot, in y.
    """

    dots: NDArray[np.float64]
    line: NDArray[np.float64]
    across: str
    up: str
    words: str = ''
    doubt: NDArray[np.float64] | None = None


def photon_transfer(fit: NoiseFit, family: NoiseFamily) -> Curves:
    """Measured variance against the mean level, and the variance of a noise model."""
    level, variance = fit.evidence.level, fit.evidence.variance
    doubt = _ERRORS * fit.evidence.error
    grid = np.linspace(float(level.min()), float(level.max()), 60)
    model = np.broadcast_to(np.asarray(family.variance(grid), float), grid.shape)
    return Curves(
        np.stack([level, variance], axis=1),
        np.stack([grid, model], axis=1),
        'mean (grey levels)',
        'variance',
        f'{family}; the measured variance differs from it by {100 * fit.misfit(family):.0f} % '
        f'(rms). Bars: \N{PLUS-MINUS SIGN} {_ERRORS} standard errors of the measured variance.',
        doubt,
    )


def learning_curve(history: Sequence[tuple[float, float]]) -> Curves:
    """Loss against the training time."""
    line = np.array(history, float).reshape(-1, 2)
    return Curves(np.empty((0, 2)), line, 'training time (s)', 'loss', 'Running mean of the loss.')


class Chart(QWidget):
    """Shows one set of curves; hidden if there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.curves: Curves | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.hide()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """A low chart, which uses the available width."""
        return QSize(240, _HEIGHT)

    def show_curves(self, curves: Curves | None) -> None:
        """Show other curves; None hides the chart."""
        self.curves = curves
        drawable = curves is not None and len(curves.line) > 1
        self.setVisible(drawable)
        if curves is not None and drawable:
            self.setToolTip(curves.words)
            self.setAccessibleName(f'{curves.up} against {curves.across}. {curves.words}')
        self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw axes, dots and line."""
        if self.curves is None or len(self.curves.line) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(7.0, 0.85 * font.pointSizeF()))
        painter.setFont(font)
        _draw(painter, QRectF(self.rect()), self.curves, self.palette().windowText().color())
        painter.end()


def _draw(painter: QPainter, area: QRectF, curves: Curves, ink: QColor) -> None:
    bars = _bars(curves)
    whole = np.concatenate([curves.dots, curves.line, *bars])
    low, high = _range(whole[:, 0]), _range(whole[:, 1])
    across, up = ticks(*low), ticks(*high)
    metrics = painter.fontMetrics()
    row = metrics.height()
    left = max(metrics.horizontalAdvance(text) for _, text in up) + 2 * _GAP
    inner = area.adjusted(left, row + _GAP, -3 * _GAP, -2 * row - _GAP)

    def at(x: float, y: float) -> QPointF:
        share_x = (x - low[0]) / (low[1] - low[0])
        share_y = (y - high[0]) / (high[1] - high[0])
        return QPointF(
            inner.left() + share_x * inner.width(), inner.bottom() - share_y * inner.height()
        )

    faint = QColor(ink)
    faint.setAlpha(90)
    painter.setPen(QPen(faint, 1))
    painter.drawLine(inner.bottomLeft(), inner.bottomRight())
    painter.drawLine(inner.bottomLeft(), inner.topLeft())
    painter.setPen(QPen(ink, 1))
    centre, right = Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight
    for value, text in across:
        place = at(value, high[0])
        painter.drawText(QRectF(place.x() - 40, inner.bottom() + 2, 80, row), centre, text)
    for value, text in up:
        place = at(low[0], value)
        box = QRectF(0, place.y() - row / 2, left - _GAP, row)
        painter.drawText(box, right | Qt.AlignmentFlag.AlignVCenter, text)
    painter.drawText(QRectF(0, area.bottom() - row, area.width(), row), centre, curves.across)
    painter.drawText(QRectF(_GAP, 0, area.width(), row), Qt.AlignmentFlag.AlignLeft, curves.up)
    for (x, bottom), (_, top) in np.stack(bars, axis=1).tolist():
        painter.drawLine(at(x, bottom), at(x, top))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    for x, y in curves.dots.tolist():
        painter.drawEllipse(at(x, y), _DOT, _DOT)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(ACCENT), 2))
    painter.drawPolyline(QPolygonF([at(x, y) for x, y in curves.line.tolist()]))


def _bars(curves: Curves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the bars, (K, 2) each; empty without errors."""
    if curves.doubt is None:
        return np.empty((0, 2)), np.empty((0, 2))
    half = np.stack([np.zeros_like(curves.doubt), curves.doubt], axis=1)
    return curves.dots - half, curves.dots + half


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or _MARGIN * abs(high) or _MARGIN
    return low - margin, high + margin


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers from ``low`` to ``high``, with their labels."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= raw)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [(number * step, digits(number * step, step, 6)) for number in count]
