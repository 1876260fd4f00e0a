"""VST + BM3D with our blind noise estimate: the classical rival on independent noise.

    python benchmarks/vst_bm3d.py FOLDER [--types A,B] [--output FOLDER]

Needs the `bm3d` package (dependency group `bench`). Each frame is taken to the unit-noise
coordinate of the estimated noise, denoised by BM3D with a standard deviation of 1, and brought
back by the exact unbiased inverse (Makitalo & Foi 2013).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import bm3d
import numpy as np
import tifffile
from numpy.typing import NDArray
from stacks import psnr, stacks

from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import PreparedChannel


def vst_bm3d(channel: PreparedChannel) -> NDArray[np.float32]:
    """Clean planes (N, Y, X) of a channel, grey levels."""
    planes = (channel.plane(i).astype(np.float64) for i in range(channel.shape[0]))
    clean = [channel.table.clean_value(bm3d.bm3d(plane, 1.0)) for plane in planes]
    return np.stack(clean).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--types', default='all')
    parser.add_argument('--output', type=Path, help='keep the results here')
    options = parser.parse_args()
    if options.output:
        options.output.mkdir(exist_ok=True)
    scores = []
    print(f'{"stack":18s} {"raw":>6s} {"psnr":>6s} {"sec":>6s}   noise')
    for name, noisy, truth in stacks(options.folder, options.types):
        begin = time.perf_counter()
        (channel,) = model_noise(ImageSource(noisy, 'TYX', name)).channels
        result = vst_bm3d(channel)
        seconds = time.perf_counter() - begin
        scores.append(psnr(result, truth))
        if options.output:
            tifffile.imwrite(options.output / f'{name}.tif', result, metadata={'axes': 'TYX'})
        raw = psnr(noisy, truth)
        print(
            f'{name:18s} {raw:6.2f} {scores[-1]:6.2f} {seconds:6.1f}   {channel.family}',
            flush=True,
        )
    print(f'MEAN psnr {np.mean(scores):.2f}')


if __name__ == '__main__':
    main()
