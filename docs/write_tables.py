"""Writes the tables of measurements from the figures in docs/quality, after a change of either.

python docs/write_tables.py

docs/quality/NAME.json is what benchmarks/quality/NAME.py found, or NAME_PART.json a part of it. It
becomes the page docs/quality/NAME.md if there is one, and the text between the lines
``<!-- table NAME -->`` and ``<!-- end -->`` in every page of docs.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
FOLDER = DOCS / 'quality'
BENCHMARKS = DOCS.parent / 'benchmarks' / 'quality'
BLOCK = re.compile(r'(?<=<!-- table )(\w+)( -->\n).*?(?=<!-- end -->)', re.DOTALL)


def tables() -> Iterator[tuple[Path, str]]:
    """The Markdown files with tables, and what has to be in them."""
    sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS.parent)]
    try:
        found = {path.stem: _markdown(path) for path in sorted(FOLDER.glob('*.json'))}
    finally:
        del sys.path[:2]
    for page in sorted(DOCS.glob('*.md')):
        text = page.read_text(encoding='utf-8')
        if BLOCK.search(text):
            yield page, BLOCK.sub(lambda block: f'{block[1]}{block[2]}\n{found[block[1]]}\n', text)
    for name, text in found.items():
        if (page := FOLDER / f'{name}.md').exists():
            yield page, text


def _markdown(path: Path) -> str:
    results = importlib.import_module('results')
    benchmark = importlib.import_module(_benchmark(path.stem))
    found = json.loads(path.read_text(encoding='utf-8'))
    return str(results.markdown_of(found, benchmark.render))


def _benchmark(name: str) -> str:
    """The benchmark that wrote NAME.json or NAME_PART.json."""
    while not (BENCHMARKS / f'{name}.py').exists():
        name = name.rpartition('_')[0]
    return name


def main() -> None:
    for path, text in tables():
        path.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
