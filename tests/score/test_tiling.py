import numpy as np
import pytest

from napari_noise2score.score.tiling import round_up, spans, tiles


@pytest.mark.parametrize('size', [4, 8, 100, 128, 516])
@pytest.mark.parametrize('keep', [1, 4, 30, 64, 1000])
@pytest.mark.parametrize('margin', [0, 5, 28])
def test_kept_parts_cover_the_axis_once_and_reads_stay_on_the_grid(size, keep, margin):
    cover = np.zeros(size, int)
    for span in spans(size, keep, margin, 4):
        cover[span.keep] += 1
        assert 0 <= span.read_start <= span.keep_start < span.keep_stop <= span.read_stop <= size
        assert span.read_start % 4 == span.read_stop % 4 == 0
        assert span.keep_start - span.read_start >= min(margin, span.keep_start)
        assert span.read_stop - span.keep_stop >= min(margin, size - span.keep_stop)
    assert np.all(cover == 1)


def test_an_identity_returns_the_plane():
    plane = np.random.default_rng(0).random((52, 76))
    result = np.full_like(plane, np.nan)
    for rows, columns in tiles(plane.shape, 20, 7, 4):
        tile = plane[rows.read, columns.read]
        result[rows.keep, columns.keep] = tile[rows.inner, columns.inner]
    np.testing.assert_array_equal(result, plane)


def test_round_up():
    assert [round_up(value, 4) for value in (0, 1, 4, 5)] == [0, 4, 4, 8]


@pytest.mark.parametrize('arguments', [(0, 4, 0, 1), (8, 0, 0, 1), (8, 4, -1, 1), (9, 4, 0, 4)])
def test_impossible_tiles_are_refused(arguments):
    with pytest.raises(ValueError, match='no tiles for'):
        spans(*arguments)
