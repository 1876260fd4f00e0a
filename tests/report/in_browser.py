"""A report in a real browser: nothing is fetched, no error is logged, the zoom works.

Not part of the tests, as it needs Chromium: ``tox -e pages``.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest

from napari_noise2score.report.page import as_html
from napari_noise2score.report.verdict import verdict_of
from tests.report.scenes import almost_clean, measured, noisy, truth

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
CLEAN = truth()[:128, :160]


def browse(*words: str) -> subprocess.CompletedProcess[str]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert found, f'none of {", ".join(BROWSERS)} is installed'
    call = [found, '--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr']
    return subprocess.run([*call, *words], capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    movie = np.stack([noisy(CLEAN, seed) for seed in range(8)])
    findings = measured(movie, almost_clean(CLEAN, movie))
    path = tmp_path_factory.mktemp('page') / 'r.html'
    path.write_text(as_html(findings, verdict_of(findings)), encoding='utf-8')
    return path


def console(text: str) -> list[str]:
    return re.findall(r'CONSOLE[^\n]*', text)


@pytest.mark.parametrize('width', [1280, 400])
def test_it_opens_without_errors_and_nothing_is_cut_off(page, width):
    probe = page.with_name(f'{width}.html')
    script = """<script>addEventListener('load', () => {
      const slider = document.querySelector('.zoom input');
      slider.value = 4; slider.dispatchEvent(new Event('input'));
      const image = document.querySelector('.view img');
      document.title = [document.documentElement.scrollWidth <= innerWidth,
        image.naturalWidth, image.style.transform].join('|');
    })</script></body>"""
    probe.write_text(page.read_text(encoding='utf-8').replace('</body>', script))
    done = browse(f'--window-size={width},1600', '--dump-dom', f'file://{probe}')
    assert console(done.stderr) == []
    fits, pixels, moved = re.search(r'<title>(.*?)</title>', done.stdout).group(1).split('|')
    assert fits == 'true'
    assert int(pixels) == 160
    assert moved.startswith('scale(4)')


def test_it_prints_on_a4(page):
    target = page.with_name('r.pdf')
    browse(f'--print-to-pdf={target}', f'file://{page}')
    text = target.read_bytes()
    boxes = re.findall(rb'/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]', text)
    assert boxes
    assert {(round(float(w)), round(float(h))) for w, h in boxes} <= {(595, 842), (596, 842)}
