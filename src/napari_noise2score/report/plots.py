"""Plots of a report, as SVG."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_noise2score.images.axes import plane_words
from napari_noise2score.noise.correlation import REACH
from napari_noise2score.report.findings import ChannelFindings, ResultFindings

_STYLE = {
    'font.size': 9,
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.alpha': 0.25,
    'legend.frameon': False,
}
_NOISY, _CLEAN, _REMOVED, _MODEL = '#8c8c8c', '#0b6bb8', '#c0392b', '#111111'


def plots_of(channel: ChannelFindings) -> list[tuple[str, str]]:
    """Captions and SVG of all plots of a channel."""
    found: list[tuple[str, Callable[[Figure], None]]] = []
    if channel.prepared is not None and channel.prepared.fit is not None:
        found.append(
            (
                'Noise variance of the noisy image by its level. Points that follow the line: the '
                'noise model is right.',
                lambda figure: _photon_transfer(figure.subplots(), channel),
            )
        )
    result = channel.result
    if result is not None:
        found += [
            (
                'What was removed, by level: the mean should be near 0 (a slight rise is usual), '
                'the variance about 1 or a little less.',
                lambda figure: _by_level(figure.subplots(), result),
            ),
            (
                'Autocorrelation of what was removed: a single dot for independent pixels. Rings, '
                'stripes or a broad spot: structure was removed.',
                lambda figure: _autocorrelation(figure, result),
            ),
        ]
        if result.spectra is not None:
            found += [
                (
                    'Power by size of details. What was removed should follow the noise, not '
                    'exceed it.',
                    lambda figure: _power(figure.subplots(), result),
                ),
                (
                    'Share of the contrast that is left, between two limits; shown where details '
                    'exceed the noise, grey where they do so clearly.',
                    lambda figure: _kept(figure.subplots(), result),
                ),
            ]
        if result.response is not None:
            found.append(
                (
                    'Part of the planes before and after in a clean plane: one bar at 0 for no '
                    'smoothing.',
                    lambda figure: _response(figure.subplots(), result),
                )
            )
    return [(caption, _svg(draw)) for caption, draw in found]


def _svg(draw: Callable[[Figure], None]) -> str:
    with rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(4.4, 3.0), layout='constrained')
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format='svg', metadata={'Date': None})
    svg = text.getvalue()
    return svg[svg.index('<svg') :]


def _photon_transfer(axes: Axes, channel: ChannelFindings) -> None:
    assert channel.prepared is not None
    assert channel.prepared.fit is not None
    evidence = channel.prepared.fit.evidence
    axes.plot(evidence.level, evidence.variance, '.', color=_CLEAN, label='measured')
    x = np.linspace(float(evidence.level.min()), float(evidence.level.max()), 100)
    line = np.asarray(channel.prepared.family.variance(x))
    axes.plot(x, line, color=_MODEL, lw=1, label=channel.prepared.family.label)
    axes.set(xlabel='grey level', ylabel='noise variance', ylim=(0, None))
    axes.legend()


def _by_level(axes: Axes, result: ResultFindings) -> None:
    found = result.agreement
    axes.axhline(0, color=_MODEL, lw=0.7)
    axes.axhline(1, color=_MODEL, lw=0.7)
    axes.errorbar(
        found.level, found.variance, found.error, fmt='.-', color=_REMOVED, label='variance'
    )
    axes.plot(found.level, found.mean, '.-', color=_CLEAN, label='mean')
    axes.set(xlabel='clean grey level', ylabel='removed / noise')
    axes.legend()


def _autocorrelation(figure: Figure, result: ResultFindings) -> None:
    axes = figure.subplots()
    edge = REACH + 0.5
    shown = axes.imshow(
        result.agreement.correlation,
        cmap='RdBu_r',
        vmin=-0.3,
        vmax=0.3,
        extent=(-edge, edge, edge, -edge),
    )
    axes.set(xlabel='columns apart', ylabel='rows apart')
    axes.grid(visible=False)
    figure.colorbar(shown, extend='both')


def _power(axes: Axes, result: ResultFindings) -> None:
    found = result.spectra
    assert found is not None
    for values, colour, label in (
        (found.noisy, _NOISY, 'noisy'),
        (found.clean, _CLEAN, 'clean'),
        (found.removed, _REMOVED, 'removed'),
    ):
        axes.semilogy(found.frequency, np.maximum(values, 1e-12), color=colour, label=label)
    axes.semilogy(found.frequency, found.noise, '--', color=_MODEL, lw=1, label='noise model')
    lowest = max(float(found.noise.min()) * 1e-4, float(found.clean.min()) / 2)
    axes.set(xlabel='cycles per pixel', ylabel='power', ylim=(lowest, None))
    axes.legend()


def _kept(axes: Axes, result: ResultFindings) -> None:
    found = result.spectra
    assert found is not None
    if found.visible.any():
        axes.axvspan(0, float(found.frequency[found.visible].max()), color='#eeeeee')
    axes.axhline(1, color=_MODEL, lw=0.7)
    axes.fill_between(found.frequency, found.least, found.most, color=_CLEAN, alpha=0.35)
    axes.set(xlabel='cycles per pixel', ylabel='contrast left', ylim=(0, 1.5), xlim=(0, 0.5))


def _response(axes: Axes, result: ResultFindings) -> None:
    found = result.response
    assert found is not None
    for shift, values, colour, label in (
        (-0.2, found.steady, _CLEAN, 'steady places'),
        (0.2, found.unsteady, _REMOVED, 'unsteady places'),
    ):
        axes.bar(found.distance + shift, values, 0.4, color=colour, label=label)
    _, unit = plane_words(found.axis)
    axes.set(xlabel=f'{unit} apart', ylabel='part', ylim=(min(0, -0.1), 1.1))
    axes.legend()
