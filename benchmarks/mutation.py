"""Are the formulas guarded by the tests? Each sign and constant is changed, one at a time.

    python benchmarks/mutation.py            # about ten minutes
    python benchmarks/mutation.py tweedie    # one module

For every arithmetic operator and every number in the listed modules, a copy of the source with
that one thing changed is tested; a mutant that passes is printed. Works on a temporary copy.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'src/napari_noise2score'
MINIMA = 'tests/score/test_loss_minima.py'
TARGETS = {
    'tweedie': ('noise/formulas.py', ['tests/noise/test_tweedie.py']),
    'coordinates': ('noise/coordinates.py', ['tests/noise/test_coordinates.py']),
    'families': ('noise/families/photons.py', ['tests/noise/test_families.py']),
    'gamma': ('noise/families/gamma.py', ['tests/noise/test_families.py']),
    'compound': ('noise/families/compound.py', ['tests/noise/test_families.py']),
    'correct': ('noise/local_score.py', ['tests/noise/test_correct.py']),
    'loss': ('score/loss/ardae.py', ['tests/score/test_loss.py', MINIMA]),
    'sliced': ('score/loss/sliced.py', ['tests/score/test_loss.py', MINIMA]),
    'denoiser': ('score/denoiser.py', ['tests/score/test_denoiser.py']),
    'light': ('score/light_changes.py', ['tests/score/test_light_changes.py']),
    'reading': ('score/parameterisation.py', ['tests/score/test_loss.py']),
    'tiling': ('score/tiling.py', ['tests/score/test_tiling.py']),
}
QUICK = {'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1', 'OMP_NUM_THREADS': '1'}
SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}


def places(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything that can be changed, in a fixed order; annotations and docstrings excepted."""
    for node in ast.walk(tree):
        operator = isinstance(node, ast.BinOp) and type(node.op) in SWAPS
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if operator or minus or number:
            yield node


def change(node: ast.AST) -> str:
    """Change a node in place; says what was done."""
    before = ast.unparse(node)
    if isinstance(node, ast.BinOp):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Constant):
        node.value = node.value * 2 if node.value else 1
    return f'{before}  ->  {ast.unparse(node)}'


def survivors(name: str) -> tuple[int, list[str]]:
    """Number of mutants of a module, and those that no test noticed."""
    module, tests = TARGETS[name]
    source = (ROOT / PACKAGE / module).read_text()
    total = len(list(places(ast.parse(source))))
    alive = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / 'src', copy / 'src')
        shutil.copytree(ROOT / 'tests', copy / 'tests')
        shutil.copy(ROOT / 'pyproject.toml', copy)
        for number in range(total):
            tree = ast.parse(source)
            node = list(places(tree))[number]
            line, what = getattr(node, 'lineno', 0), change(node)
            (copy / PACKAGE / module).write_text(ast.unparse(tree))
            run = subprocess.run(
                [
                    sys.executable,
                    '-m',
                    'pytest',
                    '-qx',
                    '-p',
                    'no:cacheprovider',
                    '-W',
                    'default',
                    *tests,
                ],
                cwd=copy,
                env={**os.environ, 'PYTHONPATH': str(copy / 'src'), **QUICK},
                capture_output=True,
                timeout=600,
            )
            if run.returncode == 0:
                alive.append(f'{module}:{line}: {what}')
                print('  survived', alive[-1], flush=True)
    return total, alive


def main() -> None:
    for name in sys.argv[1:] or TARGETS:
        total, alive = survivors(name)
        print(f'{name}: {total - len(alive)} of {total} mutants caught', flush=True)


if __name__ == '__main__':
    main()
