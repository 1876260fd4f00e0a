"""How long the viewer stalls while a score is trained, and how fast the panel opens.

    xvfb-run -a python benchmarks/gui_stall.py --seconds 20

A 10 ms timer runs in the viewer's thread. How much later it ticks is a stall: the longest
and the 99th percentile are printed for each stage of the run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest

import napari
from napari_noise2score.noise.families import PoissonGaussian

TICK_MS = 10


class Heartbeat:
    """Lateness of a timer in the viewer's thread, by what was going on."""

    def __init__(self) -> None:
        self.stage = 'start'
        self.gaps: dict[str, list[float]] = defaultdict(list)
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps[self.stage].append(max(0.0, now - self._last - TICK_MS / 1000))
        self._last = now

    def summary(self) -> dict[str, dict[str, float]]:
        """Longest stall and 99th percentile, ms, and the number of ticks, stage by stage."""
        return {
            stage: {
                'longest_ms': round(1000 * max(gaps), 1),
                'p99_ms': round(1000 * float(np.percentile(gaps, 99)), 1),
                'ticks': len(gaps),
            }
            for stage, gaps in self.gaps.items()
        }


def stack(size: int) -> np.ndarray:
    """Four noisy frames of a smooth random scene, (4, size, size) uint16."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    clean = 60 + 20 * np.sin(20 * x) * np.cos(17 * y) + 15 * np.sin(90 * x * y)
    noisy = PoissonGaussian(4, 20, 3).sample(np.broadcast_to(clean, (4, size, size)), rng)
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=20)
    parser.add_argument('--size', type=int, default=512)
    arguments = parser.parse_args()

    viewer = napari.Viewer()
    viewer.window.resize(1280, 720)
    viewer.add_image(stack(arguments.size), axis_labels=('t', 'y', 'x'), name='stack')
    QTest.qWait(1000)

    begin = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    QTest.qWait(1)
    opened = time.perf_counter() - begin

    beat = Heartbeat()
    beat.stage = 'PyTorch loads, panel idle'
    QTest.qWait(8000)
    show = panel.controller._handle_update

    def note_stage(update: object) -> None:
        beat.stage = f'training run: {update.stage}'
        show(update)

    panel.controller._handle_update = note_stage
    panel.form.seconds.value = arguments.seconds
    begin, previewed = time.perf_counter(), None
    panel.train.native.click()
    until = begin + arguments.seconds + 120
    while not panel.controller.run.idle and time.perf_counter() < until:
        QTest.qWait(20)
        if previewed is None and len(viewer.layers) > 1:
            previewed = round(time.perf_counter() - begin, 2)
    beat.stage = 'after'
    print(panel.status.text())
    trained = viewer.layers[-1].metadata['noise2score']['training']
    begin = time.perf_counter()
    panel.noise.family.value = 'poisson'
    panel.correct.native.click()
    while not panel.controller.run.idle:
        QTest.qWait(5)
    corrected = time.perf_counter() - begin
    print(
        json.dumps(
            {
                'panel_opens_s': round(opened, 3),
                'first_preview_s': previewed,
                'corrected_again_s': round(corrected, 2),
                'training_steps': trained['steps_done'],
                'stalls': beat.summary(),
            },
            indent=2,
        )
    )
    viewer.close()


if __name__ == '__main__':
    main()
