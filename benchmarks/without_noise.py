"""Images of which a part holds no noise, and numbers in uncommon kinds and units.

    python benchmarks/without_noise.py [--only WORD]

Prints for each trigger: the gain in dB over the noisy pixels that hold noise, the error of their
mean in percent of the light, the gain of the noise model (4 is true), whether what holds no noise
came back as it was, and what was said. Nothing is trained. To compare with another version, put
that one in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score import DenoiseSettings, denoise
from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.settings import TrainSettings

CAMERA = PoissonGaussian(4.0, 100.0, 3.0)
SIDE = 192
Array = NDArray[Any]


class Trigger(NamedTuple):
    """An image: ``noisy``, ``truth`` and ``there`` (where noise is) of one shape, and its axes.

    ``unit`` is what the result is divided by, after ``zero`` is taken off.
    """

    name: str
    noisy: Any
    truth: Array
    there: Array
    axes: str
    zero: float = 0.0
    unit: float = 1.0
    output: str = 'float32'


def scene(seed: int, side: int = SIDE) -> Array:
    """Blobs upon a background of 10 grey levels, above the offset of 100."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    clean = np.full((side, side), 110.0)
    for _ in range(14):
        top, left = rng.uniform(0, side, 2)
        width, height = rng.uniform(4, 25), rng.uniform(50, 200)
        clean += height * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 2 / width**2)
    return clean


def frames(count: int, seed: int = 0) -> tuple[Array, Array]:
    """Noisy frames of one scene, uint16, and the truth of each."""
    truth = np.broadcast_to(scene(seed), (count, SIDE, SIDE)).copy()
    noisy = np.rint(CAMERA.sample(truth, np.random.default_rng(seed + 100)))
    return noisy.astype(np.uint16), truth


def painted(count: int, place: tuple[slice, ...], value: float, dtype: str = 'u2') -> Any:
    """Frames with a place of one value, and where noise is."""
    noisy, truth = frames(count)
    noisy, there = noisy.astype(dtype), np.ones(noisy.shape, bool)
    noisy[(..., *place)], there[(..., *place)] = value, False
    return (noisy, truth, there, 'TYX') if count > 1 else (noisy[0], truth[0], there[0], 'YX')


def around(width: int) -> list[tuple[slice, ...]]:
    """The four sides of an image."""
    every, low, high = slice(None), slice(width), slice(-width, None)
    return [(low, every), (high, every), (every, low), (every, high)]


def parts() -> Iterator[Trigger]:
    """A part of the image without noise."""
    every = slice(None)
    middle = (slice(60, 130), slice(50, 120))
    yield Trigger('nothing, one frame', *painted(1, (slice(0), every), 0))
    yield Trigger('nothing, four frames', *painted(4, (slice(0), every), 0))
    yield Trigger('20 rows of zeros, one frame', *painted(1, (slice(20), every), 0))
    yield Trigger('20 rows of zeros, four frames', *painted(4, (slice(20), every), 0))
    for count, value in ((1, 0), (4, 0), (4, 160), (1, 65535)):
        noisy, truth, there, axes = painted(count, around(30)[0], value)
        for place in around(30):
            noisy[(..., *place)], there[(..., *place)] = value, False
        yield Trigger(f'{value} around, {count} frame(s)', noisy, truth, there, axes)
    yield Trigger('mask of zeros in the middle', *painted(1, middle, 0))
    yield Trigger('mask of 130 in the middle', *painted(4, middle, 130))
    yield Trigger('scale bar of 65535', *painted(1, (slice(180, 184), slice(120, 180)), 65535))
    yield Trigger('NaN at the left, one frame', *painted(1, (every, slice(40)), np.nan, 'f4'))
    yield Trigger('NaN at the left, four frames', *painted(4, (every, slice(40)), np.nan, 'f4'))
    yield Trigger('infinite in a corner', *painted(4, (slice(30), slice(30)), np.inf, 'f8'))
    yield Trigger('a row of a scan lost', *painted(1, (slice(90, 91), every), 0))
    for count, order in ((1, 0), (4, 0)):
        noisy, truth = frames(count)
        turned = [ndimage.rotate(a, 25, (1, 2), order=order) for a in (noisy, truth)]
        inside = ndimage.rotate(np.ones_like(truth), 25, (1, 2), order=0) > 0.5
        yield Trigger(f'turned by 25 degrees, {count} frame(s)', *turned, inside, 'TYX')
    for lost in ((1,), (0, 3), (2, 3, 5)):
        noisy, truth = frames(6)
        there = np.ones(noisy.shape, bool)
        noisy[list(lost)], there[list(lost)] = 0, False
        yield Trigger(f'frames {lost} of 6 dropped', noisy, truth, there, 'TYX')
    noisy, truth = frames(6)
    there = np.ones(noisy.shape, bool)
    noisy[4], there[4] = 100, False
    yield Trigger('a frame of 100 (shutter closed)', noisy, truth, there, 'TYX')
    for axes, value in (('CTYX', 0), ('TYXS', 255)):
        noisy, truth = frames(3)
        stacked = np.stack([noisy, noisy[::-1], np.full_like(noisy, value)])
        truths = np.stack([truth, truth, np.full_like(truth, value)])
        there = np.ones(stacked.shape, bool)
        there[2] = False
        if axes == 'TYXS':
            stacked, truths, there = (np.moveaxis(a, 0, -1) for a in (stacked, truths, there))
        yield Trigger(f'a channel of {value}, {axes}', stacked, truths, there, axes)
    for black in (109, 125):
        noisy, truth = frames(4)
        cut = (np.maximum(noisy, black) - black).astype(np.uint16)
        yield Trigger(
            f'cut off at {black - 100} above the offset', cut, truth - black, truth > 140, 'TYX'
        )
    counts = np.random.default_rng(1).poisson((scene(0) - 110) / 40 + 0.02).astype(np.uint16)
    light = (scene(0) - 110) / 40 + 0.02
    yield Trigger('photons, zeros are noise', counts, light, np.ones(light.shape, bool), 'YX')


def numbers() -> Iterator[Trigger]:
    """The same frames in other kinds and units of numbers."""
    noisy, truth = frames(3)
    there = np.ones(noisy.shape, bool)

    def as_kind(
        name: str, data: Any, zero: float = 0.0, unit: float = 1.0, **more: Any
    ) -> Trigger:
        return Trigger(name, data, truth, there, 'TYX', zero, unit, **more)

    yield as_kind('uint16', noisy)
    yield as_kind('uint32 + 2^31', noisy.astype('u4') + 2**31, 2.0**31)
    yield as_kind(
        'uint32 + 2^31, dtype source', noisy.astype('u4') + 2**31, 2.0**31, output='source'
    )
    yield as_kind('int32 - 2^31', noisy.astype('i8').__sub__(2**31).astype('i4'), -(2.0**31))
    yield as_kind(
        'int64 + 2^40, dtype source', noisy.astype('i8') + 2**40, 2.0**40, output='source'
    )
    yield as_kind('uint64 + 2^50', noisy.astype('u8') + np.uint64(2**50), 2.0**50)
    yield as_kind('int64 + 2^62', noisy.astype('i8') + 2**62, 2.0**62)
    yield as_kind('float64 + 1e9', noisy + 1e9, 1e9)
    for unit in (1e-9, 1e-30, 1e9, 1e30):
        yield as_kind(f'float64 x {unit:g}', noisy * unit, 0.0, unit)
    yield as_kind('float32 x 1e-9', (noisy * 1e-9).astype('f4'), 0.0, 1e-9)
    yield as_kind('float16', noisy.astype('f2'))
    yield as_kind('float16, dtype source', noisy.astype('f2'), output='source')
    yield as_kind('big-endian uint16', noisy.astype('>u2'))
    yield as_kind('int8-like, - 200', (noisy.astype('i4') - 200).astype('i2'), -200.0)
    import torch

    yield as_kind('torch float32', torch.from_numpy(noisy.astype('f4')))
    yield as_kind('torch bfloat16', torch.from_numpy(noisy.astype('f4')).to(torch.bfloat16))
    yield as_kind('complex', noisy.astype('c8'))
    yield as_kind('objects', noisy.astype(object))
    binary = np.random.default_rng(0).random(noisy.shape) < (truth - 100) / 300
    yield Trigger('truth values', binary, (truth - 100) / 300, there, 'TYX')


def row(trigger: Trigger, run: Callable[[Trigger], Any]) -> str:
    """What comes of a trigger, in a line and one for each sentence."""
    try:
        result = run(trigger)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        kind = '' if isinstance(error, InputError) else f'{type(error).__name__}: '
        return f'{trigger.name:34s} refused: {kind}{error}'
    clean = (np.asarray(result.image).astype(np.float64) - trigger.zero) / trigger.unit
    raw = np.asarray(getattr(trigger.noisy, 'float', lambda: trigger.noisy)()).astype(np.float64)
    noisy = (raw - trigger.zero) / trigger.unit
    there, truth = trigger.there, trigger.truth
    power = [np.mean((a[there] - truth[there]) ** 2) for a in (noisy, clean)]
    dark = 100.0 if truth.min() > 100 else 0.0
    bias = 100 * (clean[there] - truth[there]).mean() / (truth[there].mean() - dark)
    passed = '-'
    if not there.all():
        passed = 'yes' if np.array_equal(clean[~there], noisy[~there], equal_nan=True) else 'NO'
    found = [f.parameters().get('gain', np.nan) / trigger.unit for f in result.corrected.families]
    gains = '/'.join(f'{value:.3g}' for value in found)
    words = ''.join(f'\n      {text}' for text in result.report['warnings'])
    return (
        f'{trigger.name:34s} {10 * np.log10(power[0] / power[1]):6.2f} dB {bias:+7.2f} %  '
        f'gain {gains:10s} {result.image.dtype!s:8s} {passed:4s}{words}'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='triggers with this word in their name')
    options = parser.parse_args()
    warnings.simplefilter('ignore')

    def run(trigger: Trigger) -> Any:
        training = TrainSettings(seconds=0, device='cpu')
        settings = DenoiseSettings(training=training, output=trigger.output)
        return denoise(trigger.noisy, trigger.axes, settings)

    for triggers in (parts(), numbers()):
        for trigger in triggers:
            if options.only in trigger.name:
                print(row(trigger, run), flush=True)
        print()


if __name__ == '__main__':
    main()
