"""Commands in the documentation: the program accepts them, and those of the tutorials work."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import tifffile

from napari_noise2score.cli import _parser, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
TUTORIALS = sorted((ROOT / 'docs' / 'tutorials').glob('*.md'))
PROGRAM = 'napari-noise2score'
UNTRAINED = {'--seconds': '0', '--steps': '0'}
PLANES, SIDE = 5, 48
CLUSTER = 'slurm.md'
"""Scripts for machines that are not here."""


class Block(NamedTuple):
    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'

    def lines(self) -> list[str]:
        """Its lines, continued ones joined."""
        return self.text.replace('\\\n', ' ').splitlines()

    def ours(self) -> Iterator[list[str]]:
        """Arguments of this program in them."""
        for line in self.lines():
            words = shlex.split(line, comments=True)
            for number, word in enumerate(words):
                if Path(word).name == PROGRAM:
                    yield _until_operator(words[number + 1 :])


def _until_operator(words: list[str]) -> list[str]:
    ends = [
        number for number, word in enumerate(words) if word in ('&', '&&', ';', '|', '>', '2>')
    ]
    return words[: min(ends, default=len(words))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding='utf-8')
    for found in re.finditer(r'^```(?:sh|bash)\n(.*?)^```', text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count('\n', 0, found.start()) + 2, found[1])


ALL = [block for page in PAGES for block in blocks(page)]
OURS = [(block.place, words) for block in ALL for words in block.ours()]


def test_commands_are_found():
    assert {words[0] for _, words in OURS if words} >= {'denoise', 'train', 'apply', 'report'}


@pytest.mark.parametrize(
    'words', [pytest.param(words, id=f'{place} {" ".join(words[:2])}') for place, words in OURS]
)
def test_the_program_knows_every_option(words, capsys):
    if not {'--help', '--version'} & set(words):
        assert _parser().parse_args(words) is not None, capsys.readouterr().err


@pytest.mark.parametrize('block', [pytest.param(b, id=b.place) for b in ALL])
def test_scripts_are_those_of_a_shell(block, tmp_path):
    script = tmp_path / 'script.sh'
    script.write_text(block.text, encoding='utf-8')
    subprocess.run(['bash', '-n', str(script)], check=True)


@pytest.mark.parametrize(
    'page',
    [
        pytest.param(page, id=page.stem)
        for page in TUTORIALS
        if page.name != CLUSTER and any(block.text for block in blocks(page))
    ],
)
def test_a_tutorial_works_as_it_stands(page, tmp_path, monkeypatch):
    """Its commands one after the other in an empty folder, without the time of a training."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        for line in block.lines():
            words = shlex.split(line, comments=True)
            if words and words[0] == PROGRAM:
                assert main([*_untrained(words[1:])]) == 0, f'{block.place}: {line}'
                if words[1] == 'sample':
                    _make_smaller(words[words.index('--output') + 1])
            else:
                subprocess.run(['bash', '-c', line], check=True)


def _make_smaller(name: str) -> None:
    """Keep a corner of a sample and of its truth, so that a tutorial takes seconds."""
    path = Path(name)
    for file in (path, path.with_stem(f'{path.stem}_truth')):
        with tifffile.TiffFile(file) as tiff:
            values, axes = tiff.asarray(), tiff.series[0].axes
        tifffile.imwrite(
            file, values[:PLANES, :SIDE, :SIDE], photometric='minisblack', metadata={'axes': axes}
        )


def _untrained(words: list[str]) -> Iterator[str]:
    before = ''
    for word in words:
        yield UNTRAINED.get(before, word)
        before = word
    if words[0] in ('denoise', 'train', 'apply'):
        yield from ('--device', 'cpu')
