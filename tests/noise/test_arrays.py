"""Arrays of any library that mean real numbers are read; others are refused with a reason."""

import numpy as np
import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.arrays import as_numpy, readable
from napari_noise2score.noise.estimate.blind import estimate_noise

VALUES = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize('kind', ['u1', '>u2', 'i4', '<i8', 'u8', 'f2', '>f4', 'f8', 'g'])
def test_real_numbers_of_numpy_are_read_as_they_are(kind):
    data = VALUES.astype(kind)
    assert readable(data, 'cells') is data
    (channel,) = ImageSource(data, 'TYX').channels()
    np.testing.assert_array_equal(channel.plane(1), VALUES[1])


@pytest.mark.parametrize(
    'tensor',
    [
        torch.arange(24.0).reshape(2, 3, 4),
        torch.arange(24.0).reshape(2, 3, 4).requires_grad_(),
        torch.arange(24).reshape(2, 3, 4).to(torch.uint8),
        torch.arange(24.0).reshape(2, 3, 4).to(torch.bfloat16),
        torch.arange(24.0).reshape(2, 3, 4).to(torch.float16),
    ],
    ids=lambda tensor: f'{tensor.dtype}',
)
def test_tensors_are_read(tensor):
    source = ImageSource(tensor, 'TYX')
    assert isinstance(source.data.dtype, np.dtype)
    (channel,) = source.channels()
    np.testing.assert_array_equal(channel.plane(1), VALUES[1])
    np.testing.assert_array_equal(as_numpy(source.data), VALUES)
    assert np.array(source.data, np.float64).dtype == np.float64


@pytest.mark.parametrize('kind', [torch.float32, torch.int32, torch.bfloat16])
def test_the_noise_of_a_tensor_is_that_of_the_same_array(kind):
    rng = np.random.default_rng(0)
    clean = np.linspace(20, 200, 64)[:, None] * np.ones((3, 64, 64))
    tensor = torch.from_numpy(rng.normal(clean, 8).round()).to(kind)
    array = tensor.double().numpy()
    assert estimate_noise(tensor).family == estimate_noise(array).family
    assert estimate_noise([*tensor]).family == estimate_noise([*array]).family


def test_truth_values_are_zero_and_one():
    data = VALUES > 11
    (channel,) = ImageSource(data, 'TYX').channels()
    assert channel.raw_plane(1).dtype == np.uint8
    np.testing.assert_array_equal(channel.plane(1), np.ones((3, 4)))
    np.testing.assert_array_equal(as_numpy(data.T), data.T.astype(int))


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (VALUES * 1j, 'cells: values are complex128; real numbers are needed, such as the mag'),
        (VALUES.astype(object), 'cells: values are object; .* convert them to float64'),
        (VALUES.astype('M8[s]'), 'cells: values are datetime64'),
        (VALUES.astype('U3'), 'cells: values are <U3; integer or real numbers are needed'),
        (np.zeros((2, 3), [('a', 'f4')]), 'cells: values are'),
        (torch.zeros(2, 3, dtype=torch.complex64), r'cells: values are torch\.complex64; real'),
    ],
    ids=lambda value: getattr(value, 'dtype', ''),
)
def test_what_is_no_real_number_is_refused_with_the_reason(data, words):
    with pytest.raises(InputError, match=words):
        readable(data, 'cells')


def test_an_array_that_cannot_be_read_is_refused():
    class Strange:
        shape, dtype = (3, 4), 'fixed-point'

        def __getitem__(self, index):
            raise TypeError('not here')

    with pytest.raises(InputError, match=r'cells: values of Strange \(fixed-point\) cannot be'):
        readable(Strange(), 'cells')
