import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.noise.correlation import REACH, Correlation, correlation_of


def coloured(count: int, size: int, sigma: float, seed: int = 0) -> list[np.ndarray]:
    """Fields with the autocorrelation exp(-d^2 / (4 sigma^2))."""
    rng = np.random.default_rng(seed)
    return [
        ndimage.gaussian_filter(rng.normal(size=(size, size)), sigma, mode='wrap')
        for _ in range(count)
    ]


def everywhere(fields):
    return [np.ones(field.shape, bool) for field in fields]


@pytest.mark.parametrize('sigma', [0.6, 1.0, 1.6])
def test_the_correlation_of_blurred_noise_is_found(sigma):
    fields = coloured(3, 256, sigma)
    found = correlation_of(fields, everywhere(fields))
    impulse = np.zeros(4 * REACH + 1)
    impulse[2 * REACH] = 1.0
    response = ndimage.gaussian_filter1d(impulse, sigma)
    along = np.correlate(response, response, 'same')[REACH : 3 * REACH + 1]
    expected = np.outer(along, along) / along.max() ** 2
    np.testing.assert_allclose(found.kernel, expected, atol=0.03)
    assert found.relevant is found


def test_white_noise_is_white():
    fields = [np.random.default_rng(0).normal(size=(256, 256)) for _ in range(2)]
    found = correlation_of(fields, everywhere(fields))
    assert found.kernel[REACH, REACH] == 1.0
    assert abs(found.neighbours) < 0.02
    assert found.relevant.is_white


def test_only_what_is_noise_counts():
    (field,) = coloured(1, 256, 1.0)
    mask = np.zeros(field.shape, bool)
    mask[:, :128] = True
    spoilt = np.where(mask, field, 1000.0)
    found = correlation_of([spoilt], [mask])
    assert found.neighbours == pytest.approx(np.exp(-1 / 4), abs=0.03)


def test_the_measured_noise_itself_is_kept():
    fields = [3 * field for field in coloured(3, 128, 1.0)]
    masks = everywhere(fields)
    masks[1][:, 64:] = False
    kept = correlation_of(fields, masks).fields
    assert [field.shape for field in kept] == [(128, 128)] * 3
    for field, mask in zip(kept, masks, strict=True):
        assert field.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(field), ~mask)
        assert np.nanstd(field) == pytest.approx(1.0, rel=1e-5)
    flat = [np.corrcoef(a[m], b[m])[0, 1] for a, b, m in zip(kept, fields, masks, strict=True)]
    np.testing.assert_allclose(flat, 1.0, atol=1e-5)


def test_the_kept_noise_is_limited():
    fields = [np.random.default_rng(k).normal(size=(64, 64)) for k in range(8)]
    masks = everywhere(fields)
    kept = correlation_of(fields, masks, most_values=3 * 64 * 64 + 100).fields
    assert [field.shape for field in kept] == [(64, 64)] * 3
    assert np.corrcoef(kept[0].ravel(), fields[0].ravel())[0, 1] > 0.99
    assert np.corrcoef(kept[-1].ravel(), fields[-1].ravel())[0, 1] > 0.99
    few = correlation_of(fields, masks, most_values=40 * 64).fields
    assert [field.shape for field in few] == [(40, 64)]


def test_the_record_leaves_the_noise_itself_out():
    fields = coloured(1, 128, 1.0)
    record = correlation_of(fields, everywhere(fields)).to_dict()
    assert set(record) == {'neighbours', 'kernel'}
    assert Correlation.white().fields == ()


def test_the_record_leaves_zeros_all_around_out():
    kernel = np.zeros((2 * REACH + 1,) * 2)
    kernel[REACH, REACH] = 1.0
    assert Correlation(kernel).to_dict() == {'neighbours': 0.0, 'kernel': [[1.0]]}
    kernel[REACH, [REACH - 1, REACH + 1]] = 0.3
    kernel[[REACH - 2, REACH + 2], REACH] = 0.00001  # nothing, in the digits that are told
    record = Correlation(kernel).to_dict()
    assert record['kernel'] == [[0.0, 0.0, 0.0], [0.3, 1.0, 0.3], [0.0, 0.0, 0.0]]


def test_nothing_to_measure_is_white():
    assert correlation_of([np.ones((8, 8))], [np.zeros((8, 8), bool)]).is_white
    assert correlation_of([np.zeros((64, 64))], [np.ones((64, 64), bool)]).is_white


def test_the_power_spectrum_has_mean_one_and_gives_the_kernel_back():
    distance = np.arange(-REACH, REACH + 1)
    kernel = np.exp(-(distance[:, None] ** 2 + distance**2) / 4)
    power = Correlation(kernel).power((64, 64))
    assert power.shape == (64, 33)
    assert power.min() >= 0
    back = np.fft.irfft2(power, s=(64, 64))
    assert back[0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(back[: REACH + 1, : REACH + 1], kernel[REACH:, REACH:], atol=1e-3)


def test_white_has_a_flat_spectrum():
    assert np.all(Correlation.white().power((8, 6)) == 1.0)
    assert Correlation.white().neighbours == 0.0
