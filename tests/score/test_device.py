import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.score import device as module
from napari_noise2score.score.device import choose_device, fast_precision


def test_auto_prefers_the_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    assert choose_device('auto').type == 'mps'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert choose_device('auto').type == 'cuda'


def test_a_missing_device_is_refused_with_those_that_are_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    with pytest.raises(InputError, match="'cuda' is not available here; available: cpu"):
        choose_device('cuda')


@pytest.mark.parametrize('fast', [True, False])
def test_low_precision_only_where_the_processor_has_it(monkeypatch, fast):
    monkeypatch.setattr(module, '_cpu_has_bfloat16', lambda: fast)
    with fast_precision(torch.device('cpu')):
        product = torch.ones(4, 4) @ torch.ones(4, 4)
    assert product.dtype is (torch.bfloat16 if fast else torch.float32)
