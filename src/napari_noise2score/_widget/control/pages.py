"""The pages of the help: which the panel opens, and where they are on the disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_INSTALLED = _PACKAGE / '_pages'
"""Where `setup.py` puts the pages of a wheel."""


class Page(StrEnum):
    """The pages that the panel opens, by their names in the folder ``docs``."""

    START = 'first-steps.md'
    PANEL = 'panel.md'
    GUIDE = 'guide.md'
    AXES = 'how-to/axes.md'
    NOISE = 'how-to/which-noise.md'
    CORRELATION = 'how-to/correlated.md'
    CONTEXT = 'how-to/weak-events.md'
    QUALITY = 'how-to/trust.md'
    SPEED = 'how-to/faster.md'
    MEMORY = 'how-to/memory.md'
    REFUSED = 'how-to/refused-file.md'


_FIRST = (Page.START, Page.GUIDE)
"""Pages to start with, the best one first."""

_OF_ERRORS = (
    (r'memory', Page.MEMORY),
    (r'\baxes\b|\baxis\b', Page.AXES),
    (r'\bnoise\b|\bgain\b|\boffset\b', Page.NOISE),
)
"""Words of an error, and the page that says what to do."""


class Pages:
    """A folder of pages.

    Parameters
    ----------
    folder : Path, optional
        The folder; by default that of the source checkout, else that of the installed package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = _folder() if folder is None else folder

    def find(self, name: str) -> Path | None:
        """The file of a page; None if there is none of this name in the folder."""
        path = (self.folder / name.partition('#')[0]).resolve()
        inside = path.is_relative_to(self.folder.resolve())
        return path if inside and path.suffix == '.md' and path.is_file() else None

    @property
    def start(self) -> Path | None:
        """The page to start with; None if no page is installed."""
        return next(filter(None, map(self.find, _FIRST)), None)

    def name_of(self, path: Path) -> str:
        """A file as the pages name it, also one that is not there or not in the folder."""
        path, folder = path.resolve(), self.folder.resolve()
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def page_of_error(text: str) -> Page:
    """The page that says what to do after an error."""
    found = (page for words, page in _OF_ERRORS if re.search(words, text, re.IGNORECASE))
    return next(found, Page.REFUSED)


def slugs(headings: Iterator[str]) -> Iterator[str]:
    """Names of headings in links, as GitHub makes them; a repeated one gets a number."""
    used: dict[str, int] = {}
    for heading in headings:
        slug = re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')
        count = used.get(slug, 0)
        used[slug] = count + 1
        yield f'{slug}-{count}' if count else slug


def _folder() -> Path:
    repository = _PACKAGE.parents[1]
    checkout = repository / 'docs'
    is_checkout = (repository / 'pyproject.toml').is_file() and (checkout / Page.GUIDE).is_file()
    return checkout if is_checkout else _INSTALLED
