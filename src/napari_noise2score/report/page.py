"""The report as one HTML page, and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from napari_noise2score.images.axes import place_words
from napari_noise2score.pipeline.record import versions
from napari_noise2score.plain import plain
from napari_noise2score.report.findings import ChannelFindings, Findings
from napari_noise2score.report.pictures import rows_of
from napari_noise2score.report.plots import plots_of
from napari_noise2score.report.sample import PLANES, numbers_of, window_of
from napari_noise2score.report.verdict import Verdict

_LEFT_OUT = 'channels', 'warnings', 'risk', 'training', 'trained_on', 'origin', 'file', 'crc32'
"""Parts of a record that are long, said elsewhere on the page, or of this machine alone."""


def as_json(findings: Findings, verdict: Verdict) -> dict[str, Any]:
    """The report as plain values: verdict, measurements, and what the result states of itself."""
    noisy, clean = [*findings.stated, None][:2]
    values: dict[str, Any] = plain(
        {
            'noisy': noisy,
            'clean': clean,
            'verdict': verdict.to_dict(),
            'channels': [channel.to_dict() for channel in findings.channels],
            'recipe': dict(findings.record),
            'versions': versions(),
        }
    )
    return values


def as_html(findings: Findings, verdict: Verdict) -> str:
    """The report as a page that needs no other file and no network."""
    environment = Environment(
        loader=PackageLoader('napari_noise2score.report', '.'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    several = len(findings.channels) > 1
    noisy, clean = findings.noisy, findings.clean
    title = noisy.name if clean is None else f'{clean.name}, from {noisy.name}'
    size = ' x '.join(map(str, noisy.shape))
    now = datetime.now().astimezone()
    return environment.get_template('page.html.j2').render(
        title=title,
        subtitle=f'{size} ({noisy.axes}); report of {now:%Y-%m-%d %H:%M}',
        has_clean=clean is not None,
        verdict=verdict,
        channels=[_channel(channel, several=several) for channel in findings.channels],
        facts=list(_facts(findings)),
        version=metadata.version('napari-noise2score'),
        looked_at=_looked_at(findings),
    )


def _channel(channel: ChannelFindings, *, several: bool) -> dict[str, Any]:
    rows = [
        {
            'title': row.title,
            'enlarged': row.enlarged,
            'pictures': [(caption, uri, row.ratio) for caption, uri in row.pictures],
        }
        for row in rows_of(channel)
    ]
    where = f': {place_words(channel.noisy.place)}' if several else ''
    return {'where': where, 'rows': rows, 'plots': plots_of(channel)}


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    """Names and values of all that was set and used."""
    for name, stated in zip(('noisy image', 'clean image'), findings.stated, strict=False):
        yield name, f'{stated["name"]}, {stated["dtype"]}, CRC-32 {stated["crc32"]}'
    for channel in findings.channels:
        if channel.family is not None:
            words = f'noise {channel.noisy.words}'.strip()
            yield f'{words}, as measured for this report', str(channel.family)
    shown = {k: v for k, v in findings.record.items() if k not in _LEFT_OUT}
    for image in findings.record.get('trained_on') or []:
        yield 'trained on', ' '.join(filter(None, (image.get('name'), image.get('region'))))
    yield from _flat(shown)
    if not findings.record:
        for name, version in versions().items():
            yield f'version: {name}', version


def _flat(values: Mapping[str, Any], before: str = '') -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        words = f'{before}{name.replace("_", " ")}'
        if isinstance(value, Mapping):
            yield from _flat(value, f'{words}: ')
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield words, ', '.join(map(str, value)) or 'none'
        else:
            yield words, 'default' if value is None else str(value)


def _looked_at(findings: Findings) -> str:
    channel = findings.channels[0].noisy
    numbers, (count, height, width) = numbers_of(channel), channel.shape
    window = window_of(channel)
    size = [part.stop - part.start for part in (window.rows, window.columns)]
    planes = f'all {count} planes' if len(numbers) == count else f'{PLANES} of {count} planes'
    if count == 1:
        planes = 'the plane'
    part = '' if size == [height, width] else f', the central {size[0]} x {size[1]} pixels of each'
    return f'{planes}{part}'
