"""Messages that the documentation explains are messages of the program."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPOSED = {
    'PNG is not written, only read',
    'exists already, made with other settings',
    'hold no noise ... returned as they are',
    'images are written as .tif',
    'it is not a TIFF file',
    'name 2 axes; the image has 3',
    'not a napari-noise2score model file',
    'unrecognized arguments',
}
"""Messages that are made of parts, or by argparse; tests of what makes them have their words."""


@cache
def texts() -> list[str]:
    """All texts in the program; for what is filled in there are three dots."""
    found = []
    for path in (ROOT / 'src').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    str(getattr(part, 'value', '')) if isinstance(part, ast.Constant) else '...'
                    for part in node.values
                ]
                found.append(''.join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return [' '.join(text.lower().split()) for text in found]


def explained() -> list[str]:
    """The messages in the table of the short page, and in the list of the guide."""
    page = (ROOT / 'docs' / 'how-to' / 'refused-file.md').read_text(encoding='utf-8')
    guide = (ROOT / 'docs' / 'guide.md').read_text(encoding='utf-8')
    listed = guide.partition('## When something is refused')[2].partition('\n## ')[0]
    cells = re.findall(r'^\| (\*.*?) \|', page, re.M)
    begins = re.findall(r'^\* (\*[^:]*?):', listed, re.M | re.S)
    return [
        ' '.join(one.split())
        for text in (*cells, *begins)
        for one in re.findall(r'\*([^*]+)\*', ' '.join(text.split()))
    ]


@pytest.mark.parametrize('message', sorted(set(explained()) - COMPOSED))
def test_a_message_that_is_explained_is_one_of_the_program(message):
    pattern = '.*'.join(re.escape(part.strip()) for part in message.lower().split('...'))
    assert any(re.search(pattern, text) for text in texts()), message


@pytest.mark.parametrize(
    'message',
    [
        'no such file',
        'not a readable TIFF',
        'it is not a TIFF file',
        'JPEG is not read',
        'images are written as .tif',
        'unrecognized arguments',
        'the frames differ by more than noise',
        'stand out from all their neighbours',
    ],
)
def test_what_beginners_meet_is_explained_on_both_pages(message):
    assert explained().count(message) == 2
