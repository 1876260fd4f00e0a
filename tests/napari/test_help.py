"""The help of the panel: its window, its pages, and which of them a control opens."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.compat import isalive
from qtpy.QtCore import QPoint, Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QToolTip

from napari_noise2score._widget.control.pages import Page, Pages
from napari_noise2score._widget.views.help_browser import HelpBrowser
from napari_noise2score._widget.views.style import heading
from tests.napari.helpers import noisy_stack, panel_in

TEXT = 'Some words about [axes](how-to/axes.md) and noise. ' * 8
TABLE = '| a | b |\n|---|---|\n| [c](guide.md) | ' + 'd ' * 40 + '|\n'
CHAPTERS = [f'## Chapter {number}\n\n{TEXT}\n\n{TABLE}\n\n{TEXT}\n' for number in range(30)]
GUIDE = '# Guide\n\n![wide](images/wide.png)\n\n' + '\n'.join(CHAPTERS)


@pytest.fixture
def folder(tmp_path):
    """Every page that the panel opens."""
    folder = tmp_path / 'docs'
    for page in Page:
        path = folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'# Page {page}\n\nSee [the guide](guide.md).\n')
    (folder / Page.GUIDE).write_text(GUIDE)
    (folder / Page.AXES).write_text(
        '# Axes\n\n[chapter](../guide.md#chapter-20) [web](https://napari.org/stable) '
        '[code](../../README.md) [gone](gone.md)\n\n![small](../images/small.png)\n\n'
        '![online](https://napari.org/logo.png)\n'
    )
    (folder / 'images').mkdir()
    Image.fromarray(np.zeros((100, 1600), np.uint8)).save(folder / 'images' / 'wide.png')
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(folder / 'images' / 'small.png')
    return folder


@pytest.fixture
def panel(open_panel, folder):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(), name='cells')
    panel.help.pages = Pages(folder)
    return panel


@pytest.fixture
def browser(folder, qtbot):
    browser = HelpBrowser(Pages(folder))
    qtbot.addWidget(browser)
    browser.resize(600, 400)
    browser.show()
    QTest.qWait(20)
    return browser


@pytest.fixture
def opened(monkeypatch):
    """What the system's browser would open."""
    urls = []
    monkeypatch.setattr(QDesktopServices, 'openUrl', lambda url: urls.append(url.toString()))
    return urls


def shown(panel):
    """The name of the page in the window."""
    source = panel.help.window.browser.source().toLocalFile()
    return panel.help.pages.name_of(Path(source))


def headings(browser):
    """Tops of the headings in the page, by their texts."""
    layout = browser.document().documentLayout()
    return {b.text(): layout.blockBoundingRect(b).top() for b in browser._headings()}


def images(browser):
    formats = [fragment.charFormat() for fragment in browser._fragments()]
    return [style.toImageFormat() for style in formats if style.isImageFormat()]


def is_laid_out(browser):
    """Whether the page has the height that it has when it is laid out at once."""
    document = browser.document()
    again = document.clone()
    again.setTextWidth(document.textWidth())
    return abs(again.size().height() - document.size().height()) < 2


def click(browser, text):
    """Follow the link of this text with the mouse."""
    cursor = browser.document().find(text)
    cursor.setPosition(cursor.selectionStart() + 1)
    place = browser.cursorRect(cursor).center()
    QTest.mouseClick(browser.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_the_button_opens_the_first_page_beside_napari(panel):
    panel.help.button.native.click()
    window = panel.help.window
    assert window.isVisible()
    assert window.isWindow()
    assert window.windowModality() == Qt.WindowModality.NonModal
    assert shown(panel) == Page.START
    assert window.note.isHidden()
    assert not window.back.enabled


@pytest.mark.parametrize(
    ('part', 'page'),
    [
        (lambda panel: panel.layers, Page.AXES),
        (lambda panel: panel.layers.axes_of(panel.layers.layers()[0]).lineEdit(), Page.AXES),
        (lambda panel: panel.noise.family.native, Page.NOISE),
        (lambda panel: panel.noise.estimate.native, Page.NOISE),
        (lambda panel: panel.noise.correlation.native, Page.CORRELATION),
        (lambda panel: panel.form.context.native, Page.CONTEXT),
        (lambda panel: panel.form.device.native, Page.SPEED),
        (lambda panel: panel.form.correction.native, Page.PANEL),
        (lambda panel: panel.compare.report.native, Page.QUALITY),
        (lambda panel: panel.train.native, Page.PANEL),
        (lambda panel: panel.copy.native, Page.PANEL),
    ],
)
def test_every_part_has_its_page(panel, part, page):
    assert panel.help.page_of(part(panel)) == page


def test_titles_have_a_link_to_their_page(panel):
    titles = {label.accessibleName(): label for label in panel.findChildren(QLabel)}
    for title, page in [
        ('Noise model', Page.NOISE),
        ('Denoise', Page.PANEL),
        ('Compare', Page.QUALITY),
        ('Model', Page.PANEL),
    ]:
        titles[title].linkActivated.emit(titles[title].text().split('"')[1])
        assert shown(panel) == page


def test_titles_with_a_link_are_not_higher(panel):
    plain = heading('Noise model')
    linked = panel.help.titled(heading('Noise model'), Page.NOISE)
    assert linked.sizeHint().height() <= plain.sizeHint().height()


def test_tooltips_tell_the_key(panel):
    for widget in (panel.noise.estimate.native, panel.form.device.native, panel.train.native):
        assert 'F1' in widget.toolTip()[-20:]


def test_f1_explains_the_control_with_the_keyboard(make_napari_viewer_proxy, folder, qtbot):
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(noisy_stack(), name='cells')
    panel = panel_in(viewer)
    qtbot.waitUntil(panel.isVisible)
    panel.help.pages = Pages(folder)
    for widget, page in [(panel.noise.family.native, Page.NOISE), (panel.layers, Page.AXES)]:
        panel.window().activateWindow()
        widget.setFocus()
        qtbot.waitUntil(widget.hasFocus)
        QTest.keyClick(widget, Qt.Key.Key_F1)
        assert panel.help.window.isVisible()
        assert shown(panel) == page
    panel.help.close()


def test_f1_explains_the_control_that_is_pointed_at(panel, monkeypatch):
    monkeypatch.setattr(QToolTip, 'isVisible', lambda: True)
    target = panel.compare.report.native
    monkeypatch.setattr(
        'napari_noise2score._widget.views.panel_help.QApplication.widgetAt', lambda place: target
    )
    panel.noise.family.native.setFocus()
    panel.help.explain_current()
    assert shown(panel) == Page.QUALITY


def test_after_an_error_the_button_opens_the_page_on_it(panel):
    panel.layers.axes_of(panel.layers.layers()[0]).setCurrentText('QYX')
    panel.train.native.click()
    assert 'Error' in panel.messages.text()
    panel.help.button.native.click()
    assert shown(panel) == Page.AXES
    panel.footer.show_error('There is not enough memory; 2 GB are free.')
    panel.help.button.native.click()
    assert shown(panel) == Page.MEMORY
    panel.footer.begin_request()
    panel.help.button.native.click()
    assert shown(panel) == Page.START


def test_a_missing_page_is_said_and_the_first_one_is_shown(panel, folder):
    (folder / Page.NOISE).unlink()
    panel.help.open(Page.NOISE)
    assert shown(panel) == Page.START
    window = panel.help.window
    assert window.note.text() == f'There is no page {Page.NOISE} here; this is the first page.'
    panel.help.open(Page.AXES)
    assert window.note.isHidden()


def test_an_installation_without_pages_says_so(panel, tmp_path):
    panel.help.pages = Pages(tmp_path / 'nowhere')
    panel.help.open(Page.NOISE)
    assert 'No pages of the help were found' in panel.help.window.note.text()


def test_the_guide_of_the_project_can_be_read(panel):
    panel.help.pages = Pages()
    panel.help.open(f'{Page.GUIDE}#calibration-frames')
    browser = panel.help.window.browser
    top = headings(browser)['Calibration frames']
    assert abs(top - browser.verticalScrollBar().value()) < 20
    assert len(images(browser)) >= 2
    panel.help.open(f'{Page.GUIDE}#scenes')
    assert browser.textCursor().block().text() == 'Scenes'
    assert is_laid_out(browser)


def test_back_and_home(panel):
    panel.help.open(Page.AXES)
    window = panel.help.window
    window.browser.follow(QUrl.fromLocalFile(str(panel.help.pages.find(Page.GUIDE))))
    window.browser.verticalScrollBar().setValue(321)
    panel.help.open(Page.NOISE)
    window.back.native.click()
    assert shown(panel) == Page.GUIDE
    assert window.browser.verticalScrollBar().value() == 321
    window.back.native.click()
    assert shown(panel) == Page.AXES
    assert not window.back.enabled
    window.home.native.click()
    assert shown(panel) == Page.START
    assert window.back.enabled


def test_a_link_leads_to_a_heading_of_another_page(browser, folder):
    browser.show_page(folder / Page.AXES)
    click(browser, 'chapter')
    assert browser.source().toLocalFile().endswith('guide.md')
    place = browser.verticalScrollBar().value()
    assert place > 1000
    assert abs(headings(browser)['Chapter 20'] - place) < 20
    browser.resize(450, 400)
    QTest.qWait(20)
    assert abs(headings(browser)['Chapter 20'] - browser.verticalScrollBar().value()) < 20
    QTest.keyClick(browser, Qt.Key.Key_Home)
    browser.resize(500, 400)
    QTest.qWait(20)
    assert browser.verticalScrollBar().value() == 0  # the reader has left the heading
    browser.back()
    assert browser.source().toLocalFile().endswith('axes.md')


def test_links_to_the_web_open_in_the_browser_of_the_system(browser, folder, opened):
    browser.show_page(folder / Page.AXES)
    click(browser, 'web')
    assert opened == ['https://napari.org/stable']
    assert browser.source().toLocalFile().endswith('axes.md')


@pytest.mark.parametrize(('text', 'name'), [('code', 'README.md'), ('gone', 'how-to/gone.md')])
def test_links_to_pages_that_are_not_there_are_said(browser, folder, opened, qtbot, text, name):
    (folder.parent / 'README.md').write_text('# Not a page')
    browser.show_page(folder / Page.AXES)
    with qtbot.waitSignal(browser.lost) as said:
        click(browser, text)
    assert said.args == [name]
    assert browser.source().toLocalFile().endswith('axes.md')
    assert not opened


def test_a_page_that_is_not_there_is_said_in_the_window(panel):
    panel.help.open(Page.AXES)
    panel.help.window.browser.lost.emit('how-to/gone.md')
    assert 'how-to/gone.md is not a part of this help' in panel.help.window.note.text()


def test_images_are_as_wide_as_the_window_at_most(browser, folder):
    browser.show_page(folder / Page.GUIDE)
    for width in (600, 380, 900):
        browser.resize(width, 400)
        QTest.qWait(20)
        (wide,) = images(browser)
        inner = browser.viewport().width()
        assert inner - 40 < wide.width() < inner
        assert wide.height() == pytest.approx(wide.width() / 16, abs=1)
    browser.show_page(folder / Page.AXES)
    small, _ = images(browser)
    assert (small.width(), small.height()) == (40, 30)


def test_nothing_is_loaded_from_the_network(browser, folder):
    browser.show_page(folder / Page.AXES)
    for place in ('https://napari.org/logo.png', 'http://napari.org/page.md', 'ftp://a/b.png'):
        assert browser.loadResource(2, QUrl(place)) is None


def test_a_long_page_is_complete_at_any_width(browser, folder):
    browser.show_page(folder / Page.GUIDE, 'chapter-29')
    for width in (600, 350, 800):
        browser.resize(width, 400)
        QTest.qWait(20)
        tops = list(headings(browser).values())
        assert len(tops) == 31
        assert all(after - before > 150 for before, after in pairwise(tops[1:]))
        assert browser.document().size().height() > tops[-1] + 150
        assert is_laid_out(browser)


def test_a_page_does_not_end_at_its_html(browser, folder):
    (folder / Page.NOISE).write_text(
        '# Noise\n\n<details>\n<summary>More</summary>\n\nInside.\n\n</details>\n\n'
        'Press <kbd>F1</kbd>.<br>Then\n\n<img src="../images/small.png">\n\n## The end\n'
    )
    browser.show_page(folder / Page.NOISE)
    text = browser.toPlainText()
    assert all(words in text for words in ('More', 'Inside.', 'Press F1.', 'The end'))
    assert len(images(browser)) == 1


def test_links_can_be_seen_in_both_themes(panel):
    viewer = panel._viewer
    panel.help.open(Page.AXES)
    browser = panel.help.window.browser
    colours = {}
    for theme in ('dark', 'light'):
        viewer.theme = theme
        QTest.qWait(50)
        link = next(f.charFormat() for f in browser._fragments() if f.charFormat().isAnchor())
        colours[theme] = link.foreground().color().lightness()
    assert colours['dark'] > 150 > colours['light']


def test_the_window_closes_with_the_panel(panel):
    panel.help.open()
    window = panel.help.window
    assert window.isVisible()
    panel._viewer.window.remove_dock_widget(panel)
    QTest.qWait(20)
    gc.collect()
    assert not isalive(window) or not window.isVisible()


def test_the_button_is_always_in_sight(panel):
    button = panel.help.button.native
    assert panel.footer.isAncestorOf(button)
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    right = panel.correct.native.mapTo(panel.footer, QPoint(0, 0)).x()
    assert button.mapTo(panel.footer, QPoint(0, 0)).x() >= right
