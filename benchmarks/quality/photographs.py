"""Sets of clean photographs that synthetic noise is added to, and what is known of each set.

Every set has images of 0 to 1, grey (Y, X) or with colours (Y, X, S).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from noisy import Image, read
from published import METHODS, REPRODUCED, Experiment, Row
from skimage import data

HELD_OUT = 68
"""Number of images of BSD68, and of those that are held out here."""
COLOUR_IMAGES: dict[str, Callable[[], np.ndarray]] = {
    'astronaut': data.astronaut,
    'chelsea': data.chelsea,
    'coffee': data.coffee,
    'immunohistochemistry': data.immunohistochemistry,
    'motorcycle, left': lambda: data.stereo_motorcycle()[0],
}


@dataclass(frozen=True, slots=True)
class TestSet:
    """What a set is, and which published figures stand beside it.

    Attributes
    ----------
    title, about : str
        Its name, and where its images are from.
    role : int
        That of its images in `noisy.add_noise`.
    columns : tuple of str
        Heads of the published columns.
    published : callable
        Their figures for an experiment.
    """

    __test__ = False  # pytest: not a class of tests

    title: str
    about: str
    role: int
    columns: tuple[str, ...]
    published: Callable[[Experiment], Row]


TEST_SETS: dict[str, TestSet] = {
    'set12': TestSet(
        'Set12',
        'The published columns are those of Kim & Ye (2021) on the same 12 images, trained on '
        f'DIV2K and BSD400. {REPRODUCED} is a training of the method by others.',
        1,
        (*(f'{name} (published)' for name in METHODS), REPRODUCED),
        lambda experiment: (*experiment.set12, experiment.reproduced),
    ),
    'held-out': TestSet(
        'Images held out of BSD400',
        'This is not BSD68. Of N images in the order of their names, number floor(k N / 68) for '
        'k = 0 ... 67 are the test, and no training here sees them. The published columns are '
        'those of Kim & Ye (2021) on BSD68. They are photographs of the same collection, but '
        'other ones, so the figures cannot be compared to a tenth of a dB.',
        2,
        tuple(f'{name} (published, BSD68)' for name in METHODS),
        lambda experiment: experiment.bsd68,
    ),
    'colour': TestSet(
        'Colour images of scikit-image',
        f'{", ".join(COLOUR_IMAGES)}: those that come with scikit-image as PNG. Each colour has '
        'its own noise and is denoised by itself with the same weights, which know grey images '
        'only. The PSNR is that of the mean error over all colours. Kim & Ye (2021) have no '
        f'figures for these images; {REPRODUCED} was tested on CBSD68, which is another set.',
        3,
        (f'{REPRODUCED} (CBSD68)',),
        lambda experiment: (experiment.reproduced,),
    ),
}


def divide(images: Sequence[Image], count: int = HELD_OUT) -> tuple[list[Image], list[Image]]:
    """Images for the training, and ``count`` others that are spread evenly and held out."""
    if not 0 <= count < len(images):
        raise SystemExit(f'{count} of {len(images)} images cannot be held out of the training')
    out = {number * len(images) // count for number in range(count)}
    return (
        [image for number, image in enumerate(images) if number not in out],
        [images[number] for number in sorted(out)],
    )


def colour_images() -> list[Image]:
    """Colour photographs in the files of scikit-image; nothing is downloaded."""
    return [load().astype(np.float32) / 255 for load in COLOUR_IMAGES.values()]


def photographs(
    names: Sequence[str], train: Path, test: Path | None, held_out: int, most: int
) -> tuple[list[Image], dict[str, list[Image]]]:
    """Clean images for the training, ``most`` of them or all (0), and those of each test set."""
    learned, out = divide(read(train), held_out if 'held-out' in names else 0)
    found = {}
    for name in names:
        if name == 'set12':
            if test is None:
                raise SystemExit('--test: the folder of Set12 is needed')
            found[name] = read(test)
        else:
            found[name] = out if name == 'held-out' else colour_images()
    return learned[: most or None], found
