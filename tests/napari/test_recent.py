"""The list of models that were used last."""

from __future__ import annotations

import pytest

from napari_noise2score._widget.control.recent import MOST, Recent, default_file


def files(folder, count):
    paths = [folder / f'{number}.safetensors' for number in range(count)]
    for path in paths:
        path.touch()
    return paths


def test_last_used_first_once_each_and_not_too_many(tmp_path):
    recent, paths = Recent(tmp_path / 'a' / 'recent.json'), files(tmp_path, MOST + 3)
    assert recent.paths() == []
    for path in paths:
        recent.add(path)
    recent.add(paths[-2])
    expected = [paths[-2], paths[-1], *reversed(paths[:-2])][:MOST]
    assert Recent(tmp_path / 'a' / 'recent.json').paths() == expected


def test_files_that_are_gone_drop_out(tmp_path):
    recent, paths = Recent(tmp_path / 'recent.json'), files(tmp_path, 2)
    for path in paths:
        recent.add(path)
    paths[1].unlink()
    assert recent.paths() == [paths[0]]


@pytest.mark.parametrize('text', ['', '{', '5', '[3, null]', '\0'])
def test_a_damaged_list_is_an_empty_one(tmp_path, text):
    file, (path,) = tmp_path / 'recent.json', files(tmp_path, 1)
    file.write_text(text)
    recent = Recent(file)
    assert recent.paths() == []
    recent.add(path)
    assert recent.paths() == [path]


def test_a_list_that_cannot_be_written_costs_the_list_only(tmp_path, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, 'No space left on device')

    (path,) = files(tmp_path, 1)
    recent = Recent(tmp_path / 'recent.json')
    monkeypatch.setattr('pathlib.Path.write_text', full)
    recent.add(path)
    assert recent.paths() == []


def test_the_list_is_in_the_folder_for_settings_of_the_user():
    assert 'site-packages' not in str(default_file())
    assert 'napari-noise2score' in str(default_file())
