"""Samples: noisy images of every modality, made from a seed, with known noise and ground truth.

A sample is made by one function ``(seed) -> Sample`` in a module of its own. To add one, write
such a module, list its function in `SAMPLES`, and name it in ``napari.yaml`` and
``_widget/samples.py``; the command line and the tests take it from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from napari_noise2score.errors import InputError
from napari_noise2score.images.samples.confocal import confocal
from napari_noise2score.images.samples.low_light import low_light
from napari_noise2score.images.samples.repeated import repeated
from napari_noise2score.images.samples.sample import Event, Sample
from napari_noise2score.images.samples.speckle import speckle
from napari_noise2score.images.samples.wide_field import wide_field
from napari_noise2score.images.samples.z_stack import z_stack
from napari_noise2score.images.synthetic import SCENES

__all__ = ['SAMPLES', 'Event', 'Sample', 'make_sample']

SAMPLES: Mapping[str, Callable[[int], Sample]] = {
    'confocal': confocal,
    'low-light': low_light,
    'z-stack': z_stack,
    'wide-field': wide_field,
    'speckle': speckle,
    **{scene: partial(repeated, scene) for scene in SCENES},
}
"""Every sample by its name, in the order of napari's menu."""


def make_sample(name: str, *, seed: int = 0) -> Sample:
    """A noisy image with known noise and ground truth.

    Parameters
    ----------
    name : str
        One of `SAMPLES`: ``'confocal'``, ``'low-light'``, ``'z-stack'``, ``'wide-field'``,
        ``'speckle'``, ``'filaments'``, ``'nuclei'`` or ``'puncta'``.
    seed : int
        Seed of scene and noise, >= 0; the same seed gives the same sample.

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        If the name is unknown or the seed is negative.

    Examples
    --------
    >>> sample = make_sample('speckle')
    >>> sample.axes, sample.noisy.shape, str(sample.noise)
    ('TYX', (4, 256, 256), 'Gamma (shape 4)')
    >>> sample.truth.shape == sample.noisy.shape
    True
    """
    if name not in SAMPLES:
        raise InputError(f'sample {name!r} is unknown; accepted are {", ".join(SAMPLES)}')
    if seed < 0:
        raise InputError(f'seed is {seed}; it must be 0 or greater')
    return SAMPLES[name](seed)
