import sys

import pytest

from napari_noise2score.files import written_whole


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'a.txt'
    with written_whole(path) as part:
        part.write_text('new')
        assert not path.exists()
    assert path.read_text() == 'new'
    assert [found.name for found in tmp_path.iterdir()] == ['a.txt']


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')

    def interrupted() -> None:
        with written_whole(path) as part:
            part.write_text('ne')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == 'old'
    assert [found.name for found in tmp_path.iterdir()] == ['a.txt']


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no file mode')
def test_others_may_read_it_as_any_other_file(tmp_path):
    path, plain = tmp_path / 'a.txt', tmp_path / 'b.txt'
    plain.write_text('x')
    with written_whole(path) as part:
        part.write_text('x')
    assert path.stat().st_mode == plain.stat().st_mode
