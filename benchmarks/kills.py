"""What is left of a command that is killed at a random moment, and of its continuation.

    python benchmarks/kills.py [--kills 20] [--steps 40] [--size 192] [--seed 0]
    python benchmarks/kills.py --shared 50

The first: a stack of three frames is denoised into a TIFF and into an OME-Zarr, once without an
interruption. Then the same command is killed (SIGKILL) at moments that are drawn evenly between
its start and its end: while it loads, trains, corrects or writes. After each kill every output
must be whole (equal to the uninterrupted one) or absent; then ``--resume`` continues, and the
result must be equal, bit for bit, to the uninterrupted one.

The second: two processes denoise one folder of so many images at the same time. How many images
each of them did, and whether each image was done once.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.model import ScoreModel

COMMAND = ['napari-noise2score', 'denoise']
GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'TYX'}}


def pixels(path: Path) -> NDArray[np.float32]:
    """All grey levels of a result."""
    if path.suffix == '.zarr':
        return np.asarray(zarr.open_group(path, mode='r')['0'][...])
    return np.asarray(tifffile.imread(path))


def call(source: Path, folder: Path, suffix: str, steps: int) -> list[str]:
    """The command that makes a result and saves the model."""
    output, model = folder / f'clean{suffix}', folder / 'model.safetensors'
    return [
        *COMMAND,
        *(str(source), '--output', str(output), '--model-out', str(model)),
        *('--steps', str(steps), '--save-every', '0.2', '--device', 'cpu'),
    ]


def run(words: list[str]) -> float:
    """Run a command to its end; the seconds that it took."""
    begin = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f'{" ".join(words)}\n{done.stderr}')
    return time.perf_counter() - begin


def killed_after(words: list[str], seconds: float) -> bool:
    """Start a command and kill it; False if it had ended before."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return True
    return False


def weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The weights of a saved model."""
    state = ScoreModel.load(path).network.state_dict()
    return {name: weight.numpy() for name, weight in state.items()}


def same_model(path: Path, other: Path) -> bool:
    """Whether two files have the same weights."""
    one, two = weights(path), weights(other)
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def phase(folder: Path, output: Path) -> str:
    """What a killed command was at, from what it has left."""
    if output.exists():
        return 'after writing'
    if (folder / 'model.safetensors').exists():
        return 'after training'
    return 'training' if any(folder.glob('*.resume/*')) else 'before the first saved step'


def kills(options: argparse.Namespace, folder: Path) -> bool:
    """Kill and resume; whether nothing was wrong."""
    rng = np.random.default_rng(options.seed)
    source = folder / 'noisy.tif'
    stack = synthetic_stack('puncta', frames=3, size=options.size, seed=1).noisy
    tifffile.imwrite(source, stack, **GREY)
    fine = True
    for suffix in ('.tif', '.zarr'):
        whole = folder / f'whole{suffix}'
        whole.mkdir()
        seconds = run(call(source, whole, suffix, options.steps))
        expected, model = pixels(whole / f'clean{suffix}'), whole / 'model.safetensors'
        phases: Counter[str] = Counter()
        faults: list[str] = []
        for number, moment in enumerate(rng.uniform(0, seconds, options.kills)):
            here = folder / f'{number}{suffix}'
            here.mkdir()
            output = here / f'clean{suffix}'
            words = call(source, here, suffix, options.steps)
            was_killed = killed_after(words, moment)
            phases[phase(here, output) if was_killed else 'ended before'] += 1
            if output.exists() and not np.array_equal(pixels(output), expected):
                faults.append(f'{number}: output is not whole')
            if (here / model.name).exists() and not same_model(here / model.name, model):
                faults.append(f'{number}: model is not whole')
            again = ['--overwrite'] if suffix == '.zarr' and output.exists() else []
            run([*words, '--resume', *again])
            if not np.array_equal(pixels(output), expected):
                faults.append(f'{number}: resumed result is different')
            if not same_model(here / model.name, model):
                faults.append(f'{number}: resumed model is different')
            shutil.rmtree(here)
        told = ', '.join(f'{count} {name}' for name, count in phases.items())
        print(f'{suffix}: {seconds:.1f} s without interruption; killed: {told}')
        print(
            f'{suffix}: {len(faults)} faults in {options.kills} kills {faults or ""}', flush=True
        )
        fine = fine and not faults
    return fine


def shared(options: argparse.Namespace, folder: Path) -> bool:
    """Two processes on one folder; whether each image was done once."""
    noisy, clean = folder / 'noisy', folder / 'clean'
    noisy.mkdir()
    stack = synthetic_stack('puncta', frames=options.shared, size=64, seed=1).noisy
    for number, frame in enumerate(stack):
        tifffile.imwrite(noisy / f'{number:02}.tif', frame, photometric='minisblack')
    words = [*COMMAND, str(noisy), '--output', str(clean), '--model-per', 'image']
    words += ['--seconds', '0', '--device', 'cpu']
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[0] for process in both]
    done = [len(re.findall(r'\bfile \d+ of .*: done in ', text, re.MULTILINE)) for text in told]
    rows = list(csv.DictReader((clean / 'denoised.csv').open()))
    finished = Counter(row['input'] for row in rows if row['status'] == 'done')
    outputs = len(list(clean.glob('*.tif')))
    left = [path.name for path in clean.iterdir() if path.name.startswith('.')]
    print(
        f'{options.shared} images: {outputs} results; done by the two: {done}; left over: {left}'
    )
    print(f'rows of the table: {len(rows)}, most of one image: {max(finished.values())}')
    return outputs == options.shared == sum(done) and not left


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--steps', type=int, default=40)
    parser.add_argument('--size', type=int, default=192)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--shared', type=int, default=0, help='images that two processes share')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fine = (shared if options.shared else kills)(options, Path(folder))
    raise SystemExit(0 if fine else 1)


if __name__ == '__main__':
    main()
