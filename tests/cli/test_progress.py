"""On a terminal it is seen from the first second on that the program works, and where it wrote."""

from __future__ import annotations

import io
import os
import re
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.cli import progress as module
from napari_noise2score.cli.console import note
from napari_noise2score.cli.progress import begun, run, size_of, tell
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.results import Progress

pytestmark = pytest.mark.usefixtures('one_pass')
AT_ONCE = ['--seconds', '0', '--device', 'cpu']
GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'YX'}}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def drawn(self) -> list[str]:
        """What was to be read, one after the other."""
        return [part.strip() for part in re.split(r'[\r\n]', self.getvalue()) if part.strip()]


@pytest.fixture
def on_terminal(monkeypatch) -> Callable[[], Terminal]:
    """To be called in the test itself: pytest has another stream for what comes before it."""

    def begin() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, 'stderr', stream)
        return stream

    return begin


@pytest.fixture
def cells(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    frames = synthetic_stack('puncta', frames=2, size=48, seed=1).noisy.astype(np.uint16)
    for name, frame in zip('ab', frames, strict=True):
        tifffile.imwrite(f'{name}.tif', frame, **GREY)
    return ['a.tif', 'b.tif']


def test_all_stages_are_told_on_a_terminal_and_at_the_end_the_result(cells, on_terminal):
    terminal = on_terminal()
    assert main(['denoise', 'a.tif', '--output', 'o.tif', *AT_ONCE]) == 0
    drawn = terminal.drawn
    assert drawn[0].startswith('starting [00:0')
    places = [
        next(n for n, words in enumerate(drawn) if words.startswith(stage))
        for stage in ('starting', 'estimating the noise |', 'correcting |')
    ]
    assert places == sorted(places)
    assert drawn[-1] == 'napari-noise2score: written: o.tif'


def test_an_estimate_tells_which_image_it_is_at(cells, on_terminal, capsys):
    terminal = on_terminal()
    assert main(['estimate', 'a.tif']) == 0
    assert any(words.startswith('estimating the noise [') for words in terminal.drawn)
    assert main(['estimate', *cells]) == 0
    words = 'file 2 of 2, b.tif, estimating the noise ['
    assert any(one.startswith(words) for one in terminal.drawn)
    assert '[00:' not in capsys.readouterr().out


def test_without_a_terminal_only_the_result_is_told(cells, capsys):
    assert main(['denoise', 'a.tif', '--output', 'o.tif', *AT_ONCE]) == 0
    assert capsys.readouterr().err == 'napari-noise2score: written: o.tif\n'


@pytest.mark.parametrize(
    ('images', 'output', 'words'),
    [
        (['a.tif'], 'out/', f'written: {Path("out", "a.tif")}'),
        (['a.tif', 'b.tif'], 'out/', f'written: 2 images in out{os.sep}'),
        (['a.tif', 'missing.tif'], 'out/', f'written: {Path("out", "a.tif")}'),
    ],
)
def test_where_the_results_are(cells, capsys, images, output, words):
    main(['denoise', *images, '--output', output, *AT_ONCE])
    assert f'napari-noise2score: {words}' in capsys.readouterr().err.splitlines()
    main(['denoise', *images, '--output', output, *AT_ONCE])  # done already
    assert 'written' not in capsys.readouterr().err


def test_nothing_is_called_written_that_is_not(cells, capsys, monkeypatch):
    assert main(['denoise', 'a.tif', '--output', 'o.tif', '--dry-run', *AT_ONCE]) == 0
    assert main(['denoise', 'missing.tif', '--output', 'o.tif', *AT_ONCE]) == 2

    def fail(*arguments, **options) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('napari_noise2score.images.formats.write_image', fail)
    assert main(['denoise', 'a.tif', '--output', 'o.tif', *AT_ONCE]) == 1
    assert 'written' not in capsys.readouterr().err.replace('could not be written', '')


def test_a_model_and_a_package_are_told(cells, capsys, monkeypatch):
    assert main(['train', 'a.tif', '--model', 'm.safetensors', *AT_ONCE]) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(': written: m.safetensors')
    exporting = 'napari_noise2score.analysis.bioimageio.export_bioimageio'
    monkeypatch.setattr(exporting, lambda *arguments, **options: None)
    assert main(['export', 'm.safetensors', 'm.zip']) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith(': written: m.zip')


def test_the_line_moves_on_while_nothing_is_told(on_terminal, monkeypatch):
    terminal = on_terminal()
    monkeypatch.setattr(module, '_EVERY', 0.02)
    with begun():
        tell('looking')
        time.sleep(0.3)
    assert sum(words.startswith('looking [') for words in terminal.drawn) > 3
    assert terminal.getvalue().rpartition('\r')[2] == ''
    assert terminal.getvalue().split('\r')[-2].strip() == ''


def test_words_are_printed_above_the_line_and_a_bar_takes_its_place(on_terminal):
    terminal = on_terminal()

    def steps():
        yield Progress('estimate', 0.0)
        note('words')
        yield Progress('correct', 0.5)

    with begun():
        tell('looking')
        run(steps(), lambda: 'file 1 of 2')
        tell('nobody reads this')
        note('the end')
    drawn = terminal.drawn
    assert 'napari-noise2score: words' in drawn
    assert any(words.startswith('file 1 of 2, estimating the noise |') for words in drawn)
    assert any(words.startswith('file 1 of 2, correcting |') for words in drawn)
    assert not any('nobody' in words for words in drawn)
    assert drawn[-1] == 'napari-noise2score: the end'


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no such terminals')
def test_a_terminal_without_a_size_is_written_to(monkeypatch):
    import fcntl
    import pty
    import struct
    import termios

    monkeypatch.delenv('COLUMNS', raising=False)
    first, second = pty.openpty()
    with os.fdopen(second, 'w', encoding='utf-8') as stream:
        fcntl.ioctl(second, termios.TIOCSWINSZ, struct.pack('HHHH', 0, 0, 0, 0))
        size = size_of(stream)
        assert size['ncols'] > 20
        assert size['nrows'] > 1
        monkeypatch.setattr(sys, 'stderr', stream)
        with begun():
            tell('looking')
        stream.flush()
        shown = ''
        while 'looking' not in shown and select.select([first], [], [], 10)[0]:
            shown += os.read(first, 65536).decode()  # the kernel may hand it over in parts
        assert re.search(r'looking \[\d\d:\d\d\]', shown)
        fcntl.ioctl(second, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 90, 0, 0))
        assert size_of(stream) == {}
    os.close(first)
    assert size_of(io.StringIO()) == {}
