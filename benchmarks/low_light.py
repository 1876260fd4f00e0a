"""The forms of the correction at low light: with the true score, and with a learned one.

    python benchmarks/low_light.py [--photons 0.3,1,3,10,100] [--seconds 20]

First pixels whose photon rates are gamma-distributed and independent: their density is known, so
the exact chain and the paper's first-order form get the true score, beside the ideal, the
posterior mean. Errors are mean squared, in squared photons. Then a synthetic scene of filaments
(4 x 256 x 256, brightest pixel at so many photons): PSNR in dB of every form from one learned
score, with the risk that was estimated without the truth.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import special, stats

from napari_noise2score import DenoiseSettings, TrainSettings, correct_image, denoise
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.local_score import Correction

GAIN, OFFSET, READ_NOISE, SHAPE = 4.0, 20.0, 1.2, 3.0
FORMS = (Correction.CHAINED, Correction.PAPER, Correction.STABILISED)


def known(photons: float, pixels: int = 20_000) -> tuple[float, float, float]:
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
    ideal_error, chain_error, paper_error = (
        float(np.mean((clean - rate) ** 2)) for clean in (ideal, chain / GAIN, paper / GAIN)
    )
    return ideal_error, chain_error, paper_error


def learned(photons: float, seconds: float) -> str:
    """PSNR and risk of every form, as a row of a table."""
    noise = PoissonGaussian(GAIN, OFFSET, READ_NOISE)
    stack = synthetic_stack('filaments', frames=4, size=256, photons=photons, noise=noise, seed=1)
    truth = stack.truth

    def psnr(image: np.ndarray) -> float:
        return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((image - truth) ** 2)))

    settings = DenoiseSettings(training=TrainSettings(seconds=seconds))
    result = denoise(stack.noisy, 'TYX', settings)
    cells = [f'{psnr(stack.noisy):.2f}']
    for form in FORMS:
        image = correct_image(result.score_map, None, form)
        risk = image.risks[form]
        cells.append(f'{psnr(image.image):.2f} ({risk.value:.3f} +- {risk.standard_error:.3f})')
    return ' | '.join([*cells, str(result.corrected.correction)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--photons', default='0.3,1,3,10,100', help='light levels, with commas')
    parser.add_argument('--seconds', type=float, default=20.0, help='training time of each')
    options = parser.parse_args()
    levels = [float(photons) for photons in options.photons.split(',')]
    print('True score: mean squared error, squared photons\n')
    print('| photons | ideal | exact chain | paper | chain / ideal | paper / ideal |')
    print('|---|---|---|---|---|---|')
    for photons in levels:
        ideal, chain, paper = known(photons)
        print(
            f'| {photons:g} | {ideal:.4f} | {chain:.4f} | {paper:.4f} | {chain / ideal:.4f} '
            f'| {paper / ideal:.4f} |'
        )
    print('\nLearned score: PSNR, dB (estimated risk, noise variances)\n')
    print('| photons | noisy | exact chain | paper | stabilised | chosen |')
    print('|---|---|---|---|---|---|')
    for photons in levels:
        print(f'| {photons:g} | {learned(photons, options.seconds)} |', flush=True)


if __name__ == '__main__':
    main()
