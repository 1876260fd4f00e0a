"""Writes napari's Preferences into the manifest, from the fields of the settings.

python docs/write_preferences.py
"""

from __future__ import annotations

from pathlib import Path

import yaml

import napari_noise2score
from napari_noise2score._widget.preferences import configurations

MANIFEST = Path(napari_noise2score.__file__).with_name('napari.yaml')
_KEY = '  configurations:\n'


def manifest(text: str) -> str:
    """A manifest with the configurations of now, which are its last part."""
    declared = yaml.safe_dump(configurations(), sort_keys=False, width=95, indent=2)
    lines = [f'    {line}\n' for line in declared.splitlines()]
    return text.partition(_KEY)[0] + _KEY + ''.join(lines)


if __name__ == '__main__':
    MANIFEST.write_text(manifest(MANIFEST.read_text(encoding='utf-8')), encoding='utf-8')
