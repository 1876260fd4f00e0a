"""The list of the parts of an unfinished image."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_noise2score.errors import CheckpointError
from napari_noise2score.images.unfinished import UnfinishedImage, folder_of

VALUES = np.arange(4.0)


@pytest.fixture
def parts(tmp_path) -> Path:
    """The list of an image of which three parts are written."""
    image = UnfinishedImage(tmp_path / 'x.tif', {'settings': 'abc'}, state=lambda: {'checks': [1]})
    image.begin()
    for number in range(3):
        image.add(number, VALUES + number)
    image.close()
    return image.folder / 'parts.jsonl'


def continued(parts: Path) -> tuple[int, list[dict]]:
    """Number of the parts that are known, and the states that were restored."""
    states: list[dict] = []
    path = parts.parent.with_name('x.tif')
    image = UnfinishedImage(path, {'settings': 'abc'}, resume=True, restore=states.append)
    image.begin()
    for number in range(3):
        image.holds(number, lambda number=number: VALUES + number)
    image.close()
    return image.parts, states


@pytest.mark.parametrize('damage', [b'\xff', b'9', b'[1]\n', b'\n'])
def test_parts_up_to_a_damaged_line_are_known(parts, damage):
    assert continued(parts) == (3, [{'checks': [1]}] * 3)
    lines = parts.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:12] + damage + lines[2][13:]
    parts.write_bytes(b''.join(lines))
    assert continued(parts) == (1, [{'checks': [1]}])


def test_without_the_first_line_nothing_is_continued(parts):
    parts.write_bytes(b'[' + parts.read_bytes())
    with pytest.raises(CheckpointError, match=r'parts\.jsonl, is damaged'):
        continued(parts)


@pytest.mark.skipif(sys.platform == 'win32', reason='links need a right there')
def test_what_is_unfinished_is_on_the_disk_where_it_will_be(tmp_path):
    """A file cannot be given a name on another disk."""
    (tmp_path / 'big').mkdir()
    link = tmp_path / 'out.tif'
    link.symlink_to(tmp_path / 'big' / 'result.tif')
    assert folder_of(link).parent == tmp_path / 'big'
    assert folder_of(tmp_path / 'other.tif').parent == tmp_path
