"""Words that cannot be said cost nothing but themselves."""

import errno
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from napari_noise2score.cli import console
from napari_noise2score.cli.console import close_console, note, open_console, say

WORDS = 'by 0.5 % ± 0.1 %, 2 × 3 µm, naïve, half\udcff, →'


class Stream(io.TextIOWrapper):
    """A stream whose reader does not take what is written."""

    def __init__(self, code: int) -> None:
        super().__init__(io.BytesIO(), encoding='utf-8')
        self.code, self.pending = code, False

    def write(self, text: str) -> int:
        self.pending = True
        return super().write(text)

    def flush(self) -> None:
        if self.pending:
            raise OSError(self.code, 'says the system')

    def close(self) -> None:
        """Nothing is to be said at the end either."""


@pytest.fixture(autouse=True)
def restored():
    yield
    console._lost.clear()


@pytest.mark.parametrize(
    ('encoding', 'words'),
    [
        ('ascii', 'by 0.5 % +- 0.1 %, 2 x 3 um, naive, half?, ->'),
        ('cp1252', 'by 0.5 % ± 0.1 %, 2 × 3 µm, naïve, half?, ->'),
        ('utf-8', 'by 0.5 % ± 0.1 %, 2 × 3 µm, naïve, half?, →'),
    ],
)
def test_characters_that_a_terminal_lacks_are_replaced(encoding, words):
    raw = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(raw, encoding=encoding, newline='')):
        open_console()
        say(WORDS)
        assert raw.getvalue().decode(encoding) == f'{words}\n'
        assert close_console(0) == 0


@pytest.mark.parametrize(
    ('code', 'status'),
    [(errno.EPIPE, 0), (errno.EINVAL, 0), (errno.ENOSPC, 1)],
)
def test_a_reader_that_has_gone_is_no_failure_and_a_full_disk_is(capsys, code, status):
    with redirect_stdout(Stream(code)):
        open_console()
        say(WORDS)
        say(WORDS)
        assert close_console(0) == status
    assert ('standard output: says the system' in capsys.readouterr().err) == bool(status)


def test_an_error_stays_the_status():
    with redirect_stdout(Stream(errno.ENOSPC)):
        open_console()
        say(WORDS)
        assert close_console(2) == 2


def test_notes_that_nobody_reads_are_no_failure():
    with redirect_stderr(Stream(errno.EPIPE)):
        open_console()
        note(WORDS)
        assert close_console(0) == 0


def test_streams_that_are_closed_are_replaced():
    with redirect_stdout(None), redirect_stderr(None):
        open_console()
        with sys.stdout, sys.stderr:
            say(WORDS)
            note(WORDS)
            assert close_console(0) == 0


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no shell that closes streams')
@pytest.mark.parametrize('closing', ['>&-', '2>&-', '>&- 2>&-', '>&- 2>&- <&-'])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path, closing):
    code = (
        'from napari_noise2score.cli.console import open_console, say, close_console; import os;'
        f'open_console(); file = open({str(tmp_path / "x")!r}, "w"); assert file.fileno() > 2;'
        'os.write(1, b"words of a C library"); say("words"); raise SystemExit(close_console(0))'
    )
    script = tmp_path / 'script.py'
    script.write_text(code)
    call = f'{sys.executable} {script} {closing}'
    assert subprocess.run(call, shell=True, check=False).returncode == 0
    assert (tmp_path / 'x').read_text() == ''


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no such shell')
@pytest.mark.parametrize('command', ['--help', '--version', 'denoise --help'])
@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_help_that_nobody_reads_is_no_failure(tmp_path, monkeypatch, unbuffered, command):
    monkeypatch.setenv('PYTHONUNBUFFERED', unbuffered)
    code = 'import sys; from napari_noise2score.cli import main; sys.exit(main())'
    script = tmp_path / 'script.py'
    script.write_text(code)
    call = f'({sys.executable} {script} {command}; echo $? > {tmp_path / "status"}) | true'
    said = subprocess.run(call, shell=True, check=False, stderr=subprocess.PIPE, text=True)
    assert said.stderr == ''
    assert (tmp_path / 'status').read_text() == '0\n'
