"""Planes corrected while a training runs."""

from dataclasses import replace

import numpy as np

from napari_noise2score._widget.jobs import LivePreview, View
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.preview import correct_plane
from napari_noise2score.pipeline.stages import score_image_steps, train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.settings import Context, DenoiseSettings, TrainSettings

AT_ONCE = TrainSettings(seconds=0, device='cpu')
BRIEF = TrainSettings(seconds=None, steps=2, batch=2, patch=32, device='cpu')


def prepared(frames: int = 2):
    stack = synthetic_stack('nuclei', frames=frames, size=64, seed=4)
    return model_noise(ImageSource(stack.noisy, 'TYX'))


def test_a_plane_is_what_the_whole_image_would_be_there():
    image = prepared()
    model = finish(train_score_steps([image], AT_ONCE))
    steps = score_image_steps(
        model, image, orientations=1, sigma_a=0.0, device='cpu', context=Context.NONE
    )
    score = finish(steps)
    for form in (Correction.STABILISED, Correction.CHAINED):
        whole = correct_image(score, correction=form).image
        plane = correct_plane(model, image.channels[0], 1, form, device='cpu')
        np.testing.assert_allclose(plane, whole[1], rtol=1e-4, atol=1e-3)
    automatic = correct_plane(model, image.channels[0], 1, device='cpu')
    np.testing.assert_array_equal(
        automatic, correct_plane(model, image.channels[0], 1, Correction.STABILISED, device='cpu')
    )


def test_what_has_been_learned_so_far_can_be_had_at_every_step():
    image = prepared()
    settings = replace(BRIEF, steps=6)
    models = [at.model() for at in train_score_steps([image], settings)]
    weights = [next(iter(model.network.parameters())) for model in models]
    assert len(models) == 6
    assert not any(weight.requires_grad for weight in weights)
    assert any((weights[0] != weights[-1]).flatten())
    plain = finish(train_score_steps([image], settings))
    again = train_score_steps([image], settings)
    for at in again:
        at.model()
        if at.step == 5:
            break
    for one, other in zip(
        plain.network.parameters(), finish(again).network.parameters(), strict=True
    ):
        assert (one == other).all()


def test_watched_planes_come_at_once_when_the_place_changes_and_seldom_else():
    image = prepared(3)
    model = finish(train_score_steps([image], AT_ONCE))
    view = View({'T': 1})
    preview = LivePreview([image], DenoiseSettings(training=AT_ONCE), lambda number: view)
    (first,) = preview.show(model)
    assert first.number == 0
    assert first.index == (1, slice(None), slice(None))
    assert first.values.shape == (64, 64)
    assert list(preview.show(lambda: model)) == []
    view = View({'T': 2})
    (second,) = preview.show(lambda: model)
    assert second.index[0] == 2
    view = None
    assert list(preview.show(lambda: model)) == []
