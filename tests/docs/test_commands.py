"""Commands in the documentation: the program accepts them, and those of the tutorials work."""

from __future__ import annotations

import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import tifffile

from napari_noise2score.cli import _parser, main

pytestmark = pytest.mark.usefixtures('one_pass')

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'
PAGES = [ROOT / 'README.md', *sorted(DOCS.rglob('*.md'))]
TUTORIALS = sorted((DOCS / 'tutorials').glob('*.md'))
FOR_USERS = [
    ROOT / 'README.md',
    *(DOCS / name for name in ('first-steps.md', 'panel.md', 'guide.md')),
    *TUTORIALS,
    *sorted((DOCS / 'how-to').glob('*.md')),
]
PROGRAM = 'napari-noise2score'
UNTRAINED = {'--seconds': '0', '--steps': '0'}
PLANES, SIDE = 3, 40
ELSEWHERE = '/shared', 'sbatch', '--scheduler'
"""Words of commands for machines that are not here; tests/cluster has their like."""
OTHERS = {'--group', '--help', '--index-url', '--version'}
"""Options of pip, and of the program without a command."""
OPERATORS = '&', '&&', ';', '|', '>', '2>'


class Block(NamedTuple):
    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'

    @property
    def is_for_here(self) -> bool:
        return not any(word in self.text for word in ELSEWHERE)

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
    ends = [number for number, word in enumerate(words) if word in OPERATORS]
    return words[: min(ends, default=len(words))]


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    text = page.read_text(encoding='utf-8')
    fence = rf'^ *```(?:{"|".join(languages)})\n(.*?)^ *```'
    for found in re.finditer(fence, text, re.MULTILINE | re.DOTALL):
        line = text.count('\n', 0, found.start()) + 2
        yield Block(page, line, textwrap.dedent(found[1]))


def in_text(page: Path) -> Iterator[tuple[str, str]]:
    """Code in sentences, with its place."""
    text = page.read_text(encoding='utf-8')
    blank = re.sub(r'^ *```.*?^ *```', lambda m: '\n' * m[0].count('\n'), text, flags=re.M | re.S)
    for found in re.finditer(r'`([^`]+)`', blank):
        line = blank.count('\n', 0, found.start()) + 1
        yield f'{page.relative_to(ROOT)}:{line}', ' '.join(found[1].split())


ALL = [block for page in PAGES for block in blocks(page, 'sh', 'bash')]
OURS = [(block.place, words) for block in ALL for words in block.ours()]
NAMED = [
    (place, option)
    for page in FOR_USERS
    for place, code in in_text(page)
    for option in re.findall(r'(?<![\w-])--[a-z][a-z-]*', code)
    if option not in OTHERS
]


def test_commands_are_found():
    assert {words[0] for _, words in OURS if words} >= {'denoise', 'train', 'apply', 'report'}
    assert {option for _, option in NAMED} >= {'--context', '--recursive', '--correlation'}


@pytest.mark.parametrize(
    'words', [pytest.param(words, id=f'{place} {" ".join(words[:2])}') for place, words in OURS]
)
def test_the_program_knows_every_option(words, capsys):
    if not {'--help', '--version'} & set(words):
        assert _parser().parse_args(words) is not None, capsys.readouterr().err


def test_the_program_knows_the_options_in_sentences():
    commands = next(one for one in _parser()._actions if isinstance(one.choices, dict)).choices
    known = {name for one in commands.values() for name in one._option_string_actions}
    assert [f'{place}: {option}' for place, option in NAMED if option not in known] == []


@pytest.mark.parametrize('block', [pytest.param(b, id=b.place) for b in ALL])
def test_scripts_are_those_of_a_shell(block, tmp_path):
    script = tmp_path / 'script.sh'
    script.write_text(block.text, encoding='utf-8')
    subprocess.run(['bash', '-n', str(script)], check=True)


def test_python_that_is_no_example_can_be_read():
    """Examples with their results are run as doctests; all else is at least Python."""
    for page in PAGES:
        for block in blocks(page, 'python'):
            if '>>>' not in block.text:
                compile(block.text, block.place, 'exec')


@pytest.mark.parametrize(
    'page',
    [
        pytest.param(page, id=page.stem)
        for page in TUTORIALS
        if any(block.is_for_here for block in blocks(page, 'sh', 'bash'))
    ],
)
def test_a_tutorial_works_as_it_stands(page, tmp_path, monkeypatch):
    """Its commands one after the other in an empty folder, without the time of a training."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, 'sh', 'bash'):
        if not block.is_for_here:
            continue
        for line in block.lines():
            words = _until_operator(shlex.split(line, comments=True))
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


@pytest.mark.parametrize('page', ['README.md', 'docs/first-steps.md'])
def test_the_cpu_build_of_torch_is_the_one_that_the_constraints_keep(page):
    """Another version would be replaced by the build with CUDA."""
    constraints = (ROOT / 'constraints.txt').read_text().split()
    named = re.findall(r'pip install (torch\S*)', (ROOT / page).read_text())
    assert named
    assert set(named) <= set(constraints)
