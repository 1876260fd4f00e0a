"""The check of sdist and wheel finds what is wrong with them; citation and package agree."""

import importlib.util
import io
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TRACKED = ['README.md', 'src/napari_noise2score/__init__.py', 'src/napari_noise2score/napari.yaml']
ABOUT = 'Metadata-Version: 2.4\nName: napari-noise2score\n{more}\n# Title\n\n{text}\n'


@pytest.fixture(scope='module')
def checks():
    path = ROOT / '.ci' / 'check_distributions.py'
    spec = importlib.util.spec_from_file_location('check_distributions', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sdist(folder: Path, names: list[str], size: int = 1) -> Path:
    path = folder / 'napari_noise2score-1.0.tar.gz'
    with tarfile.open(path, 'w:gz') as archive:
        for name in [*names, 'PKG-INFO', 'setup.cfg', 'src/napari_noise2score.egg-info/PKG-INFO']:
            member = tarfile.TarInfo(f'napari_noise2score-1.0/{name}')
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
    return path


def wheel(folder: Path, names: list[str], more: str = '', text: str = '') -> Path:
    path = folder / 'napari_noise2score-1.0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for name in names:
            archive.writestr(name, 'x')
        about = ABOUT.format(more=more, text=text)
        archive.writestr('napari_noise2score-1.0.dist-info/METADATA', about)
    return path


def test_sdist_with_the_tracked_files_is_right(checks, tmp_path):
    assert checks.faults_of_sdist(checks.sdist_sizes(sdist(tmp_path, TRACKED)), TRACKED) == []


def test_sdist_with_missing_other_and_large_files_is_wrong(checks, tmp_path):
    names = [*TRACKED[1:], 'data.tif', 'src/napari_noise2score/weights.safetensors']
    tracked = [*TRACKED, 'src/napari_noise2score/weights.safetensors']
    found = checks.sdist_sizes(sdist(tmp_path, names, checks.LARGEST + 1))
    faults = checks.faults_of_sdist(found, tracked)
    assert faults[:2] == [
        'sdist: README.md is missing',
        'sdist: data.tif is not tracked by git',
    ]
    large = [fault.split(' has ')[0] for fault in faults[2:]]
    assert large == [f'sdist: {name}' for name in [*TRACKED[1:], 'data.tif']]


def test_wheel_without_the_manifest_or_with_the_tests_is_wrong(checks, tmp_path):
    inside = ['napari_noise2score/__init__.py', 'napari_noise2score/napari.yaml']
    made_when_built = 'napari_noise2score/made.html'
    right = wheel(tmp_path, [*inside, made_when_built])
    assert checks.faults_of_wheel(checks.wheel_sizes(right), TRACKED) == []
    wrong = wheel(tmp_path, [inside[0], 'tests/test_cli.py'])
    assert checks.faults_of_wheel(checks.wheel_sizes(wrong), TRACKED) == [
        'wheel: napari_noise2score/napari.yaml is missing',
        'wheel: tests/test_cli.py is outside of the package',
    ]


@pytest.mark.parametrize(
    ('text', 'links'),
    [
        ('[a](https://a.org/b) [c](#c) [m](mailto:a@b.org)', []),
        ('![panel](docs/images/panel.png) and [guide](docs/guide.md#top)',
         ['docs/images/panel.png', 'docs/guide.md#top']),
        ('[a](CHANGELOG.md) [b](CHANGELOG.md)', ['CHANGELOG.md']),
    ],
)  # fmt: skip
def test_relative_links_of_a_readme(checks, text, links):
    assert checks.relative_links(text) == links


def test_relative_links_are_a_fault_once_the_repository_is_named(checks, tmp_path, capsys):
    text = '[guide](docs/guide.md)'
    assert checks.faults_of_readme(checks.metadata(wheel(tmp_path, [], '', text))) == []
    assert 'CONTRIBUTING.md' in capsys.readouterr().out
    named = 'Project-URL: Source Code, https://example.org/repository\n'
    (fault,) = checks.faults_of_readme(checks.metadata(wheel(tmp_path, [], named, text)))
    assert fault.endswith('1 relative links, which a package index cannot follow: docs/guide.md')


def test_citation_and_package_name_the_same():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']
    assert citation['title'] == project['name']
    assert citation['license'] == project['license']
    assert [one['name'] for one in citation['authors']] == [
        one['name'] for one in project['authors']
    ]
    assert citation['keywords'] == project['keywords']
    assert all(one['authors'] and one['year'] for one in citation['references'])
