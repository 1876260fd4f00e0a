"""Seconds to correct a 4 x 512 x 512 stack again from its learned score, by form.

python benchmarks/recorrect.py
"""

from __future__ import annotations

import time

from napari_noise2score import DenoiseSettings, TrainSettings, correct_image, denoise
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest


def main() -> None:
    stack = synthetic_stack('filaments')
    settings = DenoiseSettings(training=TrainSettings(seconds=None, steps=20))
    score_map = denoise(stack.noisy, 'TYX', settings).score_map
    for noise in (
        NoiseRequest(),
        NoiseRequest('gaussian'),
        NoiseRequest('poisson', {'gain': 5.0}),
    ):
        for form in Correction:
            begin = time.perf_counter()
            correct_image(score_map, noise, form)
            print(f'{noise.family:18s} {form:12s} {time.perf_counter() - begin:.2f} s')


if __name__ == '__main__':
    main()
