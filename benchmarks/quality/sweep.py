"""How far is the automatic noise model from the best of some that a person would try?

For each stack one score is trained with the automatic settings and corrected again with each
setting of `SETTINGS` that says so; the others, whose unit-noise coordinate or correlation is not
that of the training, are trained anew for the same time. Ground truth is used for the scores
alone, never to choose anything.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from results import Record, Results, mean, settings_of, table, train_settings
from scores import psnr, stacks

from napari_noise2score import (
    DenoiseSettings,
    InputError,
    TrainingError,
    correct_image,
    denoise,
)
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Setting:
    """A noise model to try.

    Attributes
    ----------
    name : str
        Head of its column.
    family : str
        As in `NoiseRequest`.
    gain_factor : float or None
        The gain is this many times the estimated one.
    correction : Correction
        Form of the correction.
    correlation : str
        As in `NoiseRequest`.
    retrain : bool
        Train anew in the coordinate of this noise model, instead of another correction of the
        automatic training.
    """

    name: str
    family: str = 'auto'
    gain_factor: float | None = None
    correction: Correction = Correction.AUTO
    correlation: str = 'auto'
    retrain: bool = False

    def request(self, estimate: NoiseFamily | None = None) -> NoiseRequest:
        """The request; a factor of the gain needs the automatic estimate."""
        if self.gain_factor is None:
            return NoiseRequest(self.family, correlation=self.correlation)
        gain = estimate.parameters().get('gain') if estimate is not None else None
        if gain is None:
            raise InputError('the automatic noise model has no gain to change')
        return NoiseRequest(self.family, {'gain': self.gain_factor * gain})


AUTO = Setting('auto')
BOTH = 'poisson-gaussian'
SETTINGS = (
    Setting('stabilised', correction=Correction.STABILISED),
    Setting('chained', correction=Correction.CHAINED),
    Setting('paper', correction=Correction.PAPER),
    Setting('Poisson', 'poisson'),
    Setting('gain × 0.8', BOTH, 0.8),
    Setting('gain × 1.25', BOTH, 1.25),
    Setting('Gaussian', 'gaussian'),
    Setting('gain × 0.8, trained', BOTH, 0.8, retrain=True),
    Setting('gain × 1.25, trained', BOTH, 1.25, retrain=True),
    Setting('Gaussian, trained', 'gaussian', retrain=True),
    Setting('correlation none, trained', correlation='none', retrain=True),
)


def learn(
    noisy: NDArray[np.uint8], noise: NoiseRequest, correction: Correction, training: TrainSettings
) -> Denoised:
    """Train on a stack and correct it, as the command line does."""
    return denoise(noisy, 'TYX', DenoiseSettings(noise, correction, training))


def compare(
    name: str,
    noisy: NDArray[np.uint8],
    truth: NDArray[np.float64],
    training: TrainSettings,
    settings: Sequence[Setting] = SETTINGS,
) -> Record:
    """PSNR of a stack with every setting; a text where a setting is not possible."""
    automatic = learn(noisy, AUTO.request(), AUTO.correction, training)
    (channel,) = automatic.score_map.prepared.channels
    record: Record = {'stack': name, 'raw': psnr(noisy, truth)}
    record['auto'] = psnr(automatic.image, truth)
    for setting in settings:
        if setting.correlation == 'none' and channel.correlation.is_white:
            record[setting.name] = 'as auto'
            continue
        try:
            request = setting.request(channel.family)
            if setting.retrain:
                image = learn(noisy, request, setting.correction, training).image
            else:
                wanted = None if setting.family == 'auto' else request
                image = correct_image(automatic.score_map, wanted, setting.correction).image
            record[setting.name] = psnr(image, truth)
        except (InputError, TrainingError) as error:
            record[setting.name] = f'not possible: {error}'
    found = {s.name: record[s.name] for s in settings if isinstance(record[s.name], float)}
    best = max(found, key=lambda key: found[key])
    record |= {'best by hand': best, 'auto - best': record['auto'] - found[best]}
    record |= {'noise': str(channel.family), 'correction': str(automatic.corrected.correction)}
    record['correlation'] = channel.correlation.neighbours
    return record


def render(records: Sequence[Record]) -> str:
    """Settings down, stacks across; below, how far the automatic choice is from the best."""
    columns = ('raw', 'auto', *(setting.name for setting in SETTINGS))
    notes: list[str] = []
    rows = []
    for column in columns:
        cells = []
        for one in records:
            value = one[column]
            if isinstance(value, str) and value.startswith('not possible'):
                notes.append(f'* {one["stack"]}, {column}: {value}')
                value = 'not possible'
            cells.append(value)
        numbers = (_number(one, column) for one in records)
        rows.append([column, *cells, mean(numbers)])
    rows.append(['best by hand', *(one['best by hand'] for one in records), None])
    gaps = [one['auto - best'] for one in records]
    rows.append(['auto less best by hand', *gaps, mean(gaps)])
    text = (
        'PSNR, dB. The rows down to "Gaussian" are corrections of the one score that was trained '
        'with the automatic noise model; "trained" has its own training. A gain that is given '
        'takes the rest from the data. The best by hand is found with the ground '
        'truth, stack by stack, and is no choice that a user could make.\n\n'
    )
    text += table(['setting', *(one['stack'] for one in records), 'mean'], rows)
    if records:
        text += '\n\nThe automatic noise model and correction: '
        text += '; '.join(
            f'{one["stack"]}: {one["noise"]}, correlation {one["correlation"]:.2f}, '
            f'{one["correction"]}'
            for one in records
        )
        text += '.'
    return text + ('\n\n' + '\n'.join(notes) if notes else '')


def _number(record: Record, column: str) -> float | str:
    value: float | str = record[column]
    return float(record['auto']) if value == 'as auto' else value


def sweep(options: argparse.Namespace) -> None:
    """Run the comparison on every stack."""
    results = Results(render, settings_of(options), options.device, options.output)
    training = train_settings(options)
    for name, noisy, truth in stacks(options.folder, options.types):
        results.add(compare(name, noisy, truth, training))
    results.show()
