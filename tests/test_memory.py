import os
import subprocess
import sys

import numpy as np
import pytest

from napari_noise2score import memory
from napari_noise2score.memory import (
    MemoryLimit,
    MemoryLimitError,
    available,
    in_words,
    ran_out,
    shortage,
    total,
)

GIB = 2**30


def write(folder, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace('_', '.', 1)).write_text(text)


def test_sizes_in_words():
    assert [in_words(n) for n in (0, 999, 1024, 1536, 7.2e9, 2**50)] == [
        '0 bytes',
        '999 bytes',
        '1 KiB',
        '1.5 KiB',
        '6.7 GiB',
        '1024 TiB',
    ]


@pytest.mark.parametrize(
    ('error', 'words'),
    [
        (MemoryError(), 'more was needed'),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate "
                '14400000000 bytes. Error code 12 (Cannot allocate memory)'
            ),
            '13 GiB more were needed',
        ),
        (
            RuntimeError(
                'DefaultCPUAllocator: not enough memory: you tried to allocate 2048 bytes.'
            ),
            '2 KiB more were needed',
        ),
        (
            RuntimeError('CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total ...'),
            '2.5 GiB more were needed; use --device cpu',
        ),
    ],
)
def test_a_shortage_is_told_with_its_size_and_what_to_do(error, words):
    assert ran_out(error)
    assert words in shortage(error)


def test_what_numpy_says_is_understood():
    with pytest.raises(MemoryError) as caught:
        np.empty(2**62, np.uint8)
    assert ran_out(caught.value)
    assert '4194304 TiB more were needed' in shortage(caught.value)
    assert '--region' in shortage(caught.value)


def test_other_errors_are_no_shortage():
    assert not ran_out(RuntimeError('mat1 and mat2 shapes cannot be multiplied'))


@pytest.mark.parametrize(
    ('line', 'top', 'most', 'now'),
    [
        ('0::/job/step', '', 'memory_max', 'memory_current'),
        ('4:cpu,memory:/job/step', 'memory', 'memory_limit_in_bytes', 'memory_usage_in_bytes'),
    ],
)
def test_the_limit_of_a_group_above_is_seen(tmp_path, line, top, most, now):
    control = tmp_path / 'control'
    groups = tmp_path / 'cgroup'
    groups.write_text(f'9:freezer:/\n{line}\n')
    write(control / top / 'job' / 'step', **{most: 'max', now: '1'})
    write(control / top / 'job', **{most: str(GIB), now: str(GIB // 2)})
    write(control / top / 'job', memory_stat=f'anon 5\ninactive_file {GIB // 8}\n')
    assert available(groups, control) == GIB // 2 + GIB // 8


def test_a_limit_of_addresses_counts(monkeypatch):
    monkeypatch.setattr(memory, 'address_space', lambda: 12345)
    assert available() == 12345


def test_a_system_without_limits_has_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, '_GROUPS', tmp_path / 'no such file')  # Windows, macOS
    monkeypatch.setattr(memory, 'address_space', lambda: None)
    assert memory.available() > 0


def test_the_memory_of_the_machine_is_that_of_its_smallest_group(tmp_path):
    groups, control = tmp_path / 'cgroup', tmp_path / 'control'
    machine = total(groups, control)
    assert machine > GIB // 4
    groups.write_text('0::/job/task\n')
    write(control / 'job', memory_max=f'{machine // 2}', memory_current='5')
    write(control / 'job' / 'task', memory_max='max', memory_current='5')
    assert total(groups, control) == machine // 2


def test_a_limit_is_held_after_memory_was_given_back(monkeypatch):
    held, given = [900], []
    monkeypatch.setattr(memory, 'used', lambda: held[-1])
    monkeypatch.setattr(memory, 'give_back', lambda: given.append(held.pop()))
    monkeypatch.setattr(memory, '_SELDOM', 0)
    limit = MemoryLimit()
    limit.check()  # without a limit
    with limit.of(1000):
        assert limit.spare() == 100
        limit.check()
        assert not given
        held.append(1500)
        limit.check()
        assert given == [1500]
        held += [1101, 1102]
        with pytest.raises(MemoryLimitError, match=r'memory: 1\.1 KiB are used'):
            limit.check()
        held.append(1100)  # soon after the last attempt
        limit.check()
        assert given == [1500, 1102]
    assert limit.spare() > 1000


def test_the_memory_of_this_process_is_measured():
    before = memory.used()
    block = b'1' * (64 << 20)
    assert 60 << 20 < memory.used() - before < 100 << 20
    del block
    memory.give_back()
    assert memory.used() - before < 40 << 20


PAGES = """
import ctypes, resource, sys
from contextlib import nullcontext
from napari_noise2score.memory import keeping_freed
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
with keeping_freed() if sys.argv[1] == 'keep' else nullcontext():
    for _ in range(20):
        block = libc.malloc(48 << 20)
        ctypes.memset(block, 1, 48 << 20)
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc is that of Linux')
def test_freed_memory_is_used_again_also_where_dask_has_set_its_limit():
    environment = {**os.environ, 'MALLOC_TRIM_THRESHOLD_': '65536'}
    new = {
        kind: int(subprocess.check_output([sys.executable, '-c', PAGES, kind], env=environment))
        for kind in ('keep', 'return')
    }
    assert new['keep'] < new['return'] / 10
