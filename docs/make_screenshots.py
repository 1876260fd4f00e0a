"""Makes the screenshots of the documentation from the real panel and a real training.

xvfb-run -a -s '-screen 0 1400x900x24' python docs/make_screenshots.py
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtTest import QTest

import napari
from napari_noise2score._widget import samples

IMAGES = Path(__file__).parent / 'images'


def wait_until_idle(panel: Any, longest: float) -> None:
    """Let the viewer run until the panel has nothing to do."""
    until = time.perf_counter() + longest
    while panel.controller.state != 'idle':
        if time.perf_counter() > until:
            raise TimeoutError(f'the panel is still {panel.controller.state}')
        QTest.qWait(50)
    QTest.qWait(500)


def main() -> None:
    """Write panel-before, panel-training and panel-after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--scene', default='filaments')
    parser.add_argument('--theme', default='dark')
    parser.add_argument('--output', type=Path, default=IMAGES)
    arguments = parser.parse_args()

    viewer = napari.Viewer()
    viewer.theme = arguments.theme
    viewer.window.resize(1280, 720)
    for data in getattr(samples, arguments.scene)():
        viewer.add_layer(Layer.create(*data))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    QTest.qWait(8000)  # PyTorch loads
    viewer.reset_view()

    def shoot(name: str) -> None:
        path = arguments.output / f'panel-{name}.png'
        viewer.window.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    shoot('before')
    panel.noise.estimate.native.click()
    wait_until_idle(panel, 60)
    panel.form.seconds.value = arguments.seconds
    panel.train.native.click()
    QTest.qWait(500 * arguments.seconds)
    shoot('training')
    wait_until_idle(panel, arguments.seconds + 120)
    shoot('after')
    viewer.close()


if __name__ == '__main__':
    main()
