"""Planes that are computed apart from each other, in any order, make the image of one process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_noise2score import DenoiseSettings, InputError, TrainSettings, calibrate
from napari_noise2score.cluster.parcel import packed
from napari_noise2score.cluster.planes import compute, computed_on
from napari_noise2score.cluster.stored_image import StoredImage
from napari_noise2score.images.ome_zarr import read_ome_zarr
from napari_noise2score.images.ome_zarr.layout import Sizes
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.progress import finish
from napari_noise2score.score.network.parts import Network

SIZE = 48


class Here:
    """A cluster of this process alone, which does its units in the reverse order."""

    def results(
        self, work: Any, units: Iterator[tuple[Any, Any]], shared: bytes = b''
    ) -> Iterator[tuple[Any, Any] | None]:
        for key, unit in reversed(list(units)):
            yield None
            try:
                yield key, work(shared, unit)
            except InputError as error:
                yield key, error


def frames(count: int) -> np.ndarray:
    return synthetic_stack('nuclei', frames=count, size=SIZE).noisy.astype(np.int16)


def with_row_noise() -> tuple[np.ndarray, str, NoiseRequest]:
    rows = 12 * np.random.default_rng(2).normal(size=(2, SIZE, 1))
    return (frames(2) + 100 + rows).astype(np.int16), 'TYX', NoiseRequest()


def with_pixel_maps() -> tuple[np.ndarray, str, NoiseRequest]:
    rng = np.random.default_rng(3)
    spread = np.exp(rng.normal(size=(SIZE, SIZE)))
    dark = np.rint(100 + 3 * spread * rng.normal(size=(40, SIZE, SIZE)))
    noisy = frames(2) + 80 + np.rint(3 * spread * rng.normal(size=(2, SIZE, SIZE)))
    request = calibrate(dark.astype(np.int16)).request(NoiseRequest('auto', {'gain': 4.0}))
    return noisy.astype(np.int16), 'TYX', request


def with_places_without_noise() -> tuple[np.ndarray, str, NoiseRequest]:
    """Rows after columns, a border without noise, and a constant channel."""
    stack = frames(2)
    stack[:, :5] = 0
    return np.stack([stack, np.full_like(stack, 7)], 1), 'TCXY', NoiseRequest()


def neighbouring_slices() -> tuple[np.ndarray, str, NoiseRequest]:
    return frames(4), 'ZYX', NoiseRequest()


KINDS = {
    'row noise': with_row_noise,
    'pixel maps': with_pixel_maps,
    'no noise': with_places_without_noise,
    'slices': neighbouring_slices,
}


@pytest.fixture(scope='module', params=KINDS)
def case(request, tmp_path_factory):
    """Kind and file of an image, its settings, and the result of one process."""
    stored, settings = made(request.param, tmp_path_factory.mktemp('case'))
    return request.param, stored, settings, last(denoise_steps([stored.open()[1]], settings))


def made(kind: str, folder: Path) -> tuple[StoredImage, DenoiseSettings]:
    """An image of a kind in a file, and its settings."""
    image, axes, noise = KINDS[kind]()
    tifffile.imwrite(folder / 'in.tif', image, photometric='minisblack')
    training = TrainSettings(seconds=0, device='cpu')
    settings = DenoiseSettings(noise, training=training, orientations=1)
    return StoredImage.of(folder / 'in.tif', axes, None, ''), settings


def last(events: Any) -> Denoised:
    *_, result = events
    return result


def on_demand(stored: StoredImage, settings: DenoiseSettings) -> Denoised:
    return last(denoise_steps([stored.open()[1]], settings, on_demand=True))


def report(result: Denoised) -> dict[str, Any]:
    return {key: value for key, value in result.report.items() if key != 'seconds'}


def test_the_kinds_of_images_are_what_they_say(case):
    kind, _, _, alone = case
    (first, *_) = alone.score_map.prepared.channels
    assert first.rows.detected == (kind == 'row noise')
    assert (first.maps is not None) == (kind == 'pixel maps')
    assert (alone.corrected.blank[0] > 0) == (kind == 'no noise')
    assert (alone.report['channels'][0]['context']['axis'] == 'Z') == (kind == 'slices')


def test_planes_that_are_sent_back_make_the_same_image(case):
    _, stored, settings, alone = case
    steps = computed_on(Here(), stored, Path('out.tif'), on_demand(stored, settings), settings)
    result = last(steps)
    np.testing.assert_array_equal(result.image, alone.image)
    assert result.image.dtype == alone.image.dtype
    assert report(result) == report(alone)


def test_shards_that_workers_write_make_the_same_image(case, tmp_path):
    _, stored, settings, alone = case
    path = tmp_path / 'out.zarr'
    sizes = Sizes(chunk=16, shard=SIZE * SIZE * 4, smallest=12)
    result = on_demand(stored, settings)
    for event in computed_on(Here(), stored, path, result, settings, sizes):
        if isinstance(event, Denoised):
            assert not path.exists()
            event.image.finish()
            assert report(event) == report(alone)
    read = read_ome_zarr(path)
    upright = np.moveaxis(alone.image, [alone.report['axes'].index(a) for a in 'YX'], [-2, -1])
    np.testing.assert_array_equal(np.asarray(read.data[...]), upright)
    assert [one.name for one in tmp_path.iterdir()] == ['out.zarr']


class Interrupted(Here):
    """A cluster whose caller is interrupted after some units."""

    def __init__(self, after: int) -> None:
        self.after, self.done = after, 0

    def results(self, work: Any, *given: Any) -> Iterator[tuple[Any, Any] | None]:
        for one in super().results(work, *given):
            if one is not None and work is compute:
                if self.done == self.after:
                    raise KeyboardInterrupt
                self.done += 1
            yield one


def test_an_interrupted_result_continues_from_the_shards_that_are_there(tmp_path):
    stored, settings = made('no noise', tmp_path)
    alone = last(denoise_steps([stored.open()[1]], settings))
    path, sizes = tmp_path / 'out.zarr', Sizes(chunk=16, shard=SIZE * 16 * 4)

    def continued(cluster: Interrupted) -> Denoised:
        result = on_demand(stored, settings)
        state, restore = result.image.new_checks, result.image.take_checks
        unfinished = UnfinishedImage(path, {}, resume=True, state=state, restore=restore)
        unfinished.begin()
        with closing(unfinished):
            steps = computed_on(cluster, stored, path, result, settings, sizes, unfinished)
            for event in steps:
                if isinstance(event, Denoised):
                    event.image.finish()
        return event

    with pytest.raises(KeyboardInterrupt):
        continued(Interrupted(3))
    *_, first = sorted((tmp_path / 'out.zarr.unfinished/image/0/c').rglob('0/2'))
    first.write_bytes(b'damaged')
    cluster = Interrupted(4)
    result = continued(cluster)
    assert cluster.done == 2  # the one that is missing, and the damaged one
    assert report(result) == report(alone)
    upright = alone.image.swapaxes(-1, -2)
    np.testing.assert_array_equal(np.asarray(read_ome_zarr(path).data[...]), upright)
    assert sorted(one.name for one in tmp_path.iterdir()) == ['in.tif', 'out.zarr']


def test_what_is_not_finished_is_removed(tmp_path):
    stored, settings = made('no noise', tmp_path)
    result = on_demand(stored, settings)
    *_, last_one = computed_on(Here(), stored, tmp_path / 'out.zarr', result, settings)
    assert isinstance(last_one, Denoised)
    assert [one.name for one in tmp_path.iterdir()] == ['in.tif']


def test_the_error_of_a_worker_ends_the_work_on_the_image(tmp_path):
    stored, settings = made('no noise', tmp_path)
    gone = StoredImage.of(tmp_path / 'gone.tif', None, None, '')
    result = on_demand(stored, settings)
    with pytest.raises(InputError, match='no such file'):
        list(computed_on(Here(), gone, tmp_path / 'out.zarr', result, settings))
    assert [one.name for one in tmp_path.iterdir()] == ['in.tif']


def test_a_region_is_opened_as_a_part(tmp_path):
    image = np.arange(2 * 20 * 30).reshape(2, 20, 30).astype(np.uint16)
    tifffile.imwrite(tmp_path / 'in.tif', image, photometric='minisblack')
    stored = StoredImage.of(tmp_path / 'in.tif', 'TYX', None, 'T1:2,X5:9')
    _, source = stored.open()
    assert isinstance(source, ImageSource)
    np.testing.assert_array_equal(source.channels()[0].raw_plane(0), image[1, :, 5:9])


def test_all_networks_of_a_parcel_are_on_the_cpu(monkeypatch):
    """A worker may have no GPU, and one network may be there several times, with another zero."""
    moved, to = [], Network.to

    def told(network, where):
        moved.append((network.settings.context, where))
        return to(network, where)

    source = ImageSource(frames(3), 'TYX')
    training = TrainSettings(seconds=0, device='cpu')
    result = finish(single(denoise_steps([source], DenoiseSettings(training=training))))
    monkeypatch.setattr(Network, 'to', told)
    packed(result.score_map, source)
    assert (False, 'cpu') in moved
    assert (True, 'cpu') in moved
