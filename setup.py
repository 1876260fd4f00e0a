"""Puts the pages of the help into the package; all else is in pyproject.toml."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DOCS = Path('docs')
OF_THE_SITE = {
    'changelog.md',
    'contributing.md',
    'development.md',
    'gallery.md',
    'index.md',
    'method-and-quality.md',
    'reference.md',
}
FOR_DEVELOPERS = {'architecture.md', 'honest-risks.md'}
FOLDERS = ('how-to', 'tutorials')
TARGET = 'napari_noise2score/_pages'
IMAGE = re.compile(r'!\[[^\]]*\]\(\s*<?([^)>\s]+)|<img\s[^>]*?src="([^"]+)"')


def pages() -> list[Path]:
    """The pages for users."""
    found = [path for path in DOCS.glob('*.md') if path.name not in FOR_DEVELOPERS | OF_THE_SITE]
    return sorted([*found, *(path for name in FOLDERS for path in (DOCS / name).rglob('*.md'))])


def images() -> Iterator[Path]:
    """The images in these pages."""
    inside = DOCS.resolve()
    for page in pages():
        for names in IMAGE.findall(page.read_text(encoding='utf-8')):
            name = ''.join(names)
            path = (page.parent / name).resolve()
            if path.is_relative_to(inside) and path.is_file():
                yield DOCS / path.relative_to(inside)


class BuildWithPages(build_py):
    """Builds the package with the pages; in an editable installation they stay in ``docs``."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, TARGET)
        shutil.rmtree(target, ignore_errors=True)
        for path in self._pages():
            copy = target / path.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *(path.as_posix() for path in self._pages())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [Path(self.build_lib, TARGET, path.relative_to(DOCS)) for path in self._pages()]
        return [*super().get_outputs(include_bytecode), *map(str, copies)]

    def _pages(self) -> list[Path]:
        return sorted({*pages(), *images()})


setup(cmdclass={'build_py': BuildWithPages})
