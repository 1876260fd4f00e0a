"""Whether a wheel runs in a new environment that has its base dependencies and nothing else.

    python .ci/try_wheel.py DIST

The environment is made with uv, with the versions of constraints.txt, and removed at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / 'constraints.txt'
NOISY = """
import numpy as np, tifffile
rows = 20 + 10 * np.sin(np.arange(64) / 5)
noisy = np.random.default_rng(0).poisson(np.tile(rows, (64, 1)))
tifffile.imwrite('noisy.tif', noisy.astype('uint16'))
"""
LIGHT = """
import sys, napari_noise2score
heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'PySide6', 'magicgui', 'superqt'} & set(sys.modules)
assert not heavy, heavy
assert 'site-packages' in napari_noise2score.__file__, napari_noise2score.__file__
"""
BASE_ONLY = """
from importlib.util import find_spec
extra = [name for name in ('napari', 'npe2', 'zarr', 'dask', 'PyQt6', 'pytest') if find_spec(name)]
assert not extra, extra
"""
CLEAN = """
import tifffile
noisy, clean = (tifffile.imread(f'{name}.tif') for name in ('noisy', 'clean'))
assert clean.shape == noisy.shape and clean.std() < noisy.std(), (clean.shape, clean.std())
assert abs(clean.mean() - noisy.mean()) < 0.5, (clean.mean(), noisy.mean())
"""
MANIFEST = """
from npe2 import PluginManager
manager = PluginManager.instance()
manager.discover()
manifest = manager.get_manifest('napari-noise2score')
assert manifest.display_name == 'Noise2Score' and manifest.contributions.widgets, manifest
"""


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / 'venv' / ('Scripts' if os.name == 'nt' else 'bin')
        inherited = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
        # uv has its own name for where further packages lie.
        places = {'UV_FIND_LINKS': os.environ.get('PIP_FIND_LINKS', '')}
        self._variables = {**places, **inherited}

    def run(self, *words: str | Path) -> None:
        """Run a command in the folder; say how long it took."""
        begin = time.perf_counter()
        said = subprocess.run(
            list(map(str, words)),
            cwd=self.folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = [line for word in words for line in str(word).strip().splitlines()[:1]]
        print(f'{time.perf_counter() - begin:5.1f} s  {" ".join(lines)[:90]}', flush=True)
        if said.returncode:
            raise SystemExit(f'failed ({said.returncode}):\n{said.stdout}')

    def python(self, code: str) -> None:
        """Run code."""
        self.run(self.programs / 'python', '-c', code)

    def program(self, *words: str) -> None:
        """Run the command of the wheel."""
        self.run(self.programs / 'napari-noise2score', *words)

    def install(self, *what: str | Path) -> None:
        """Install packages with the tested versions of their dependencies."""
        python = self.programs / 'python'
        self.run('uv', 'pip', 'install', '-q', '-c', CONSTRAINTS, '--python', python, *what)


def main() -> None:
    (wheel,) = Path(sys.argv[1]).resolve().glob('*.whl')
    with tempfile.TemporaryDirectory() as name:
        environment = Environment(Path(name))
        environment.run('uv', 'venv', '-q', '--python', sys.executable, 'venv')
        environment.install(wheel)
        environment.python(BASE_ONLY)
        environment.python(LIGHT)
        environment.program('--version')
        environment.python(NOISY)
        environment.program('estimate', 'noisy.tif')
        quick = ('--axes', 'YX', '--seconds', '0', '--device', 'cpu')
        environment.program('denoise', 'noisy.tif', '--output', 'clean.tif', *quick)
        environment.python(CLEAN)
        environment.install('npe2')
        environment.python(MANIFEST)
        environment.run(environment.programs / 'npe2', 'validate', 'napari-noise2score')


if __name__ == '__main__':
    main()
