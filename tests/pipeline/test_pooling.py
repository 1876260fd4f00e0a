"""One score for all, or for each image, channel or time point."""

from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.progress import finish
from napari_noise2score.settings import DenoiseSettings, ModelPer, TrainSettings

pytestmark = pytest.mark.usefixtures('one_pass')

SETTINGS = DenoiseSettings(
    training=TrainSettings(seconds=None, steps=2, batch=2, patch=32, device='cpu'),
    orientations=1,
)


@pytest.fixture(scope='module')
def scenes():
    """(C, T, Y, X): two scenes, two frames."""
    stacks = [synthetic_stack(name, frames=2, size=64, seed=4) for name in ('nuclei', 'puncta')]
    return np.stack([stack.noisy for stack in stacks])


def model_per(how):
    return replace(SETTINGS, model_per=how)


@pytest.mark.parametrize('how', ['channel', 'time'])
def test_each_for_itself_is_what_each_gives_alone(scenes, how):
    axes, parts = ('CTYX', list(scenes)) if how == 'channel' else ('TYX', list(scenes[0]))
    data = scenes if how == 'channel' else scenes[0]
    result = denoise(data, axes, model_per(how))
    for number, part in enumerate(parts):
        alone = denoise(part, axes[1:], SETTINGS)
        np.testing.assert_array_equal(result.image[number], alone.image)
    record = result.report['channels']
    assert [channel['place'] for channel in record] == [{axes[0]: 0}, {axes[0]: 1}]
    assert result.report['scores'] == 2
    assert record[0]['model'] != record[1]['model']
    assert result.report['settings']['model_per'] == how


def test_each_image_has_a_score_of_its_own(scenes):
    images = [ImageSource(scene, 'TYX', f'{i}') for i, scene in enumerate(scenes)]
    steps = denoise_steps(images, model_per('image'))
    results = [event for event in steps if isinstance(event, Denoised)]
    assert results[0].model.digest != results[1].model.digest
    for scene, result in zip(scenes, results, strict=True):
        np.testing.assert_array_equal(result.image, denoise(scene, 'TYX', SETTINGS).image)
        assert [image['name'] for image in result.report['trained_on']] == [
            result.report['source']
        ]


def test_together_there_is_one_score(scenes):
    result = denoise(scenes, 'CTYX', SETTINGS)
    assert result.report['scores'] == 1
    assert len(result.score_map.models) == 2
    assert len(result.score_map.distinct) == 1


def test_a_part_without_all_time_points_is_refused(scenes):
    image = ImageSource(scenes[0], 'TYX', 'cells')
    part = image.part(Region({'T': (0, 1)}))
    with pytest.raises(InputError, match='has 1 of its 2 channels or time points'):
        finish(denoise_steps([image], model_per(ModelPer.TIME), training_parts=[[part]]))
    cut = image.part(Region({'Y': (0, 48)}))
    result = finish(
        single(denoise_steps([image], model_per(ModelPer.TIME), training_parts=[[cut]]))
    )
    assert result.image.shape == (2, 64, 64)
    assert result.report['trained_on'][0]['shape'] == [2, 48, 64]


def test_what_is_unknown_is_refused():
    with pytest.raises(InputError, match='accepted are all, image, channel, time'):
        DenoiseSettings(model_per='rows')
