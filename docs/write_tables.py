"""Writes the tables in docs/quality from the figures beside them, after a change of their form.

python docs/write_tables.py

docs/quality/NAME.json is what benchmarks/quality/NAME.py found. A table without figures stays as
it is.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / 'quality'
BENCHMARKS = Path(__file__).parents[1] / 'benchmarks' / 'quality'


def tables() -> Iterator[tuple[Path, str]]:
    """The Markdown files, and what has to be in them."""
    sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent)]
    try:
        markdown_of = importlib.import_module('results').markdown_of
        for path in sorted(FOLDER.glob('*.json')):
            found = json.loads(path.read_text(encoding='utf-8'))
            render = importlib.import_module(path.stem).render
            yield path.with_suffix('.md'), markdown_of(found, render)
    finally:
        del sys.path[:2]


def main() -> None:
    for path, text in tables():
        path.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
