import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.score.device import (
    choose_device,
    choose_devices,
    has_fast_bfloat16,
    has_units,
    slower_in_bfloat16,
)
from napari_noise2score.score.precision import Precision


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


@pytest.fixture
def three_gpus(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 3)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)


@pytest.mark.parametrize(
    ('name', 'devices'),
    [
        ('auto', 'cuda'),
        ('cuda', 'cuda'),
        ('cuda:1', 'cuda:1'),
        ('cuda:all', 'cuda:0 cuda:1 cuda:2'),
        ('cuda:2,cuda:0', 'cuda:2 cuda:0'),
        ('cpu', 'cpu'),
        ('cpu, cpu', 'cpu cpu'),
    ],
)
def test_one_or_several_devices_of_a_machine_with_gpus(three_gpus, name, devices):
    assert ' '.join(map(str, choose_devices(name))) == devices
    assert str(choose_device(name)) == devices.split()[0]


@pytest.mark.parametrize('name', ['cuda:3', 'cuda:0,cuda:3'])
def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(three_gpus, name):
    words = "'cuda:3' is not available here; available: cpu, cuda:0, cuda:1, cuda:2"
    with pytest.raises(InputError, match=words):
        choose_devices(name)


@pytest.mark.parametrize('name', ['cuda:all', 'cuda:0,cuda:1'])
def test_several_gpus_of_a_machine_without_one_are_refused(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(InputError, match='is not available here; available: cpu'):
        choose_devices(name)


@pytest.mark.parametrize('fast', [True, False])
def test_low_precision_only_where_the_processor_has_it(fast):
    answers = {'library': lambda: True, 'native': lambda: fast, 'slower': lambda: False}
    assert has_fast_bfloat16(torch.device('cpu'), **answers) == fast


@pytest.mark.parametrize(
    ('capabilities', 'there'),
    [
        ({}, False),
        ({'avx2': True, 'avx512_bf16': False, 'amx_bf16': False}, False),
        ({'avx512_bf16': True, 'amx_bf16': False}, False),  # takes up to 1.9 times as long
        ({'avx512_bf16': True, 'amx_tile': True, 'amx_bf16': True}, True),
    ],
)
def test_an_instruction_without_units_for_it_brings_nothing(capabilities, there):
    assert has_units(capabilities) == there


def test_low_precision_is_used_where_it_is_fast_unless_it_is_said():
    device, network = torch.device('cpu'), torch.nn.Linear(4, 4)
    for reduced, expected in ((None, has_fast_bfloat16(device)), (True, True), (False, False)):
        precision = Precision(device, reduced=reduced, is_right=lambda *layer: True)
        with precision.of(network):
            assert network(torch.ones(4)).dtype is (torch.bfloat16 if expected else torch.float32)


def test_low_precision_not_without_the_library_that_has_it():
    """Loops of PyTorch itself are many times slower in bfloat16 than in float32."""
    answers = {'library': lambda: False, 'native': lambda: True, 'slower': lambda: False}
    assert not has_fast_bfloat16(torch.device('cpu'), **answers)


@pytest.mark.parametrize('own', [True, False])
def test_low_precision_not_where_a_gpu_only_imitates_it(monkeypatch, own):
    """Those that have float16 alone imitate bfloat16, slower than float32."""

    def supported(including_emulation=True):
        return own or including_emulation

    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', supported)
    assert has_fast_bfloat16(torch.device('cuda')) == own
    assert not has_fast_bfloat16(torch.device('mps'))


@pytest.mark.parametrize(
    ('seconds', 'slower'), [(0.3, False), (0.6, False), (0.95, True), (2.2, True), (90.0, True)]
)
def test_low_precision_not_where_a_library_does_not_use_what_a_processor_has(seconds, slower):
    """Where both take about as long, chance would decide on the last digits of a result."""
    now = 0.0

    def work() -> None:
        nonlocal now
        now += seconds if torch.is_autocast_enabled('cpu') else 1.0

    assert slower_in_bfloat16(work, lambda: now) == slower
    answers = {'library': lambda: True, 'native': lambda: True, 'slower': lambda: slower}
    assert has_fast_bfloat16(torch.device('cpu'), **answers) != slower


@pytest.mark.parametrize(('seconds', 'slower'), [(0.4, False), (2.4, True)])
@pytest.mark.parametrize('slow', [False, True])
def test_other_work_does_not_decide_on_the_precision(seconds, slower, slow):
    """For the first milliseconds one of the two precisions takes three times as long."""
    now = 0.0

    def work() -> None:
        nonlocal now
        low = torch.is_autocast_enabled('cpu')
        disturbed = 3.0 if now < 0.01 and low == slow else 1.0
        now += 2e-4 * (seconds if low else 1.0) * disturbed

    assert slower_in_bfloat16(work, lambda: now) == slower
