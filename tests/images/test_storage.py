import errno
import os

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.storage import allocate, as_dtype


def test_small_arrays_are_in_memory_and_large_ones_in_a_file():
    assert not isinstance(allocate((250,), np.float32, in_memory=1000), np.memmap)
    large = allocate((3, 251), np.float32, in_memory=1000)
    assert isinstance(large, np.memmap)
    large[1] = 7
    assert large.sum() == 7 * 251


def test_a_full_disk_is_an_error_in_words(monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full, raising=False)
    with pytest.raises(InputError, match='choose a region or fewer frames'):
        allocate((1 << 20,), np.float32, in_memory=1000)


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint16, np.int64, np.uint64])
def test_whole_numbers_are_rounded_and_clipped(dtype):
    limits = np.iinfo(dtype)
    values, clipped = as_dtype(np.array([1.4, 1.6, -1e30, 1e30]), dtype)
    assert values.dtype == dtype
    assert values[:3].tolist() == [1, 2, limits.min]
    assert limits.max - int(values[3]) <= limits.max >> 52
    assert clipped == 2


def test_real_numbers_are_not_clipped():
    values, clipped = as_dtype(np.array([1.4, -1e30]), np.float32)
    assert (values.dtype, clipped) == (np.float32, 0)
