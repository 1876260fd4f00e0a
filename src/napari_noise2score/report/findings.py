"""All that a report measures, channel by channel."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.pipeline.refine import prepare_image
from napari_noise2score.report.agreement import Agreement, agreement
from napari_noise2score.report.places import Place, worst_places
from napari_noise2score.report.processing import Processing, processing_of
from napari_noise2score.report.response import Response, response_of
from napari_noise2score.report.sample import Pair, numbers_of, pairs_of, window_of
from napari_noise2score.report.spectra import Spectra, spectra
from napari_noise2score.report.units import Units, units_of

_SMOOTH = 0.3
"""Correlation of neighbouring pixels of an image that was smoothed, resized or demosaicked."""


@dataclass(frozen=True, slots=True)
class MeasureProgress:
    """How much of the measurements is done, 0 to 1."""

    fraction: float
    stage: str = 'measure'


@dataclass(frozen=True, slots=True, eq=False)
class ResultFindings:
    """What was measured on a clean channel.

    Attributes
    ----------
    units : Units
        Whether its grey levels are those of the noisy one; they were matched if not.
    agreement : Agreement
        What was removed, against the noise model.
    spectra : Spectra or None
        Power by spatial frequency; None for small images.
    places : sequence of Place
        Where the two agree least.
    response : Response or None
        What was smoothed in time or depth; None for few planes.
    unchanged : bool
        Whether it is the noisy image.
    """

    units: Units
    agreement: Agreement
    spectra: Spectra | None
    places: Sequence[Place]
    response: Response | None
    unchanged: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'units': {'scale': self.units.scale, 'offset': self.units.offset},
            'removed': self.agreement.to_dict(),
            'spectra': self.spectra and self.spectra.to_dict(),
            'places': [place.to_dict() for place in self.places],
            'response': self.response and self.response.to_dict(),
            'unchanged': self.unchanged,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ChannelFindings:
    """What was measured on a channel.

    Attributes
    ----------
    noisy : Channel
        The channel.
    clean : Channel or None
        The clean one, if there is one.
    prepared : PreparedChannel or None
        Its noise model; None if it is constant.
    processing : Processing
        Traces of an earlier processing.
    result : ResultFindings or None
        What was measured on the clean one.
    warnings : sequence of str
        What the noise estimate noticed.
    """

    noisy: Channel
    clean: Channel | None
    prepared: PreparedChannel | None
    processing: Processing
    result: ResultFindings | None
    warnings: Sequence[str] = ()

    @property
    def is_smooth(self) -> bool:
        """Whether the noise of neighbouring pixels is as alike as after a smoothing."""
        fit = None if self.prepared is None else self.prepared.fit
        return fit is not None and fit.correlation.neighbours > _SMOOTH

    @property
    def was_processed(self) -> bool:
        """Whether the noisy image shows traces of an earlier processing."""
        processing = self.processing
        return self.is_smooth or processing.was_jpeg or processing.was_stretched

    @property
    def family(self) -> NoiseFamily | None:
        """The noise model."""
        return None if self.prepared is None else self.prepared.family

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        fit = None if self.prepared is None else self.prepared.fit
        return {
            'place': self.noisy.place,
            'noise': self.family and self.family.to_dict(),
            'correlation': self.prepared and self.prepared.correlation.to_dict(),
            'estimate': fit and fit.to_dict(),
            'processing': self.processing.to_dict(),
            'result': self.result and self.result.to_dict(),
            'warnings': list(self.warnings),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was measured on an image.

    Attributes
    ----------
    noisy : ImageSource
        The noisy image.
    clean : ImageSource or None
        The clean one.
    channels : sequence of ChannelFindings
        Its channels.
    stated : sequence of mapping
        Name, shape, axes, data type and checksum of the noisy image, and of the clean one.
    record : mapping
        What the result states of how it was made; empty if it states nothing.
    """

    noisy: ImageSource
    clean: ImageSource | None
    channels: Sequence[ChannelFindings]
    stated: Sequence[Mapping[str, Any]]
    record: Mapping[str, Any] = field(default_factory=dict)


def measure_steps(
    noisy: ImageSource,
    clean: ImageSource | None = None,
    request: NoiseRequest | None = None,
    record: Mapping[str, Any] | None = None,
    device: str = 'auto',
) -> Generator[MeasureProgress, None, Findings]:
    """Measure what a report says.

    Parameters
    ----------
    noisy : ImageSource
        The noisy image.
    clean : ImageSource, optional
        A clean image of the same shape and axes, of any program; its grey levels may differ by a
        scale and an offset.
    request : NoiseRequest, optional
        What is known of the noise; the rest is estimated from the noisy image.
    record : mapping, optional
        What the result states of how it was made.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Yields
    ------
    MeasureProgress
        After every part.

    Raises
    ------
    InputError
        If the two images differ in shape or axes, or every channel is constant.
    """
    if clean is not None and (noisy.shape != clean.shape or noisy.axes != clean.axes):
        raise InputError(
            f'{clean.name}: has the shape {clean.shape} ({clean.axes}), but {noisy.name} has '
            f'{noisy.shape} ({noisy.axes}); a clean image of the same shape and axes is needed'
        )
    yield MeasureProgress(0.0)
    prepared = prepare_image(noisy, request, device=device)
    models = {channel.channel.words: channel for channel in prepared.channels}
    found = []
    channels = noisy.channels()
    results = [None] * len(channels) if clean is None else clean.channels()
    for number, (channel, result) in enumerate(zip(channels, results, strict=True)):
        yield MeasureProgress((number + 0.3) / len(channels))
        found.append(_of_channel(channel, result, models.get(channel.words)))
        yield MeasureProgress((number + 1) / len(channels))
    stated = [_stated(image) for image in (noisy, clean) if image is not None]
    return Findings(noisy, clean, found, stated, record or {})


def _stated(image: ImageSource) -> dict[str, Any]:
    return {
        'name': image.name,
        'shape': list(image.shape),
        'axes': image.axes,
        'dtype': str(image.data.dtype),
        'crc32': f'{image.checksum():08x}',
    }


def _of_channel(
    noisy: Channel, clean: Channel | None, model: PreparedChannel | None
) -> ChannelFindings:
    middle = numbers_of(noisy)[len(numbers_of(noisy)) // 2]
    processing = processing_of(noisy.window(middle, window_of(noisy)))
    result = None
    warnings: list[str] = []
    if model is not None:
        if model.fit is not None:
            warnings += model.fit.warnings_for(model.family)
            if model.fit.rows.detected:
                warnings.append(f'{model.fit.rows.sentence}.')
        warnings += model.notes
        if clean is not None:
            result = _of_result(clean, model)
    return ChannelFindings(noisy, clean, model, processing, result, list(dict.fromkeys(warnings)))


def _of_result(clean: Channel, model: PreparedChannel) -> ResultFindings | None:
    noisy = model.channel
    as_they_are = _with_image(pairs_of(model, clean, None))
    if not as_they_are:
        return None
    units = units_of(as_they_are)
    pairs = as_they_are
    if not units.same or model.rows.detected or model.maps is not None:
        pairs = _with_image(pairs_of(model, clean, units.conversion))
    window = window_of(noisy)
    return ResultFindings(
        units=units,
        agreement=agreement(pairs),
        spectra=spectra(pairs, model.correlation),
        places=worst_places(pairs, (window.rows.start, window.columns.start)),
        response=response_of(noisy, clean, units.conversion),
        unchanged=all(np.array_equal(p.noisy, p.clean, equal_nan=True) for p in as_they_are),
    )


def _with_image(pairs: Iterable[Pair]) -> list[Pair]:
    """The planes that are not blank everywhere."""
    return [pair for pair in pairs if np.isfinite(pair.residual).any()]
