import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from napari_noise2score.errors import CheckpointError
from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.model_header import FORMAT, is_score_model
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.settings import NetworkSettings


@pytest.fixture
def model() -> ScoreModel:
    torch.manual_seed(0)
    network = ScoreNetwork(NetworkSettings(8, 2, 1))
    for weight in network.parameters():
        torch.nn.init.normal_(weight)
    return ScoreModel(network, 'preconditioned', {'seed': 3}, {'images': [{'name': 'a'}]})


def test_a_saved_model_comes_back_whole(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    model.save(path)
    loaded = ScoreModel.load(path)
    z, sigma = torch.randn(1, 1, 16, 16), torch.zeros(1, 1, 1, 1)
    assert torch.equal(loaded.network(z, sigma), model.network(z, sigma))
    assert (loaded.loss, loaded.training, loaded.data) == (model.loss, model.training, model.data)
    assert [p.name for p in tmp_path.iterdir()] == ['score.safetensors']


def test_a_failed_save_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / 'score.safetensors'
    model.save(path)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('napari_noise2score.score.model.to_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        model.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_no_models_are_refused(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    with pytest.raises(CheckpointError, match='no such file'):
        ScoreModel.load(path)
    path.write_bytes(b'PK\x03\x04 a zip, perhaps a pickle')
    with pytest.raises(CheckpointError, match='damaged, or not a model file'):
        ScoreModel.load(path)
    save_file({'a': torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=f'not a {FORMAT} file'):
        ScoreModel.load(path)


def test_damaged_files_are_refused(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    model.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match='damaged'):
        ScoreModel.load(path)


def settings_of(model: ScoreModel) -> dict:
    return {
        'network': model.network.settings.to_dict(),
        'loss': model.loss,
        'training': model.training,
        'data': model.data,
    }


def test_a_single_changed_bit_of_the_weights_is_noticed(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    model.save(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='its weights have another checksum'):
        ScoreModel.load(path)


def test_a_size_that_the_weights_do_not_fit_takes_no_memory(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    model.save(path)
    content = path.read_bytes()
    sizes = b'\\"channels\\": 8, \\"levels\\": 2'
    assert sizes in content
    path.write_bytes(content.replace(sizes, b'\\"channels\\": 9, \\"levels\\": 5'))
    with pytest.raises(CheckpointError, match='a network of NetworkSettings'):
        ScoreModel.load(path)


def stated(model: ScoreModel, path: Path, **changes: dict) -> None:
    """Save a model with more in its settings than this version states."""
    settings = settings_of(model)
    for key, more in changes.items():
        settings[key] = {**settings[key], **more}
    header = {'format': FORMAT, 'version': '2', 'settings': json.dumps(settings)}
    save_file(model.network.state_dict(), path, header)


def test_a_model_of_an_earlier_version_that_sees_one_slice_is_read(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    stated(model, path, network={'planes': 1}, training={'slices': 1})
    loaded = ScoreModel.load(path)
    assert loaded.network.settings == model.network.settings
    assert loaded.training == model.training
    assert loaded.digest == model.digest


@pytest.mark.parametrize('change', [{'network': {'planes': 3}}, {'training': {'slices': 3}}])
def test_a_model_that_sees_several_slices_at_once_is_refused(model, tmp_path, change):
    path = tmp_path / 'score.safetensors'
    stated(model, path, **change)
    with pytest.raises(CheckpointError) as caught:
        ScoreModel.load(path)
    assert str(caught.value) == (
        f'{path}: its network was trained to see 3 slices at once, which this version does not '
        'do; train again with context depth (--context depth)'
    )


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'network': {'channels': 16, 'levels': 2, 'blocks': 1}}, 'damaged model file'),
        ({'network': {'channels': 8, 'levels': 2, 'blocks': 99}}, 'damaged model file'),
        ({'loss': 'l7'}, 'damaged model file'),
        ({'training': 5}, 'damaged model file'),
    ],
)
def test_headers_that_do_not_fit_the_weights_are_refused(model, tmp_path, change, text):
    path = tmp_path / 'score.safetensors'
    header = {
        'format': FORMAT,
        'version': '1',
        'settings': json.dumps({**settings_of(model), **change}),
    }
    save_file(model.network.state_dict(), path, header)
    with pytest.raises(CheckpointError, match=text):
        ScoreModel.load(path)


def test_models_of_version_1_are_read_and_give_what_they_gave(model, tmp_path):
    """They had two input channels and were not told of the noise."""
    path, now = tmp_path / 'new.safetensors', model.network.state_dict()
    model.save(path)
    with safe_open(path, 'pt') as file:
        header = {**file.metadata(), 'version': '1'}
    old = {key: value for key, value in now.items() if key != 'correlated.weight'}
    old['head.weight'] = now['head.weight'][:, :2].contiguous()
    save_file(old, path, header)
    loaded = ScoreModel.load(path)
    z, sigma = torch.randn(1, 1, 16, 16), torch.zeros(1, 1, 1, 1)
    near = torch.rand(1, len(NEAREST))
    untold = loaded.network(z, sigma)
    assert torch.equal(loaded.network(z, sigma, 3 * torch.ones_like(z), near), untold)
    assert torch.allclose(untold, model.network(z, sigma, torch.ones_like(z)), atol=1e-4)


def test_a_compact_file_is_half_the_size_and_close(model, tmp_path):
    whole, compact = tmp_path / 'whole.safetensors', tmp_path / 'compact.safetensors'
    model.save(whole)
    model.save(compact, compact=True)
    assert compact.stat().st_size < 0.6 * whole.stat().st_size
    for key, value in ScoreModel.load(compact).network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, model.network.state_dict()[key], rtol=1e-3, atol=1e-6)


def test_the_digest_is_that_of_the_weights_alone(model, tmp_path):
    before = model.digest
    model.save(tmp_path / 'm.safetensors')
    assert ScoreModel.load(tmp_path / 'm.safetensors').digest == before
    model.network.centre.fill_(3.0)
    model.training['seed'] = 9
    assert model.digest == before
    with torch.no_grad():
        model.network.tail.weight[0, 0, 0, 0] += 1e-3
    assert model.digest != before


def test_newer_versions_are_refused_by_number(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    save_file(model.network.state_dict(), path, {'format': FORMAT, 'version': '3'})
    with pytest.raises(CheckpointError, match="file version '3'; this program reads 1 and 2"):
        ScoreModel.load(path)


def test_weights_that_are_not_finite_are_refused(model, tmp_path):
    model.network.tail.weight.data[:] = float('nan')
    path = tmp_path / 'score.safetensors'
    model.save(path)
    with pytest.raises(CheckpointError, match='not finite'):
        ScoreModel.load(path)


def test_a_model_file_is_told_by_its_header_alone(model, tmp_path):
    path = tmp_path / 'score.safetensors'
    assert not is_score_model(path)
    assert not is_score_model(tmp_path)
    model.save(path)
    assert is_score_model(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert is_score_model(path)  # ours, so that loading can say that it is damaged
    for other in (
        b'',
        b'\x00',
        b'PK\x03\x04 a zip, perhaps a pickle',
        b'\x05' + 7 * b'\x00' + b'[[]]',
    ):
        path.write_bytes(other)
        assert not is_score_model(path)
    save_file({'a': torch.zeros(1)}, path)
    assert not is_score_model(path)
    save_file({'a': torch.zeros(1)}, path, {'format': 'pt'})
    assert not is_score_model(path)
    save_file({'a': torch.zeros(1)}, path, {'format': FORMAT, 'version': '99'})
    assert is_score_model(path)
