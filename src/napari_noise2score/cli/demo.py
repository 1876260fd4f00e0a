"""The demo: a synthetic stack with known truth, denoised, written out, and shown in napari."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.files import write_json, written_whole
from napari_noise2score.images.formats import write_image
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SyntheticStack, synthetic_stack
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.settings import DenoiseSettings, TrainSettings

SYSTEM_PACKAGES = (
    'libegl1 libgl1 libgl1-mesa-dri libglx-mesa0 libxkbcommon-x11-0 libxcb-cursor0 libdbus-1-3 '
    'libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 '
    'libxcb-xinerama0 libxcb-xkb1 libfontconfig1'
)


FILES = NOISY, CLEAN, TRUTH, COMPARISON, REPORT = (
    'noisy.tif',
    'denoised.tif',
    'truth.tif',
    'comparison.png',
    'report.json',
)
"""What the demo writes."""


def run_demo(
    folder: Path,
    training: TrainSettings,
    *,
    viewer: bool,
    run: Callable[[Any], Any],
    say: Callable[[str], None] = print,
) -> int:
    """Denoise a synthetic stack of filaments; returns the exit status.

    Parameters
    ----------
    folder : Path
        Where the images, a comparison and the report go; made if it is not there.
    training : TrainSettings
        How to train.
    viewer : bool
        Whether to open napari where there is a display.
    run : callable
        Runs a generator of progress to its end and returns what it returns.
    say : callable
        Takes what is to be told, line by line.
    """
    sample = synthetic_stack('filaments', seed=training.seed)
    say(f'Synthetic stack {sample.noisy.shape}, {sample.noise}.')
    say(f'Training the score for {training.seconds:g} s on the noisy stack alone ...')
    source = ImageSource(sample.noisy, 'TYX', 'filaments.tif')
    result = run(single(denoise_steps([source], DenoiseSettings(training=training))))
    before, after = psnr(sample.noisy, sample.truth), psnr(result.image, sample.truth)
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / NOISY, sample.noisy, 'TYX')
    write_image(folder / CLEAN, result.image, 'TYX', record=result.report)
    write_image(folder / TRUTH, sample.truth, 'YX')
    _write_comparison(folder / COMPARISON, sample, result)
    write_json(folder / REPORT, {**result.report, 'psnr': {'noisy': before, 'clean': after}})
    say(f'Noise found:  {result.corrected.families[0]}')
    say(f'PSNR against the known truth: {before:.1f} dB noisy, {after:.1f} dB denoised')
    say(f'Written to {folder}{os.sep}: {" ".join(FILES)}')
    return show(folder / NOISY, folder / CLEAN, say) if viewer else 0


def psnr(image: NDArray[Any], truth: NDArray[Any]) -> float:
    """PSNR in dB of (T, Y, X) against (Y, X), with the range of the truth."""
    error = np.mean((np.asarray(image, np.float64) - truth) ** 2)
    return float(10 * np.log10(np.ptp(truth) ** 2 / error))


def _write_comparison(path: Path, sample: SyntheticStack, result: Denoised) -> None:
    """Noisy, denoised, truth and what was removed, side by side."""
    from PIL import Image

    noisy, clean, truth = sample.noisy[0], result.image[0], sample.truth
    low, high = np.percentile(truth, 0.1), np.percentile(truth, 99.9)
    spread = 4 * np.std(noisy - clean)
    shown = [(image - low) / (high - low) for image in (noisy, clean, truth)]
    shown.append((noisy - clean) / spread + 0.5)
    panel = np.concatenate([np.pad(image, 4, constant_values=1.0) for image in shown], axis=1)
    picture = Image.fromarray((255 * np.clip(panel, 0, 1)).astype(np.uint8))
    with written_whole(path) as part:
        picture.save(part, format='PNG')


def has_display() -> bool:
    """Whether a window can be opened here, as far as the environment tells."""
    if sys.platform in ('win32', 'darwin'):
        return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def show(
    noisy: Path,
    clean: Path,
    say: Callable[[str], None] = print,
    *,
    display: bool | None = None,
) -> int:
    """Open both in napari with the panel, if there is a ``display`` and napari."""
    if not (has_display() if display is None else display):
        say('No display: look at comparison.png, or open the TIFF files in napari.')
        return 0
    if importlib.util.find_spec('napari') is None:
        say("napari is not installed; pip install 'napari-noise2score[all]' brings it.")
        return 0
    say('Opening napari; close its window to end.')
    napari = [sys.executable, '-m', 'napari', str(noisy), str(clean)]
    status = subprocess.call([*napari, '--with', 'napari-noise2score'])
    if status:
        print(
            f'napari could not be opened (status {status}). On a bare Linux server it needs: '
            f'apt-get install {SYSTEM_PACKAGES}',
            file=sys.stderr,
        )
    return 1 if status else 0
