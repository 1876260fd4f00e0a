"""The check of the built site finds what is wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import napari_noise2score

ROOT = Path(__file__).parents[2]


@pytest.fixture
def faults():
    spec = importlib.util.spec_from_file_location('check_site', ROOT / 'docs' / 'check_site.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.faults


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('<a href="other.html#here">good</a> <a href="https://napari.org">good</a>', None),
        ('<a href="missing.html">bad</a>', 'missing.html does not exist'),
        ('<a href="other.html#there">bad</a>', 'there is no place other.html#there'),
        ('<a href="#there">bad</a>', 'there is no place #there'),
        ('<img src="missing.png">', 'missing.png does not exist'),
        ('<script src="https://cdn.org/x.js"></script>', 'loads https://cdn.org/x.js'),
        ('<link rel="stylesheet" href="//cdn.org/x.css">', 'loads //cdn.org/x.css'),
    ],
)
def test_what_is_wrong_is_named(faults, tmp_path, text, fault):
    (tmp_path / 'index.html').write_text(text, encoding='utf-8')
    (tmp_path / 'other.html').write_text('<p id="here"></p>', encoding='utf-8')
    assert list(faults(tmp_path)) == ([] if fault is None else [f'index.html: {fault}'])


def test_the_reference_has_every_name():
    listed = (ROOT / 'docs' / 'api' / 'index.md').read_text(encoding='utf-8').split()
    assert {*napari_noise2score.__all__} - {'__version__'} <= {*listed}
