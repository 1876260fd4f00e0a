"""Options are not abbreviated, and one that is not known is told which are like it."""

from __future__ import annotations

import argparse
import runpy
import sys

import pytest

from napari_noise2score.cli import _parser, main
from napari_noise2score.cli.parser import Parser

DENOISE = ['denoise', 'a.tif', '--output', 'b.tif']


def refused(capsys, words: list[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    (line,) = captured.err.splitlines()
    return line.removeprefix('napari-noise2score: ')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (
            [*DENOISE, '--sec', '0'],
            'unrecognized arguments: --sec 0; did you mean --seconds? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            [*DENOISE, '--secnods=0'],
            'unrecognized arguments: --secnods=0; did you mean --seconds? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            [*DENOISE, '--max_memory', '1G'],
            'unrecognized arguments: --max_memory 1G; did you mean --max-memory? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            [*DENOISE, '-seconds', '0'],
            'unrecognized arguments: -seconds 0; did you mean --seconds? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            [*DENOISE, '--model'],
            'unrecognized arguments: --model; did you mean --model-per or --model-out? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            [*DENOISE, '--sec', '0', '--zzzz', '--Axes', 'YX'],
            'unrecognized arguments: --sec 0 --zzzz --Axes YX; --sec is unknown, did you mean '
            '--seconds?; --Axes is unknown, did you mean --axes? '
            '(see napari-noise2score denoise --help)',
        ),
        (
            ['denoise', 'a.tif', '--outptu', 'b.tif'],
            'the following arguments are required: --output; --outptu is unknown, did you mean '
            '--output? (see napari-noise2score denoise --help)',
        ),
        (
            ['--versoin'],
            'the following arguments are required: COMMAND; --versoin is unknown, did you mean '
            '--version? (see napari-noise2score --help)',
        ),
        (
            ['estimate', 'a.tif', '--zzzz'],
            'unrecognized arguments: --zzzz (see napari-noise2score estimate --help)',
        ),
        (
            ['export', 'a', 'b', 'c'],
            'unrecognized arguments: c (see napari-noise2score export --help)',
        ),
        (
            ['denoise', '--', '--seconds'],
            'the following arguments are required: --output '
            '(see napari-noise2score denoise --help)',
        ),
    ],
)
def test_an_option_that_is_not_known_is_refused_in_one_line(words, message, capsys):
    assert refused(capsys, words) == message


def test_no_command_takes_the_beginning_of_an_option():
    parser = _parser()
    commands = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    parsers = [parser, *commands.choices.values()]
    assert len(parsers) > 5
    assert all(isinstance(one, Parser) and not one.allow_abbrev for one in parsers)


def test_values_that_begin_with_a_hyphen_are_values():
    options = _parser().parse_args([*DENOISE, '--offset', '-3'])
    assert options.offset == -3


def test_python_runs_the_package_as_the_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['__main__.py', '--version'])
    with pytest.raises(SystemExit) as end:
        runpy.run_module('napari_noise2score', run_name='__main__')
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('napari-noise2score ')


def test_the_help_begins_with_what_is_needed_and_groups_the_rest(monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '80')
    with pytest.raises(SystemExit):
        main(['denoise', '--help'])
    usage, *lines = capsys.readouterr().out.splitlines()
    assert usage == 'usage: napari-noise2score denoise IN [IN ...] --output OUT [options]'
    titles = [line.split(' (')[0].rstrip(':') for line in lines if line and line[0].islower()]
    assert titles[: titles.index('training') + 2] == [
        'options',
        'input',
        'output',
        'noise',
        'correction',
        'training',
        'memory, interrupted work, devices and clusters',
    ]
