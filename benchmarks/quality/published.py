"""Noise of Noise2Score's own experiments and what was published for it.

Kim & Ye, NeurIPS 2021, table of the authors' repository: PSNR in dB on Set12 and BSD68, grey
images of 0 to 1, clean estimates clipped to 0..1, neither rounded; noisy images not clipped.
Everything there was trained on DIV2K and BSD400, Noise2Score for ten hours on a GTX 1080 Ti.

`REPRODUCED` is what others reached who trained the method anew (angelac345/Noise2Score-Reproduce):
one figure for Set12 and for CBSD68, the colour version of BSD68.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_noise2score.noise.families import Gamma, Gaussian, NoiseFamily, Poisson

METHODS = ('Noise2Score', 'Noise2Score, blind', 'BM3D', 'Noise2Void', 'Noise2Noise')
REPRODUCED = 'Noise2Score-Reproduce'

Row = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One noise and the published PSNR.

    Attributes
    ----------
    label : str
        As in the paper.
    noise : NoiseFamily
        The noise, for clean values of 0 to 1.
    set12, bsd68 : tuple of float or None
        Published dB on these images, in the order of `METHODS`; BM3D is behind an Anscombe
        transform for Poisson.
    reproduced : float, optional
        dB on Set12, and on CBSD68, of `REPRODUCED`.
    """

    label: str
    noise: NoiseFamily
    set12: Row
    bsd68: Row
    reproduced: float | None = None


EXPERIMENTS: Mapping[str, Experiment] = {
    'gaussian25': Experiment(
        'Gaussian, σ = 25/255',
        Gaussian(25 / 255),
        (30.13, 30.08, 29.96, 27.56, 30.33),
        (29.12, 28.95, 28.59, 26.77, 29.18),
        reproduced=23.0,
    ),
    'gaussian50': Experiment(
        'Gaussian, σ = 50/255',
        Gaussian(50 / 255),
        (27.16, 26.65, 26.33, 24.68, 27.20),
        (26.21, 25.81, 25.62, 24.34, 26.27),
    ),
    'poisson0.01': Experiment(
        'Poisson, ζ = 0.01',
        Poisson(0.01, 0.0),
        (31.58, 31.42, 31.20, 30.06, 31.70),
        (30.81, 30.63, 30.51, 28.73, 30.89),
    ),
    'poisson0.05': Experiment(
        'Poisson, ζ = 0.05',
        Poisson(0.05, 0.0),
        (27.86, 27.76, 27.54, 27.21, 28.02),
        (27.12, 26.77, 26.77, 26.12, 27.23),
    ),
    'gamma100': Experiment(
        'Gamma, k = 100',
        Gamma(100.0),
        (33.01, 32.89, None, 30.54, 33.21),
        (32.67, 32.54, None, 29.32, 32.87),
    ),
    'gamma50': Experiment(
        'Gamma, k = 50',
        Gamma(50.0),
        (30.87, 30.83, None, 27.36, 31.68),
        (30.53, 30.42, None, 26.98, 31.10),
    ),
}
