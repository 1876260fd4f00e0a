"""Markdown that Qt can read: without HTML, after which it drops the rest of a page."""

from __future__ import annotations

import re

_CODE = re.compile(
    r'^[ \t]*(?P<fence>```+|~~~+).*?^[ \t]*(?P=fence)[ \t]*$'
    r'|(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?P=ticks)(?!`)',
    re.DOTALL | re.MULTILINE,
)
"""A block between fences, or code in a line, which may wrap but not leave its paragraph."""
_ANCHOR = re.compile(r'<a\s+(?:id|name)="([^"]+)"\s*>\s*(?:</a>)?[\s#*_]*([^\n*_`\[]+)')
_COMMENT = re.compile(r'<!--.*?-->', re.DOTALL)
_IMAGE = re.compile(r'<img\s[^>]*?src="([^"]+)"[^>]*>', re.IGNORECASE)
_TAG = re.compile(r'</?[a-z][\w-]*(?:\s[^<>]*)?/?>', re.IGNORECASE)
_ALERT = re.compile(r'\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]')


def without_html(text: str) -> str:
    """A page without its HTML; images and the text between tags stay, and so does all code.

    Titles of GitHub's alerts (``[!NOTE]``) become words.
    """
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_plain(text[end : code.start()]), code.group()]
        end = code.end()
    return ''.join([*parts, _plain(text[end:])])


def anchors(text: str) -> dict[str, str]:
    """The first words of the paragraphs that begin with a name for links, ``<a id="name">``."""
    return {name: words.strip() for name, words in _ANCHOR.findall(text)}


def _plain(text: str) -> str:
    text = _IMAGE.sub(r'![image](\1)', _COMMENT.sub('', text))
    text = _ALERT.sub(lambda found: f'**{found[1].capitalize()}.**', text)
    return _TAG.sub('', re.sub(r'<br\s*/?>', ' ', text, flags=re.IGNORECASE))
