"""Claims of outputs: one process gets each, and those of ended processes are taken over."""

import errno
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_noise2score.cli.claims import STALE, Claims, TakenError, claim, claim_file, locked


def state(output: Path, **changes) -> None:
    """Change what the claim of an output states."""
    file = claim_file(output)
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_an_output_is_claimed_once_and_released(tmp_path):
    output, claims = tmp_path / 'a.tif', Claims()
    claims.take(output)
    with pytest.raises(TakenError, match=rf'a\.tif: process {os.getpid()} on .* works on it'):
        Claims().take(output)
    claims.give_all_back()
    assert list(tmp_path.iterdir()) == []
    Claims().take(output)


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_claim_on_a_full_disk_names_the_output_and_leaves_nothing(tmp_path, monkeypatch):
    def opened(handle: int, *arguments, **options) -> Full:
        os.close(handle)
        return Full()

    monkeypatch.setattr('os.fdopen', opened)
    with pytest.raises(OSError, match='No space left') as caught:
        claim(tmp_path / 'a.tif')
    assert caught.value.filename == str(tmp_path / 'a.tif')
    assert list(tmp_path.iterdir()) == []


def test_one_of_many_gets_a_claim(tmp_path):
    def attempt(number: int) -> bool:
        try:
            claim(tmp_path / 'a.tif')
        except TakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_the_claim_of_a_process_that_has_ended_is_taken_over(tmp_path):
    output = tmp_path / 'a.tif'
    code = (
        'import sys; from pathlib import Path; from napari_noise2score.cli.claims import claim;'
        'claim(Path(sys.argv[1]))'
    )
    subprocess.run([sys.executable, '-c', code, str(output)], check=True)
    assert claim_file(output).exists()
    Claims().take(output)
    assert json.loads(claim_file(output).read_text())['pid'] == os.getpid()


def test_a_number_that_another_process_has_now_is_stale(tmp_path):
    claim(tmp_path / 'a.tif')
    state(tmp_path / 'a.tif', started=1.0)
    Claims().take(tmp_path / 'a.tif')
    assert json.loads(claim_file(tmp_path / 'a.tif').read_text())['started'] > 1


def test_the_claim_of_another_computer_is_stale_after_an_hour(tmp_path):
    output = tmp_path / 'a.tif'
    claim(output)
    state(output, host='another')
    with pytest.raises(TakenError, match='on another works on it'):
        claim(output)
    long_ago = time.time() - STALE - 1
    os.utime(claim_file(output), (long_ago, long_ago))
    claim(output)


def test_a_claim_that_was_taken_over_is_not_released(tmp_path):
    output, claims = tmp_path / 'a.tif', Claims()
    claims.take(output)
    state(output, token='that of another')
    claims.give_all_back()
    assert claim_file(output).exists()


@pytest.mark.parametrize(('interval', 'is_renewed'), [(0, True), (1000, False)])
def test_claims_are_renewed_after_an_interval(tmp_path, interval, is_renewed):
    output, claims = tmp_path / 'a.tif', Claims(interval)
    claims.take(output)
    os.utime(claim_file(output), (1, 1))
    claims.renew()
    assert (claim_file(output).stat().st_mtime > 1) == is_renewed


def test_a_long_name_can_be_claimed(tmp_path):
    Claims().take(tmp_path / ('x' * 251 + '.tif'))
    with pytest.raises(TakenError):
        claim(tmp_path / ('x' * 251 + '.tif'))


def test_a_lock_is_waited_for(tmp_path):
    inside = []

    def attempt(number: int) -> None:
        with locked(tmp_path / 'table'):
            inside.append(number)
            assert inside == [number]
            time.sleep(0.01)
            inside.clear()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attempt, range(8)))
    assert list(tmp_path.iterdir()) == []
