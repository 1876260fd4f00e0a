"""The documentation as a site: `tox -e site`, then open docs/_build/html/index.html."""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from typing import Any

project = 'napari-noise2score'
author = 'The napari-noise2score developers'
copyright = author  # noqa: A001 - Sphinx' name
version = release = installed('napari-noise2score')

extensions = [
    'myst_parser',
    'numpydoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx-mathjax-offline',
    'sphinx_copybutton',
    'sphinx_design',
]
templates_path = ['_templates']
exclude_patterns = ['_build']
highlight_language = 'none'
toc_object_entries_show_parents = 'hide'

# The pages are read on GitHub too: `$...$`, and blocks of math.
myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_fence_as_directive = ['math']
myst_heading_anchors = 4

autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
autosummary_generate = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = 'pydata_sphinx_theme'
html_title = 'napari-noise2score'
html_static_path = ['_static']
html_context = {'default_mode': 'auto'}
html_sidebars = {'first-steps': [], 'gallery': []}
html_css_files = ['site.css']
html_theme_options = {
    'header_links_before_dropdown': 7,
    'navbar_persistent': ['search-button'],
    'show_toc_level': 2,
    'navigation_with_keys': False,
    'footer_start': ['copyright'],
    'footer_end': ['sphinx-version'],
}
html_show_sourcelink = False
html_copy_source = False
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True

INDEXES = 'tutorials/index', 'how-to/index'
"""Lists of links that are read in napari too, where there are no directives."""
TITLES = {
    'quality/paper': "Noise2Score's tables",
    'quality/sweep': 'Forms of the correction and settings',
}
"""Titles of pages that benchmarks write."""


def complete(app: Any, name: str, source: list[str]) -> None:
    """Give a page what Sphinx needs and a reader of the file does not."""
    if name in INDEXES:
        pages = re.findall(r'\]\(([\w-]+)\.md\)', source[0])
        source[0] += '\n'.join(['', '```{toctree}', ':hidden:', '', *pages, '```', ''])
    if name in TITLES:
        source[0] = f'# {TITLES[name]}\n\n{source[0]}'


def setup(app: Any) -> None:
    app.connect('source-read', complete)
