"""Gain of a training over its initial weights, in words."""

from __future__ import annotations

import math
from typing import Any

_MEASURED = 2.0
"""Standard errors from which a gain is significant."""


def gain_words(training: dict[str, Any]) -> str | None:
    """Gain of a training over its initial weights, in words; None if it is not known.

    Parameters
    ----------
    training : dict
        Record of the training, as in a `ScoreModel`.
    """
    flat = training.get('flat_places', {})
    if flat.get('peaked', 0.0) > flat.get('peaked_allowed', math.inf):
        return (
            'The distribution of the noise is not normal, and one image by itself does not show '
            'it well enough to learn from, so the pretrained weights were applied. With two '
            'frames of one scene a training is possible.'
        )
    if not training['steps_done']:
        return None
    if training.get('start_risk', {}).get('impossible') is not None:
        return (
            'The error could not be estimated: it is below zero, so the noise model or its '
            'parameters do not fit the image. The initial weights of the training were applied.'
        )
    if flat.get('harmed'):
        returned = flat['returned'] > flat['returned_allowed']
        harm = (
            f'added {_percent(flat["returned"])} of the noise to flat places again'
            if returned
            else f'moved flat places away from the image, by {_percent(flat["away"])} of the noise'
        )
        return (
            f'Training {harm}, which happens if the noise differs from the noise model, so the '
            'pretrained weights were applied.'
        )
    start, risk = (_finite(training.get(key, {}).get('value')) for key in ('start_risk', 'risk'))
    if start is None or risk is None:
        return None
    noise = training.get('noise_variance') or 1.0  # below one at few photons
    start, risk = start / noise, risk / noise
    if not training['delivered_step']:
        return (
            'Training did not improve on the pretrained weights (estimated error '
            f'{_percent(start)} of the noise variance), so these were applied.'
        )
    error = _finite(training['gain']['standard_error'])  # a single place has none
    known = '' if error is None else f' \N{PLUS-MINUS SIGN} {_percent(error / noise)}'
    if error is not None and start - risk <= _MEASURED * error:
        return (
            'The change by training is too small to be measured here (the estimated error fell '
            f'by {_percent(start - risk)}{known} of the noise variance), and there is no sign '
            f'of harm, so the trained model was applied.{_still_words(training)}'
        )
    return (
        f'Training lowered the estimated error from {_percents(start, risk)} of the noise '
        f'variance (by {_percent(start - risk)}{known}).{_still_words(training)}'
    )


def _still_words(training: dict[str, Any]) -> str:
    """Share of a recording in which frames were targets for each other; empty if there is none."""
    share = _finite(training.get('unchanging'))
    if share is None:
        return ''
    return f' Frames were compared in {100 * share:.0f} % of the recording, where nothing changes.'


def _finite(value: Any) -> float | None:
    """The value if it is a finite number; None otherwise."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _percents(start: float, end: float) -> str:
    """Two shares, with as many decimals as it takes to see their difference."""
    change = 100 * abs(start - end)
    decimals = 0 if change == 0 else min(max(0, -math.floor(math.log10(change))), 6)
    start_text, end_text = (f'{100 * share:.{decimals}f} %' for share in (start, end))
    return f'{start_text} to {end_text}'


def _percent(share: float) -> str:
    return f'{100 * share:.2g} %'
