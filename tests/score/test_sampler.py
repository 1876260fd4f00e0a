import numpy as np
import torch

from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.score import plane_buffer
from napari_noise2score.score.plane_buffer import PlaneBuffer
from napari_noise2score.score.sampler import Box, PatchSampler, SamplerState
from tests.score.helpers import ArrayPlanes


def sampler(images, size=16, seed=0, **more):
    return PatchSampler(images, size, torch.Generator().manual_seed(seed), **more)


def test_patches_are_cut_from_their_image():
    first, second = ArrayPlanes(np.zeros((3, 40, 40))), ArrayPlanes(np.ones((3, 40, 40)))
    patches, image, *_ = sampler([first, second]).draw(200)
    assert patches.shape == (200, 1, 16, 16)
    assert torch.equal(patches[:, 0, 0, 0], image.float())
    assert 60 < int(image.sum()) < 140


def test_larger_images_are_drawn_more_often():
    images = [ArrayPlanes(np.zeros((1, 32, 32))), ArrayPlanes(np.ones((9, 32, 32)))]
    _, image, *_ = sampler(images).draw(2000)
    # five standard errors of a share of 0.9
    assert abs(image.float().mean().item() - 0.9) < 5 * (0.09 / 2000) ** 0.5


def test_every_place_and_all_eight_orientations_come_up():
    ramp = np.arange(20 * 20, dtype=np.float32).reshape(1, 20, 20)
    patches, *_ = sampler([ArrayPlanes(ramp)]).draw(3000)
    steps = {(p[0, 0, 1] - p[0, 0, 0]).item() for p in patches}
    assert steps == {1.0, -1.0, 20.0, -20.0}
    assert {p.min().item() for p in patches} == {20.0 * r + c for r in range(5) for c in range(5)}


def test_small_planes_are_mirrored_up():
    plane = np.arange(5 * 30, dtype=np.float32).reshape(1, 5, 30)
    patches, *_ = sampler([ArrayPlanes(plane)]).draw(20)
    assert patches.shape == (20, 1, 16, 16)
    assert set(np.unique(patches.numpy())) <= set(np.unique(plane))


def test_same_generator_same_patches():
    image = ArrayPlanes(np.random.default_rng(0).random((2, 50, 60)))
    assert torch.equal(sampler([image], seed=4).draw(10)[0], sampler([image], seed=4).draw(10)[0])


def test_planes_are_read_once_and_forgotten_beyond_the_budget():
    class Counting(ArrayPlanes):
        reads = 0

        def plane(self, index):
            Counting.reads += 1
            return super().plane(index)

    image = Counting(np.zeros((3, 32, 32)))
    sampler([image]).draw(100)
    assert Counting.reads == 3
    sampler([image], in_memory=32 * 32 * 4).draw(100)
    assert 3 + 4 < Counting.reads < 3 + 8


def test_pixels_that_are_held_back_have_no_weight():
    """Wherever and however turned they come up, in mirrored copies too."""
    plane = np.arange(24 * 10, dtype=np.float32).reshape(1, 24, 10)
    box = Box(0, 0, 9, 5, 4)
    held = set(plane[0, 9:13, 5:9].ravel().tolist())
    generator = torch.Generator().manual_seed(0)
    images = [ArrayPlanes(plane), ArrayPlanes(plane)]
    patches, image, _, weight = PatchSampler(images, 16, generator, [box]).draw(200)
    assert weight.shape == patches.shape
    without = {
        v
        for p, w in zip(patches[image == 0], weight[image == 0], strict=True)
        for v in p[w == 0].tolist()
    }
    assert without == held
    seen = set(patches[image == 0][weight[image == 0] > 0].tolist())
    assert not seen & held
    assert seen | held == set(plane.ravel().tolist())
    assert weight[image == 1].min() == 1


def test_a_box_without_its_margin():
    assert Box(1, 2, 30, 40, 64).inside(16) == Box(1, 2, 46, 56, 32)


class Counted:
    """Planes that keep which of them were read."""

    def __init__(self, count, side=32, *, costly=False, pairs=()):
        self.shape, self.read = (count, side, side), []
        self.costly, self.pairs = costly, pairs

    def plane(self, index):
        self.read.append(index)
        return np.full(self.shape[1:], index, np.float32)


def test_planes_that_do_not_fit_in_memory_are_read_once_for_many_patches():
    images = Counted(1000)
    patches = sampler([images], in_memory=10 * 32 * 32 * 4)
    seen = set()
    for _ in range(100):
        seen |= set(patches.draw(8).values[:, 0, 0, 0].int().tolist())
    assert 40 < len(images.read) < 80
    assert seen == set(images.read)
    assert len(set(images.read)) > 0.9 * len(images.read)
    assert min(images.read) < 100
    assert max(images.read) > 900


def test_the_first_planes_are_those_of_every_sampler_of_an_image():
    images = Counted(1000)
    buffer = PlaneBuffer([images], 10 * 32 * 32 * 4)
    for seed in range(3):
        sampler([images], seed=seed, buffer=buffer).draw(12)
    assert sorted(images.read) == [62, 187, 312, 437, 562, 687, 812, 937]


def test_a_large_plane_is_used_for_more_patches():
    images = Counted(1000, side=512)
    patches = sampler([images], in_memory=10 * 512 * 512 * 4)
    patches.draw(250)
    assert len(images.read) == 8
    patches.draw(250)
    assert 8 <= len(set(images.read)) <= 10


def test_of_costly_planes_only_a_few_are_read_at_first(monkeypatch):
    monkeypatch.setattr(plane_buffer, '_SOON', 2 * 32 * 32)
    few, many = Counted(2, costly=True), Counted(20, costly=True)
    for images, begin in ((few, [0, 1]), (many, [5, 15])):
        patches = sampler([images])
        patches.draw(15)
        assert sorted(images.read) == begin
        for _ in range(20):
            patches.draw(16)
    assert sorted(few.read) == [0, 1]
    assert 2 < len(many.read) <= 2 + 335 // 80
    assert len(set(many.read)) == len(many.read)


def test_pairs_of_large_planes_are_drawn_from_few_planes():
    pairs = [PlanePair(n, n + 1) for n in range(20)]
    large, small = (Counted(21, side=side, pairs=pairs) for side in (64, 32))
    for images in (large, small):
        patches = sampler([images], in_memory=30 * 32 * 32 * 4)
        drawn = [patches.pair(0) for _ in range(200)]
        assert all(pair in pairs for pair in drawn)
        if images is small:  # each one is as likely as the others
            assert {pair.first for pair in drawn} == set(range(20))
        else:
            assert {pair.first for pair in drawn[:15]} <= {3, 10, 16}
            assert 3 < len({pair.first for pair in drawn}) <= 3 + 200 // 16


def test_costly_planes_with_pairs_are_those_of_the_pairs(monkeypatch):
    monkeypatch.setattr(plane_buffer, '_SOON', 2 * 32 * 32)
    images = Counted(30, costly=True, pairs=[PlanePair(n, n + 1) for n in range(20)])
    patches = sampler([images])
    for _ in range(5):
        place = patches.place(0, patches.pair(0).first)
        patches.cut(place._replace(plane=place.plane + 1))
        patches.draw(2)
    assert sorted(images.read) == [10, 11]


def test_the_shelves_are_a_part_of_the_state():
    pairs = [PlanePair(n, n + 1) for n in range(20)]
    images = Counted(1000, pairs=pairs)
    patches = sampler([images], in_memory=10 * 32 * 32 * 4)

    def drawn():
        found = [(patches.draw(8).values[:, 0, 0, 0].tolist(), patches.pair(0)) for _ in range(20)]
        return [values for values, _ in found], [pair for _, pair in found]

    drawn()
    state = SamplerState.from_dict(patches.state.to_dict())
    first = drawn()
    patches.restore(state)
    assert drawn() == first


def test_empty_planes_are_taken_from_the_shelf():
    array = np.zeros((64, 32, 32), np.float32)
    array[np.arange(64) != 40] = np.nan
    images = ArrayPlanes(array)
    patches = sampler([images], in_memory=10 * 32 * 32 * 4)
    assert {patches.draw_box(0).plane for _ in range(5)} == {40}


def test_planes_that_fit_are_read_once():
    images = Counted(10)
    patches = sampler([images], in_memory=10 * 32 * 32 * 4)
    for _ in range(20):
        patches.draw(8)
    assert sorted(images.read) == list(range(10))


def holed(count=1, side=64):
    """Noise around 5, nothing (NaN) in the upper half, and in every other plane."""
    array = np.random.default_rng(0).normal(5, 1, (count, side, side)).astype(np.float32)
    array[:, : side // 2] = np.nan
    array[1::2] = np.nan
    return ArrayPlanes(array)


def test_places_without_an_image_are_filled_in_and_weigh_nothing():
    values, _, _, weight = sampler([holed()], size=24).draw(60)
    assert torch.isfinite(values).all()
    assert set(weight.unique().tolist()) == {0.0, 1.0}
    there = weight.mean(dim=(1, 2, 3))
    assert there.min() >= 0.5
    assert there.max() == 1
    assert abs(float(values[weight == 0].mean()) - 5) < 0.3
    assert abs(float(values[weight == 0].std()) - 1) < 0.3


def test_empty_planes_are_not_drawn():
    drawn = sampler([holed(6)], size=24)
    planes = {drawn.draw_box(0).plane for _ in range(40)}
    assert planes == {0, 2, 4}
    rare = ArrayPlanes(np.full((400, 24, 24), np.nan))
    rare.array[317] = 1.0
    box = sampler([rare]).draw_box(0)
    assert box.plane == 317


def test_an_image_of_which_little_is_there_is_drawn_where_most_of_it_is():
    array = np.full((1, 200, 200), np.nan, np.float32)
    array[0, 90:100, 40:50] = 3.0
    drawn = sampler([ArrayPlanes(array)], size=64).draw(8)
    assert torch.isfinite(drawn.values).all()
    assert drawn.weight.sum(dim=(1, 2, 3)).min() > 0
