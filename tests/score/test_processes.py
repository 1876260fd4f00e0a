"""Processes that work together with this one: their replies, their errors, and their end."""

import io
import pickle
import subprocess
import sys
import time
from operator import methodcaller

import numpy as np
import psutil
import pytest

from napari_noise2score import read_image, write_image
from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.score.processes import Packer, Processes

WAITS, REPLIES, FAILS = methodcaller('receive'), methodcaller('send', 5), methodcaller('compute')
"""Works: each is called with the link of its process."""

KILLED = """
import time
from operator import methodcaller
from napari_noise2score.score.processes import Processes

with Processes([methodcaller('receive')] * 2, ['a', 'b']) as processes:
    print(*processes.alive, flush=True)
    time.sleep(60)
"""


def lives(process: int) -> bool:
    """Whether a process exists that has not ended."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_error_of_one_ends_all_and_is_one_line():
    with Processes([REPLIES, FAILS, WAITS], ['device a', 'device b', 'device c']) as processes:
        assert len(processes.alive) == 3
        words = "^the process of device b failed: AttributeError: 'Link' object has no attribute"
        with pytest.raises(TrainingError, match=words) as caught:
            processes.replies()
        assert '\n' not in str(caught.value)
        assert processes.alive == []


def test_replies_come_in_the_order_of_the_processes():
    with Processes([REPLIES, methodcaller('send', [None])], ['a', 'b']) as processes:
        assert processes.replies() == [5, [None]]


def test_one_that_is_killed_is_named():
    with Processes([WAITS], ['device a']) as processes:
        psutil.Process(processes.alive[0]).kill()
        with pytest.raises(TrainingError, match='the process of device a failed: ended '):
            processes.replies()


def test_what_cannot_be_sent_is_refused_and_no_process_is_left():
    processes = Processes([WAITS, lambda link: None], ['a', 'b'])
    with pytest.raises(InputError, match=r'cannot be sent to the processes .*give one device'):
        processes.__enter__()
    assert processes.alive == []


def test_images_of_files_are_sent_as_their_names(tmp_path):
    array = np.arange(60_000.0).reshape(300, 200)
    np.save(tmp_path / 'a.npy', array)
    write_image(tmp_path / 'a.zarr', array, 'YX')
    opened = np.load(tmp_path / 'a.npy', mmap_mode='r'), read_image(tmp_path / 'a.zarr').data
    for data, most in ((opened[0], 1000), (opened[1], 20_000), (opened[0][::2], 300_000)):
        stream = io.BytesIO()
        Packer(stream).dump(data)
        assert stream.tell() < most
        stream.seek(0)
        np.testing.assert_array_equal(pickle.load(stream)[...], data[...])


def test_they_end_when_the_first_process_is_killed():
    first = subprocess.Popen([sys.executable, '-c', KILLED], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    others = [int(number) for number in first.stdout.readline().split()]
    assert len(others) == 2
    assert all(lives(process) for process in others)
    first.kill()
    first.communicate()
    begin = time.monotonic()
    while any(lives(process) for process in others):
        assert time.monotonic() < begin + 10
        time.sleep(0.02)
