"""Packages for bioimage.io, checked with the library of its specification."""

from __future__ import annotations

import gc
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from bioimageio.spec import InvalidDescr, load_description
from tests.score.helpers import ArrayPlanes

from napari_noise2score.analysis.bioimageio import export_bioimageio
from napari_noise2score.cli import main
from napari_noise2score.errors import InputError
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.choice import network_of
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.settings import NetworkSettings

pytestmark = [
    # bioimageio.spec leaves the files open that it reads
    pytest.mark.filterwarnings('ignore:unclosed file:ResourceWarning'),
    # the zoo's format for PyTorch that runs without Python
    pytest.mark.filterwarnings('ignore:`torch.jit.load` is:DeprecationWarning'),
]

SEEN = {'levels': [0, 20], 'variance': [0.95, 1.0], 'correlation': [0.0] * 6, 'gaussian': True}


@pytest.fixture(autouse=True)
def _files_that_the_library_leaves_open():
    yield
    gc.collect()


@pytest.fixture(params=[False, True], ids=['plane', 'context'])
def model(request) -> ScoreModel:
    size = NetworkSettings(8, 3, 1, context=request.param)
    network = network_of(size, torch.Generator().manual_seed(0))
    torch.nn.init.normal_(network.tail.weight, 0, 0.1)
    network.centre.fill_(7.0)
    image = {'name': 'cells', 'axes': 'YX', 'shape': [64, 64], 'noise': [], 'seen': [SEEN]}
    trained = network.eval().requires_grad_(False)
    return ScoreModel(trained, 'preconditioned', {'steps_done': 5}, {'images': [image]})


def seen(model: ScoreModel, **changes) -> ScoreModel:
    return replace(model, data={'images': [{'name': 'a', 'seen': [{**SEEN, **changes}]}]})


@pytest.mark.parametrize('loss', ['preconditioned', 'published'])
def test_a_package_is_valid_and_computes_what_the_model_does(model, tmp_path, loss):
    model = replace(model, loss=loss)
    path = export_bioimageio(model, tmp_path / 'cells.zip', name='cells score')
    assert [p.name for p in tmp_path.iterdir()] == ['cells.zip']
    description = load_description(path, perform_io_checks=True)
    assert not isinstance(description, InvalidDescr), description.validation_summary
    assert description.validation_summary.status in ('passed', 'valid-format')
    assert (description.name, str(description.license)) == ('cells score', 'CC-BY-4.0')
    with zipfile.ZipFile(path) as package:
        package.extractall(tmp_path / 'out')
    given, expected = (np.load(tmp_path / 'out' / f'test_{n}.npy') for n in ('input', 'output'))
    network = torch.jit.load(tmp_path / 'out' / 'network.pt')
    found = network(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    noisy = np.random.default_rng(1).normal(7, 1, (1, 96, 64)).astype(np.float32)
    steps = predict_clean(model, ArrayPlanes(noisy), device='cpu', orientations=1, exact=True)
    ours = finish(steps)
    theirs = network(torch.from_numpy(noisy[None])).numpy()[0]
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    readme = (tmp_path / 'out' / 'README.md').read_text()
    assert 'Trained on: cells (YX, 64 × 64)' in readme
    assert 'not in grey levels' in readme


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'correlation': [0.3] + [0.0] * 5}, r'correlated between pixels \(0.30\)'),
        ({'variance': [0.3, 1.0]}, 'variance depends on the level'),
        ({'gaussian': False}, 'variance depends on the level'),
    ],
)
def test_what_a_package_cannot_hold_is_refused(model, tmp_path, changes, text):
    with pytest.raises(InputError, match=text):
        export_bioimageio(seen(model, **changes), tmp_path / 'cells.zip')
    assert not list(tmp_path.iterdir())


def test_names_that_the_zoo_refuses_are_refused(model, tmp_path):
    with pytest.raises(InputError, match='not acceptable to bioimage'):
        export_bioimageio(model, tmp_path / 'cells.zip', name='!')
    with pytest.raises(InputError, match='not acceptable to bioimage'):
        export_bioimageio(model, tmp_path / 'cells.zip', licence='my own')
    with pytest.raises(InputError, match='5 to 128 letters'):
        export_bioimageio(model, tmp_path / 'cells.zip', name='cell')
    with pytest.raises(InputError, match=r'written as \.zip'):
        export_bioimageio(model, tmp_path / 'cells.tar')
    assert not list(tmp_path.iterdir())


def test_without_the_library_it_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'bioimageio.spec', None)
    with pytest.raises(InputError, match=r'pip install "napari-noise2score\[bioimageio\]"'):
        export_bioimageio(model, tmp_path / 'cells.zip')


def test_a_full_disk_leaves_the_old_package(model, tmp_path, monkeypatch):
    path = tmp_path / 'cells.zip'
    path.write_bytes(b'old')

    def full(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pathlib.Path.write_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        export_bioimageio(model, path)
    assert path.read_bytes() == b'old'
    assert len(list(tmp_path.iterdir())) == 1


def test_on_the_command_line(model, tmp_path, capsys):
    source, out = tmp_path / 'm.safetensors', tmp_path / 'cells score.zip'
    model.save(source)
    call = ['export', str(source), str(out), '--author', 'A. Person', '--author', 'B. Person']
    assert main(call) == 0
    description = load_description(out)
    assert description.name == 'cells score'
    assert [author.name for author in description.authors] == ['A. Person', 'B. Person']
    assert main(['export', str(tmp_path / 'no.safetensors'), str(out)]) == 2
    assert 'no such file' in capsys.readouterr().err
    new = tmp_path / 'new' / 'folder' / 'a.zip'
    assert main(['export', str(source), str(new)]) == 0
    assert load_description(new).name == 'Noise2Score a'
    (tmp_path / 'file').write_text('x')
    assert main(['export', str(source), str(tmp_path / 'file' / 'a.zip')]) == 2
    assert 'is not a folder' in capsys.readouterr().err
    seen(model, gaussian=False).save(source)
    assert main(['export', str(source), str(out)]) == 2
    assert 'cannot pass this on to the network' in capsys.readouterr().err
