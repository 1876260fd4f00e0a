"""Export of a trained model as a package for bioimage.io, a model zoo for many programs.

Such a package contains the network alone. Its input is an image in the unit-noise coordinate,
where the noise is white and has the variance one; its output is the clean level in that
coordinate. The conversion between grey levels and the coordinate depends on the noise of each
image and cannot be part of the package; its README describes it.
"""

from __future__ import annotations

import copy
import gc
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_noise2score.analysis.model_card import card_of
from napari_noise2score.errors import InputError
from napari_noise2score.files import written_whole
from napari_noise2score.pipeline.domain import CORRELATION, VARIANCE, training_domains
from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.tiling import round_up

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

SUFFIX = '.zip'

_INSTALL = 'pip install "napari-noise2score[bioimageio]"'
_TEST_SIZE = 128
_LONGEST = 300
"""Maximum number of displayed characters of a bioimageio.spec message; some list all licences."""
_PAPER = '10.48550/arXiv.2106.07009'


class CleanLevel(nn.Module):
    """Clean level ``D`` of an image with white noise of variance one, (B, 1, Y, X) float32."""

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        network = copy.deepcopy(model.network).cpu().eval().requires_grad_(False)
        self.network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self._denoiser = Denoiser(self.network, model.parameterisation)

    def forward(self, z: Tensor) -> Tensor:
        output = self._denoiser.output(z, torch.zeros(1, 1, 1, 1))
        return self._denoiser.clean(output, z)


def export_bioimageio(
    model: ScoreModel,
    path: str | os.PathLike[str],
    *,
    name: str = 'Noise2Score network',
    authors: tuple[str, ...] = ('Unknown author',),
    licence: str = 'CC-BY-4.0',
) -> Path:
    """Write a model as a bioimage.io package and check it against the specification.

    The package contains the description ``rdf.yaml`` (model, format 0.5), the network as
    TorchScript, a test input with its output, and a README.

    Parameters
    ----------
    model : ScoreModel
        A trained model.
    path : path
        Path of the package, ``.zip``; an existing file is not changed until the new one is
        complete.
    name : str
        Name of the model, 5 to 128 letters, digits, spaces and ``_+-()``.
    authors : tuple of str
        Names of the authors; at least one.
    licence : str
        SPDX identifier.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the format does not support the model, if a name or licence is not acceptable, or if
        bioimageio.spec is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(f'{path}: packages for bioimage.io are written as {SUFFIX}')
    _check_exportable(model)
    spec = _spec()
    _check_words(spec, name, licence)
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as part:
        packed = Path(folder) / 'package.zip'
        with _files_closed():
            description = _described(spec, model, Path(folder), name, authors, licence)
            spec.save_bioimageio_package(description, output_path=packed)
            del description
        part.write_bytes(packed.read_bytes())
    return path


@contextmanager
def _files_closed() -> Iterator[None]:
    """Close the files that bioimageio.spec leaves open; Windows could not delete the folder."""
    try:
        yield
    finally:
        gc.collect()


def _check_exportable(model: ScoreModel) -> None:
    """Refuse a model that would give wrong images in another program."""
    for domain in training_domains(model):
        most = max(map(abs, domain.correlation), default=0.0)
        if most > CORRELATION:
            raise InputError(
                'this model was trained on noise that is correlated between pixels '
                f'({most:.2f}), and a bioimage.io package cannot pass this on to the network; '
                'only models of independent pixels can be exported'
            )
        if (
            not domain.gaussian
            or min(domain.variance) < 1 - VARIANCE
            or max(domain.variance) > 1 + VARIANCE
        ):
            raise InputError(
                'this model was trained on noise whose variance depends on the level also in '
                f'the unit-noise coordinate ({min(domain.variance):.2f} to '
                f'{max(domain.variance):.2f}, a few photons or values), and a bioimage.io package '
                'cannot pass this on to the network; only models without such a dependence can '
                'be exported'
            )


def _check_words(spec: Any, name: str, licence: str) -> None:
    """Refuse a name or a licence that the description does not accept, before the work."""
    if re.fullmatch(r'[\w +()-]{5,128}', name) is None:
        raise InputError(
            f'the name {name!r} is not acceptable to bioimage.io; 5 to 128 letters, digits, '
            'spaces and _+-() are needed (--name)'
        )
    try:
        spec.model.v0_5.LicenseId(licence)
    except ValueError as error:
        raise InputError(
            f'the licence {licence!r} is not acceptable to bioimage.io; an SPDX name such as '
            'CC-BY-4.0 is needed (--licence)'
        ) from error


def _spec() -> Any:
    try:
        import bioimageio.spec
        import bioimageio.spec.model.v0_5
    except ImportError as error:
        raise InputError(f'the export needs bioimageio.spec ({error}); {_INSTALL}') from error
    return bioimageio.spec


def _described(
    spec: Any, model: ScoreModel, folder: Path, name: str, authors: tuple[str, ...], licence: str
) -> Any:
    """The files of the package in a folder, and their checked description."""
    v0_5 = spec.model.v0_5
    network = CleanLevel(model)
    multiple = network.network.size_multiple
    halo = round_up(network.network.receptive_radius, multiple)
    least = 2 * halo + multiple
    z = torch.from_numpy(_test_input(model, round_up(max(least, _TEST_SIZE), multiple)))
    script, readme = folder / 'network.pt', folder / 'README.md'
    places = folder / 'test_input.npy', folder / 'test_output.npy'
    with torch.no_grad(), warnings.catch_warnings():
        # the zoo supports TorchScript, but not its successor yet
        warnings.simplefilter('ignore', DeprecationWarning)
        # a network that can see a context takes the way for planes by themselves
        warnings.filterwarnings('ignore', '.* might cause the trace to be incorrect')
        traced = torch.jit.trace(network, z)  # type: ignore[no-untyped-call]
        traced.save(str(script))
    for place, values in zip(places, (z, network(z)), strict=True):
        np.save(place, values.numpy())
    readme.write_text(_readme(model), encoding='utf-8')
    axes = [
        v0_5.SpaceInputAxis(id=axis, size=v0_5.ParameterizedSize(min=least, step=multiple))
        for axis in 'yx'
    ]

    def tensor(id_: str, place: Path, spatial: list[Any], words: str, kind: Any) -> Any:
        return kind(
            id=id_,
            description=words,
            axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=['level']), *spatial],
            test_tensor=spec.common.FileDescr(source=place),
            data=v0_5.IntervalOrRatioDataDescr(type='float32'),
        )

    out = [
        v0_5.SpaceOutputAxisWithHalo(
            id=axis, halo=halo, size=v0_5.SizeReference(tensor_id='noisy', axis_id=axis)
        )
        for axis in 'yx'
    ]
    try:
        return v0_5.ModelDescr(
            name=name,
            description='Clean level of a noisy image in the unit-noise coordinate (Noise2Score)',
            authors=[v0_5.Author(name=author) for author in authors],
            cite=[v0_5.CiteEntry(text='Noise2Score (Kim & Ye, 2021)', doi=v0_5.Doi(_PAPER))],
            license=v0_5.LicenseId(licence),
            documentation=spec.common.FileDescr(source=readme),
            tags=['denoising', 'noise2score', 'self-supervised', '2d', 'pytorch'],
            inputs=[
                tensor(
                    'noisy',
                    places[0],
                    axes,
                    'Noisy image in its unit-noise coordinate: white noise of variance 1',
                    v0_5.InputTensorDescr,
                )
            ],
            outputs=[
                tensor(
                    'clean',
                    places[1],
                    out,
                    'Clean level in the same coordinate; the score is clean - noisy',
                    v0_5.OutputTensorDescr,
                )
            ],
            weights=v0_5.WeightsDescr(
                torchscript=v0_5.TorchscriptWeightsDescr(
                    source=script,
                    pytorch_version=v0_5.Version(torch.__version__.split('+')[0]),
                )
            ),
            config=v0_5.Config(noise2score={'sha256': model.digest, 'card': card_of(model)}),
        )
    except ValueError as error:  # a ValidationError of pydantic is one
        text = shorten(str(error), _LONGEST)
        raise InputError(f'the description is not acceptable to bioimage.io: {text}') from error


def _test_input(model: ScoreModel, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A smooth image around the centre of the model, with noise of variance one, (1, 1, Y, X)."""
    y, x = np.mgrid[:size, :size] / size
    clean = 4 * np.sin(9 * x) * np.cos(7 * y) + float(model.network.centre)
    noise = np.random.default_rng(0).normal(size=(size, size))
    return np.asarray((clean + noise).astype(np.float32)[None, None])


def _readme(model: ScoreModel) -> str:
    card = '\n'.join(f'* {heading}: {text}' for heading, text in card_of(model).items())
    return f"""# Noise2Score network

Denoises microscope images. It was trained without clean images. **Input and output are in the
unit-noise coordinate, not in grey levels**: in this coordinate the noise is white (independent
between pixels) and has the variance 1. A raw image must be converted to the coordinate first, and
the output converted back to grey levels.

{card}

## Conversion

For grey levels y of a detector with gain g, offset o and read noise s (standard deviation, grey
levels), the coordinate is the generalised Anscombe transform

    t = (2 / g) sqrt(g (y - o) + s^2 + (3/8) g^2)

and t = y / s for Gaussian noise of standard deviation s. The output is the clean level D: the mean
of t over many noisy images of the same scene. Convert it back with the *exact unbiased* inverse of
the transform (Makitalo & Foi 2013), not with its algebraic inverse. The score of the image is
D - t. In Python `napari_noise2score` does all of this:

    from napari_noise2score import denoise
    result = denoise(image, 'TYX', seconds=0)

## Validation

Compare the noisy and the clean image: the difference D - t must be noise with a variance near 1,
without the outlines of the sample.

## Limits

The model is for images with independent pixels and more than a few photons per pixel. It was
trained on the images named above. Apply it to images with similar levels in this coordinate, or
train a new model with napari-noise2score, which takes a minute and needs no clean images.
"""
