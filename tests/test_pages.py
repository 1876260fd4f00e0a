"""The pages of the help: which there are, where they are, and what goes into a wheel."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import setuptools

from napari_noise2score._widget.control import pages as module
from napari_noise2score._widget.control.markdown import anchors, without_html
from napari_noise2score._widget.control.pages import Page, Pages, page_of_error, slugs

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / 'docs'


@pytest.mark.parametrize('page', Page)
def test_every_page_that_the_panel_opens_exists(page):
    assert (DOCS / page.partition('#')[0]).is_file()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'docs'
    (folder / 'how-to').mkdir(parents=True)
    for name in ('guide.md', 'how-to/axes.md'):
        (folder / name).write_text('# Title')
    (folder / 'picture.png').write_text('no page')
    (tmp_path / 'outside.md').write_text('# Outside')
    return folder


def test_a_page_is_found_by_its_name(folder):
    pages = Pages(folder)
    assert pages.find('how-to/axes.md') == (folder / 'how-to' / 'axes.md').resolve()
    assert pages.find('how-to/axes.md#letters') == pages.find(Page.AXES)
    for name in ('how-to/none.md', '../outside.md', 'picture.png', 'how-to', ''):
        assert pages.find(name) is None, name
    assert pages.name_of(folder / 'how-to' / 'none.md') == 'how-to/none.md'
    assert pages.name_of(folder / '..' / 'outside.md') == 'outside.md'


def test_the_first_page_is_the_guide_where_there_is_no_better_one(folder):
    assert Pages(folder).start.name == 'guide.md'
    (folder / Page.START).write_text('# First steps')
    assert Pages(folder).start.name == Page.START
    assert Pages(folder / 'nowhere').start is None


def test_a_checkout_has_its_own_pages_and_a_wheel_those_in_the_package(folder, monkeypatch):
    package = folder.parent / 'src' / 'napari_noise2score'
    monkeypatch.setattr(module, '_PACKAGE', package)
    monkeypatch.setattr(module, '_INSTALLED', package / '_pages')
    assert Pages().folder == package / '_pages'
    (folder.parent / 'pyproject.toml').write_text('')
    assert Pages().folder == folder


@pytest.mark.parametrize(
    ('text', 'page'),
    [
        ('There is not enough memory; 2 GB are free. Choose a region.', Page.MEMORY),
        ("axes 'YX' name 2 axes, but the layer has 3", Page.AXES),
        ('no noise was detected: the image is constant', Page.NOISE),
        ('/data/cells.zarr: No such file or directory', Page.REFUSED),
    ],
)
def test_an_error_has_a_page(text, page):
    assert page_of_error(text) is page


def test_headings_have_the_names_that_links_use():
    headings = ['Is the result right?', 'TIFF, OME-Zarr', 'Is the result right?', ' A_b `c` ']
    assert list(slugs(iter(headings))) == [
        'is-the-result-right',
        'tiff-ome-zarr',
        'is-the-result-right-1',
        'a_b-c',
    ]


def test_pages_lose_their_html_but_no_code():
    text = (
        '<!-- a\ncomment -->\nPress <kbd>F1</kbd>, see <https://napari.org>.<br>\n'
        '<img width="300" src="a.png" alt="x">\n> [!NOTE]\n'
        '> `<b>` and `a <c>\nd` and `` ` <e> ``\n'
        '```html\n<p>as it is</p> <!-- this too -->\n```\n<details>\nInside\n</details>\n'
    )
    assert without_html(text) == (
        '\nPress F1, see <https://napari.org>. \n'
        '![image](a.png)\n> **Note.**\n> `<b>` and `a <c>\nd` and `` ` <e> ``\n'
        '```html\n<p>as it is</p> <!-- this too -->\n```\n\nInside\n\n'
    )


def test_names_for_links_in_html_are_known_by_their_words():
    text = 'a\n\n<a id="one"></a>**First words.** And more\n\n<a name="two"></a>\n## A title\n'
    assert anchors(text) == {'one': 'First words.', 'two': 'A title'}


@pytest.mark.parametrize('name', ['method.md', 'cluster.md'])
def test_pages_of_the_project_that_have_no_html_are_as_they_are(name):
    text = (DOCS / name).read_text(encoding='utf-8')
    assert without_html(text) == text


def test_the_page_of_quality_loses_the_marks_of_its_tables_alone():
    text = (DOCS / 'quality.md').read_text(encoding='utf-8')
    marks = re.compile(r'<!-- (table \w+|end) -->')
    assert marks.search(text)
    assert without_html(text) == marks.sub('', text)


@pytest.fixture
def setup(monkeypatch):
    """The names in setup.py, run where it is."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(setuptools, 'setup', lambda **options: None)
    return runpy.run_path(str(REPOSITORY / 'setup.py'))


def built(setup, target, **options):
    command = setup['BuildWithPages'](setuptools.Distribution({'py_modules': []}))
    command.ensure_finalized()
    command.build_lib = str(target)
    for name, value in options.items():
        setattr(command, name, value)
    command.run()
    return command


def test_a_wheel_has_the_pages_and_their_images(setup, tmp_path):
    old = tmp_path / 'napari_noise2score' / '_pages' / 'removed.md'
    old.parent.mkdir(parents=True)
    old.write_text('of an earlier build')
    command = built(setup, tmp_path)
    pages = tmp_path / 'napari_noise2score' / '_pages'
    files = {path.relative_to(pages).as_posix() for path in pages.rglob('*') if path.is_file()}
    assert {'guide.md', 'method.md', 'images/panel-before.png'} <= files
    assert not {'architecture.md', 'removed.md', 'make_screenshots.py'} & files
    users = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob('*.md')]
    folders = ('how-to/', 'tutorials/')
    assert {name for name in users if name.startswith(folders)} <= files
    for page in pages.rglob('*.md'):
        for name in re.findall(r'!\[[^\]]*\]\(([^)\s]+)\)', page.read_text()):
            assert (page.parent / name).is_file(), (page, name)
    assert set(command.get_source_files()) >= {f'docs/{name}' for name in files}
    assert {str(pages / name) for name in files} <= set(command.get_outputs())


def test_an_editable_installation_gets_no_copies(setup, tmp_path):
    built(setup, tmp_path, editable_mode=True)
    assert not list(tmp_path.iterdir())
