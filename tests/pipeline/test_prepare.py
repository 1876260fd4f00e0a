"""Images of any size get their noise models from a bounded part of them."""

import numpy as np
import pytest

from napari_noise2score.images import sampling as module
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.prepare import model_noise


def test_large_planes_are_estimated_from_their_middle(monkeypatch):
    stack = synthetic_stack('nuclei', frames=6, size=256, seed=2)
    data = stack.noisy.copy()
    data[:, 0, 0] = 60_000
    monkeypatch.setattr(module, 'SAMPLE_PIXELS', 6 * 128 * 128)
    channel = model_noise(ImageSource(data, 'TYX')).channels[0]
    middle = ImageSource(data, 'TYX').part(Region({'Y': (64, 192), 'X': (64, 192)}))
    alone = model_noise(middle).channels[0]
    assert channel.shape == data.shape
    assert channel.fit.family == alone.fit.family
    assert channel.family.parameters()['gain'] == pytest.approx(stack.noise.gain, rel=0.05)
    assert channel.table.top == 60_000
    numbers = [[(pair.first, pair.second) for pair in c.pairs] for c in (channel, alone)]
    assert numbers[0] == numbers[1]
    assert np.isfinite(channel.plane(3)).all()
