"""How many cores a process may use: control groups as Linux writes them, in a folder."""

import os

import pytest

from napari_noise2score.score.cores import usable_cores

FREE = 64


def system(folder, files: dict[str, str]):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ('files', 'cores'),
    [
        ({}, FREE),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n'}, FREE),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '200000 100000\n'}, 2),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n'}, 1),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '140000 100000\n'}, 1),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '150000 100000\n'}, 2),
        ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'what\n'}, FREE),
        ({'proc/self/cgroup': 'what\n\n', 'sys/fs/cgroup/cpu.max': '5 1\n'}, FREE),
        # a group within others: the smallest share counts
        (
            {
                'proc/self/cgroup': '0::/job.slice/step\n',
                'sys/fs/cgroup/cpu.max': 'max 100000\n',
                'sys/fs/cgroup/job.slice/cpu.max': '300000 100000\n',
                'sys/fs/cgroup/job.slice/step/cpu.max': '800000 100000\n',
            },
            3,
        ),
        # a container that is told the path of the machine around it
        (
            {
                'proc/self/cgroup': '0::/docker/0123\n',
                'sys/fs/cgroup/cpu.max': '400000 100000\n',
            },
            4,
        ),
        # version 1, with both of its usual names
        (
            {
                'proc/self/cgroup': '7:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/\n',
                'sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us': '250000\n',
                'sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us': '100000\n',
            },
            3,
        ),
        (
            {
                'proc/self/cgroup': '4:cpu:/docker/0123\n',
                'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000\n',
                'sys/fs/cgroup/cpu/cpu.cfs_period_us': '50000\n',
            },
            2,
        ),
        (
            {
                'proc/self/cgroup': '4:cpu:/\n',
                'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
                'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
            },
            FREE,
        ),
    ],
)
def test_the_share_of_a_container_is_found(tmp_path, files, cores):
    assert usable_cores(system(tmp_path, files), affinity=FREE) == cores


def test_a_process_that_is_bound_to_some_cores_uses_no_more(tmp_path):
    files = {'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '400000 100000\n'}
    assert usable_cores(system(tmp_path, files), affinity=3) == 3
    assert usable_cores(tmp_path, affinity=8) == 4


def test_systems_that_say_nothing_limit_nothing(tmp_path, monkeypatch):
    monkeypatch.delattr(os, 'sched_getaffinity', raising=False)
    assert usable_cores(tmp_path) is None


def test_this_machine_has_a_core():
    found = usable_cores()
    assert found is None or 1 <= found <= (os.cpu_count() or 1)
