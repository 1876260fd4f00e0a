"""Whether a built site needs no network, and whether its links lead somewhere.

python docs/check_site.py docs/_build/html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    ('script', 'src'),
    ('img', 'src'),
    ('link', 'href'),
    ('iframe', 'src'),
    ('source', 'src'),
}
NOT_LOADED = {'canonical', 'index', 'next', 'prev', 'search'}
"""Kinds of link elements that a browser does not follow by itself."""


class Page(HTMLParser):
    """Targets and links of a page.

    Attributes
    ----------
    ids : set of str
        Places in it.
    links : list of (str, bool)
        Addresses, and whether the browser loads them by itself.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, bool]] = []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ('id', 'name') if (value := given.get(name))}
        for name in ('href', 'src'):
            address = given.get(name)
            if address:
                loads = (tag, name) in LOADED and given.get('rel') not in NOT_LOADED
                self.links.append((address, loads))


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with a site, in words."""
    pages = {path.resolve(): Page(path) for path in folder.rglob('*.html')}
    for path, page in pages.items():
        if '_static' in path.parts:
            continue
        name = path.relative_to(folder.resolve())
        for address, loads in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if loads and parts.scheme != 'data':
                    yield f'{name}: loads {address}'
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f'{name}: {address} does not exist'
            elif target in pages and parts.fragment and parts.fragment not in pages[target].ids:
                yield f'{name}: there is no place {address}'


def main() -> int:
    found = list(faults(Path(sys.argv[1])))
    print('\n'.join(found) or 'every link leads somewhere, and nothing is loaded from the network')
    return bool(found)


if __name__ == '__main__':
    sys.exit(main())
