"""What a result was made from and with: the record in a report and in a layer's metadata."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_noise2score.pipeline import Corrected, DenoiseSettings, ScoreMap
    from napari_noise2score.score.model import ScoreModel


def describe(
    corrected: Corrected, score_map: ScoreMap, model: ScoreModel, settings: DenoiseSettings
) -> dict[str, Any]:
    """Report of a result: settings, noise, checks, versions; plain values."""
    prepared = score_map.prepared
    channels = []
    warnings: list[str] = []
    for channel, family, check in zip(
        prepared.channels, corrected.families, corrected.checks, strict=True
    ):
        estimate = channel.fit.to_dict() if channel.fit is not None else None
        channels.append(
            {
                'place': channel.channel.place,
                'noise': family.to_dict(),
                'estimate': estimate,
                'residual': check.to_dict(),
            }
        )
        warnings += [*(channel.fit.warnings if channel.fit is not None else ()), *check.warnings]
    return {
        'source': prepared.source.name,
        'shape': list(prepared.source.shape),
        'axes': prepared.source.axes,
        'correction': str(corrected.correction),
        'settings': settings.to_dict(),
        'channels': channels,
        'training': model.training,
        'trained_on': model.data.get('images', []),
        'warnings': list(dict.fromkeys(warnings)),
        'versions': versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {'python': platform.python_version()}
    for name in ('napari-noise2score', 'torch', 'numpy', 'scipy'):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'not installed'
    return found
