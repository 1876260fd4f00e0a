"""The forms of the correction at low light: with the true score, and with a learned one.

    python benchmarks/quality/low_light.py --seconds 20 [--photons 0.3,1,3,10,100]

First pixels whose photon rates are gamma-distributed and independent: their density is known, so
the exact chain and the paper's first-order form get the true score, beside the ideal, the
posterior mean. Errors are mean squared, in squared photons. Then a synthetic scene of filaments
(4 x 256 x 256, brightest pixel at so many photons): PSNR in dB of every form from one learned
score, with the risk that was estimated without the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from results import Record, Results, add_run_options, settings_of, table, train_settings
from scipy import special, stats

from napari_noise2score import DenoiseSettings, TrainSettings, correct_image, denoise
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.local_score import Correction

GAIN, OFFSET, READ_NOISE, SHAPE = 4.0, 20.0, 1.2, 3.0
FORMS = (Correction.CHAINED, Correction.PAPER, Correction.STABILISED)
_LARGE = 1000.0


def known(photons: float, pixels: int = 20_000) -> Record:
    """Mean squared error of the ideal, the chain and the paper's form, in squared photons."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(SHAPE, photons / SHAPE, pixels)
    y = GAIN * rng.poisson(rate) + rng.normal(0, READ_NOISE, pixels)
    top = int(photons * 8 + 12 * photons**0.5 + 60)
    counts = np.arange(top)
    b = SHAPE / photons
    log_weights = stats.nbinom(SHAPE, b / (1 + b)).logpmf(counts)

    def density(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log p, score, and mean number of photons, all at ``at``."""
        distance = at[:, None] - GAIN * counts
        log_parts = log_weights - distance**2 / (2 * READ_NOISE**2)
        log_p = special.logsumexp(log_parts, axis=1)
        share = np.exp(log_parts - log_p[:, None])
        return log_p, (share * -distance).sum(1) / READ_NOISE**2, (share * counts).sum(1)

    here, shifted = density(y), density(y + GAIN)
    ideal = (here[2] + SHAPE) / (1 + b)
    model = {'gain': GAIN, 'offset': 0.0, 'read_noise': READ_NOISE}
    chain = tweedie.poisson_gaussian_chained(y, shifted[1], shifted[0] - here[0], **model)
    paper = tweedie.poisson_gaussian_paper(y, here[1], **model)
    estimates = {'ideal': ideal, 'chained': chain / GAIN, 'paper': paper / GAIN}
    errors = {name: float(np.mean((clean - rate) ** 2)) for name, clean in estimates.items()}
    return {'score': 'true', 'photons': photons, **errors}


def learned(photons: float, size: int, training: TrainSettings) -> Record:
    """PSNR in dB of every form from one learned score, and its estimated risk."""
    noise = PoissonGaussian(GAIN, OFFSET, READ_NOISE)
    stack = synthetic_stack('filaments', frames=4, size=size, photons=photons, noise=noise, seed=1)
    truth = stack.truth

    def psnr(image: np.ndarray) -> float:
        return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((image - truth) ** 2)))

    # the comparison of forms is that of planes by themselves
    result = denoise(stack.noisy, 'TYX', DenoiseSettings(training=training, context='none'))
    record: Record = {'score': 'learned', 'photons': photons, 'noisy': psnr(stack.noisy)}
    for form in FORMS:
        image = correct_image(result.score_map, None, form)
        risk = image.risks[form]
        record[str(form)] = psnr(image.image)
        record[f'risk of {form}'] = [risk.value, risk.standard_error]
    return {**record, 'chosen': str(result.corrected.correction)}


def render(records: Sequence[Record]) -> str:
    """The true score; then the learned one."""
    true = [one for one in records if one['score'] == 'true']
    found = [one for one in records if one['score'] == 'learned']
    text = 'True score: mean squared error, squared photons.\n\n'
    rows = [
        [_number(one['photons']), *(f'{one[key]:.4g}' for key in ('ideal', 'chained', 'paper'))]
        for one in true
    ]
    text += table(['photons', 'ideal', 'exact chain', 'paper'], rows)
    text += '\n\nLearned score: PSNR in dB (estimated risk, noise variances).\n\n'
    rows = [
        [
            _number(one['photons']),
            one['noisy'],
            *(_form(one, form) for form in FORMS),
            one['chosen'],
        ]
        for one in found
    ]
    head = ['photons', 'noisy', 'exact chain', 'paper', 'stabilised', 'chosen']
    return text + table(head, rows)


def _number(value: float) -> str:
    return f'{value:g}'


def _form(record: Record, form: Correction) -> str:
    value, error = record[f'risk of {form}']
    risk = f'{value:.3f} +- {error:.3f}' if value < _LARGE else 'very large'
    return f'{record[str(form)]:.2f} ({risk})'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--photons', default='0.3,1,3,10,100', help='light levels, with commas')
    parser.add_argument('--size', type=int, default=256, help='of a frame, pixels')
    add_run_options(parser)
    options = parser.parse_args()
    levels = [float(photons) for photons in options.photons.split(',')]
    results = Results(render, settings_of(options), options.device, options.output)
    for photons in levels:
        results.add(known(photons))
    for photons in levels:
        results.add(learned(photons, options.size, train_settings(options)))
    results.show()


if __name__ == '__main__':
    main()
