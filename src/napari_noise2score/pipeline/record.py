"""Report of a result: its input, settings, noise, checks and software versions.

It is saved as a file and in the metadata of a layer.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING, Any

from napari_noise2score.pipeline.domain import misfits, risk_warning
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.plain import plain

if TYPE_CHECKING:
    from napari_noise2score.pipeline.results import Corrected, ScoreMap
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.settings import DenoiseSettings


def describe(
    corrected: Corrected, score_map: ScoreMap, settings: DenoiseSettings
) -> dict[str, Any]:
    """Report of a result: settings, noise, checks and versions, as plain values for JSON."""
    prepared, models = score_map.prepared, score_map.distinct
    channels: list[dict[str, Any]] = []
    warnings: list[str] = []
    for channel, family, check, evaluation, blank, beside, response in zip(
        prepared.channels,
        corrected.families,
        corrected.checks,
        score_map.evaluations,
        corrected.blank,
        score_map.beside or [None] * len(prepared.channels),
        score_map.responses or [{}] * len(prepared.channels),
        strict=True,
    ):
        estimate = channel.fit.to_dict() if channel.fit is not None else None
        channels.append(
            {
                'place': channel.channel.place,
                'noise': family.to_dict(),
                'correlation': channel.correlation.to_dict(),
                'row_noise': channel.rows.to_dict(),
                'pixel_maps': channel.maps and channel.maps.to_dict(),
                'estimate': estimate,
                'sigma_a': evaluation.sigma_a,
                'residual': check.to_dict(),
                'blank': blank,
                'context': beside
                and {
                    **beside.to_dict(),
                    'response': {name: one.to_dict() for name, one in response.items()},
                },
            }
        )
        if channel.fit is not None:
            warnings += channel.fit.warnings_for(family)
            if channel.correlation.is_white and not channel.fit.correlation.is_white:
                warnings.append(
                    'The noise is correlated between pixels but was treated as independent: '
                    'much of it remains in the result.'
                )
            if channel.fit.rows.detected:
                effect = (
                    'which were removed' if channel.rows.detected else 'which remain in the result'
                )
                warnings.append(f'{channel.fit.rows.sentence}, {effect}.')
        warnings += channel.notes
        warnings += check.warnings
    if corrected.clipped:
        share = 100 * corrected.clipped / corrected.image.size
        warnings.append(
            f'{corrected.clipped} values ({share:.2g} %) were outside the range of '
            f'{corrected.image.dtype} and were clipped to it.'
        )
    for channel, own, record in zip(prepared.channels, score_map.models, channels, strict=True):
        warnings += misfits(own, Prepared(prepared.source, (channel,)))
        if len(models) > 1:
            record.update(_of_model(own))
    warnings += [*score_map.warnings, *corrected.warnings]
    trusted = not score_map.noise_doubted
    worse = risk_warning(corrected.risks[corrected.correction]) if trusted else None
    warnings += [worse] if worse is not None else []
    constants: list[dict[str, Any]] = [
        {'place': channel.place, 'noise': None, 'blank': 1.0} for channel in prepared.constant
    ]
    every = sorted([*channels, *constants], key=lambda one: tuple(one['place'].values()))
    report: dict[str, Any] = {
        'source': prepared.source.name,
        'shape': list(prepared.source.shape),
        'axes': prepared.source.axes,
        'crc32': f'{score_map.checksum:08x}',
        'region': str(prepared.source.region),
        'dtype': str(corrected.image.dtype),
        'clipped': corrected.clipped,
        'correction': str(corrected.correction),
        'risk': {
            str(form): risk.to_dict(trusted=trusted) for form, risk in corrected.risks.items()
        },
        'risk_from_two_frames': corrected.risks[corrected.correction].two_frames,
        'settings': settings.to_dict(),
        'seed': settings.training.seed,
        'views': settings.views(score_map.prepared.source.size),
        'learned_context': bool(models) and models[0].network.settings.context,
        'channels': every,
        'scores': len(models),
        **(_of_model(models[0]) if models else {}),
        'trained_on': models[0].data.get('images', []) if models else [],
        'warnings': list(dict.fromkeys(warnings)),
        'versions': versions(),
    }
    plain_report: dict[str, Any] = plain(report)
    return plain_report


def with_notes(report: dict[str, Any], notes: Iterable[str]) -> dict[str, Any]:
    """A copy of a report in which notes on the file come before its warnings."""
    return {**report, 'warnings': [*notes, *report['warnings']]}


def _of_model(model: ScoreModel) -> dict[str, Any]:
    return {'model': {'sha256': model.digest}, 'training': model.training}


def versions() -> dict[str, str]:
    """Versions of the software on which a result depends."""
    numbers = {'python': platform.python_version()}
    for name in ('napari-noise2score', 'torch', 'numpy', 'scipy'):
        try:
            numbers[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            numbers[name] = 'not installed'
    return numbers
