"""The page is complete in itself, and says what was measured."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from napari_noise2score.plain import json_text
from napari_noise2score.report.page import as_html, as_json
from napari_noise2score.report.verdict import verdict_of
from tests.report.scenes import almost_clean, measured, noisy, truth

CLEAN = truth()[:128, :160]


@pytest.fixture(scope='module')
def findings():
    movie = np.stack([noisy(CLEAN, seed) for seed in range(8)])
    result = almost_clean(CLEAN, movie)
    result[3, 64:72, 66:74] += 60
    return measured(movie, result)


@pytest.fixture(scope='module')
def page(findings):
    return as_html(findings, verdict_of(findings))


class Parser(HTMLParser):
    """Collects tags, and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [v for k, v in attrs if k in {'src', 'href', 'xlink:href'} and v]


def test_it_needs_no_other_file_and_no_network(page):
    parser = Parser()
    parser.feed(page)
    assert all(ref.startswith(('data:', '#')) for ref in parser.references)
    assert not re.search(r'url\((?!#|&quot;#)', page)
    assert '@import' not in page
    assert 'link' not in parser.tags


def test_it_has_answers_pictures_and_plots(page):
    parser = Parser()
    parser.feed(page)
    for question in ('Is it blurred?', 'Is something invented?', 'Which settings?'):
        assert question in page
    rows = page.count('<div class="pictures')
    assert rows >= 3
    assert parser.tags.count('img') == 3 * rows
    assert parser.tags.count('svg') == 6
    assert '8 x 128 x 160 (TYX)' in page
    assert 'all 8 planes' in page


@pytest.mark.parametrize(
    ('asked', 'done', 'words'),
    [
        ({'seconds': 0, 'steps': None}, {}, ', without training;'),
        ({'seconds': 60.0}, {'delivered_step': 90}, ', after training of up to 60 s;'),
        ({'seconds': None, 'steps': 500}, {}, ', after training of up to 500 steps;'),
        ({'seconds': 9, 'steps': 7}, {'delivered_step': 7}, ', after training of up to 9 s or 7'),
        ({'seconds': 60}, {'delivered_step': 0}, ', a training of up to 60 s was not applied;'),
    ],
)
def test_what_was_trained_is_stated_with_the_settings(findings, asked, done, words):
    record = {'settings': {'training': asked}, 'training': done}
    stated = replace(findings, record=record)
    page = as_html(stated, verdict_of(stated))
    assert words in page.partition('Which settings?')[2].partition('</div>')[0]


def test_settings_are_in_words_and_tell_nothing_of_the_disk(findings):
    settings = {'training': {'seconds': 0}, 'context': 'time', 'orientations': None}
    record = {
        'correction': 'stabilised',
        'seed': 3,
        'settings': settings,
        'trained_on': [{'name': 'cells.tif', 'shape': [8, 128, 160], 'region': 'T0:4'}],
        'file': '/home/someone/secret/cells.tif',
        'origin': {'input_modified': 1795822898820545672},
    }
    stated = replace(findings, record=record)
    page = as_html(stated, verdict_of(stated))
    assert '<td>trained on</td><td>cells.tif T0:4</td>' in page
    assert '<td>settings: orientations</td><td>default</td>' in page
    for private in ('secret', '1795822898820545672', '{'):
        assert private not in page.partition('<table>')[2].partition('</table>')[0]
    answer = page.partition('Which settings?')[2].partition('</div>')[0]
    noise = str(findings.channels[0].family)
    for words in ('without training', f'noise model {noise}', 'context time', 'seed 3'):
        assert words in answer


def test_names_of_files_cannot_write_into_the_page(findings):
    object.__setattr__(findings.noisy, 'name', '<b>noisy</b>.tif')
    text = as_html(findings, verdict_of(findings))
    object.__setattr__(findings.noisy, 'name', 'noisy.tif')
    assert '<b>noisy' not in text
    assert '&lt;b&gt;noisy' in text


def test_the_values_are_strict_json(findings):
    verdict = verdict_of(findings)
    values = json.loads(json_text(as_json(findings, verdict)))
    assert values['verdict'] == verdict.to_dict()
    assert values['noisy']['crc32'] == f'{findings.noisy.checksum():08x}'
    channel = values['channels'][0]
    assert channel['result']['places'][0]['plane'] == 3
    assert channel['result']['response']['distance'] == list(range(-4, 5))
    assert len(channel['result']['spectra']['most']) == 32


@pytest.mark.parametrize('shape', [(20, 24), (40, 70)])
def test_small_images(shape):
    image = noisy(CLEAN[: shape[0], : shape[1]])
    result = almost_clean(CLEAN[: shape[0], : shape[1]], image)
    findings = measured(image, result)
    verdict = verdict_of(findings)
    if min(shape) < 32:
        assert verdict.blurred == 'Unknown: the image is too small to tell.'
    assert 'Is it blurred?' in as_html(findings, verdict)


def test_the_noisy_image_alone(page):
    findings = measured(noisy(CLEAN))
    text = as_html(findings, verdict_of(findings))
    assert 'Is it blurred?' not in text
    assert text.count('<img') == 2
    assert 'the plane' in text
