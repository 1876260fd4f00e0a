"""Makes the screenshots of the documentation from the real panel and a real training.

xvfb-run -a -s '-screen 0 1920x1700x24' python docs/make_screenshots.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.layers import Layer
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

import napari
from napari_noise2score._widget import samples
from napari_noise2score._widget.views.collapsible import Collapsible

IMAGES = Path(__file__).parent / 'images'
SMALL, USUAL, LARGE, TALL = (1024, 600), (1280, 720), (1920, 1080), (1280, 1640)
MARGIN, MARK = 36, '#c2410c'
"""Width of the column of numbers, pixels, and their colour."""


@dataclass(frozen=True)
class Picture:
    """What is taken at a stage of the work: in which theme, and how large the window is."""

    stage: str
    theme: str = 'dark'
    size: tuple[int, int] = USUAL

    @property
    def name(self) -> str:
        """Name of its file; the usual window in the dark theme goes without saying."""
        theme = '' if self.theme == 'dark' else f'-{self.theme}'
        size = '' if self.size == USUAL else f'-{self.size[0]}x{self.size[1]}'
        return f'panel-{self.stage}{theme}{size}.png'


GUIDE = [Picture(stage) for stage in ('before', 'training', 'after', 'compare')]
"""Those that the guide shows."""

OTHERS = [
    Picture('before', size=LARGE),
    Picture('before', 'light', SMALL),
    Picture('error'),
    Picture('error', 'light'),
    Picture('training', 'light'),
    Picture('after', size=LARGE),
    Picture('after', 'light'),
    Picture('compare', size=SMALL),
    Picture('compare', 'light', LARGE),
]
"""Those to look at after a change of the panel."""


def stages(viewer: Any, panel: Any, seconds: int) -> Iterator[str]:
    """Go through the work with the panel; the name of each stage once it is reached."""
    yield 'before'
    panel.noise.estimate.native.click()
    wait(lambda: panel.controller.run.idle, 60)
    panel.form.seconds.value = seconds
    panel.train.native.click()
    wait(lambda: 'step' in panel.status.text(), 60)
    QTest.qWait(700 * seconds)
    yield 'training'
    wait(lambda: panel.controller.run.idle, seconds + 300)
    yield 'after'
    panel.compare.split.native.click()
    yield 'compare'
    panel.compare.split.native.click()
    panel.layers.axes_of(panel.layers.layers()[0]).setCurrentText('QYX')
    panel.train.native.click()
    yield 'error'


def wait(done: Callable[[], bool], longest: float) -> None:
    """Let the viewer run until something is done."""
    until = time.perf_counter() + longest
    while not done():
        if time.perf_counter() > until:
            raise TimeoutError(f'not done after {longest} s')
        QTest.qWait(50)
    QTest.qWait(500)


def shoot(viewer: Any, panel: Any, picture: Picture, folder: Path) -> None:
    """Write a picture, with as many colours as a small file needs."""
    viewer.theme = picture.theme
    viewer.window.resize(*picture.size)
    QTest.qWait(400)
    viewer.reset_view()
    if picture.stage in ('after', 'compare'):
        panel.column.show_part(panel.compare)
    QTest.qWait(400)
    path = folder / picture.name
    viewer.window.screenshot(str(path), canvas_only=False, flash=False)
    whole = Image.open(path).convert('RGB')
    whole.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f'{path.stat().st_size / 1000:.0f} kB')


def annotate(viewer: Any, panel: Any, folder: Path) -> None:
    """Write a picture of the whole panel with the numbers that docs/panel.md has."""
    viewer.window.resize(*TALL)
    QTest.qWait(800)
    path = folder / 'panel-annotated.png'
    panel.grab().save(str(path))
    whole = Image.open(path).convert('RGB')
    picture = Image.new('RGB', (whole.width + MARGIN, whole.height), 'white')
    picture.paste(whole, (MARGIN, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    scale = whole.width / panel.width()
    corners = [part.mapTo(panel, QPoint(0, 0)) for part in parts(panel)]
    rows = [corner.y() for corner in corners]
    for number, (part, corner) in enumerate(zip(parts(panel), corners, strict=True), start=1):
        x, y = MARGIN / 2, corner.y() * scale + min(part.height() * scale / 2, 12)
        if sum(abs(row - corner.y()) < 10 for row in rows) > 1:  # beside others: above it
            x, y = MARGIN + (corner.x() + part.width() / 2) * scale, corner.y() * scale - 16
        else:
            draw.line((x, y, MARGIN + 5, y), fill=MARK, width=2)
        draw.ellipse((x - 12, y - 12, x + 12, y + 12), fill=MARK)
        draw.text((x, y), str(number), fill='white', font=font, anchor='mm')
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f'{path.stat().st_size / 1000:.0f} kB')


def parts(panel: Any) -> list[Any]:
    """Widgets of the parts, in the order of docs/panel.md."""
    region = panel.region.form.native
    while not isinstance(region, Collapsible):
        region = region.parentWidget()
    return [
        panel.layers,
        region,
        panel.noise,
        panel.form,
        panel.compare,
        panel.model,
        panel.copy.native,
        panel.train.native,
        panel.correct.native,
        panel.help.button.native,
        panel.messages,
    ]


def main() -> None:
    """Write the pictures of the guide, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--scene', default='filaments')
    parser.add_argument('--all', action='store_true', help='also those that the guide lacks')
    parser.add_argument('--output', type=Path, default=IMAGES)
    arguments = parser.parse_args()
    pictures = GUIDE + (OTHERS if arguments.all else [])

    viewer = napari.Viewer()
    viewer.window.resize(*USUAL)
    for data in getattr(samples, arguments.scene)():
        viewer.add_layer(Layer.create(*data))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    QTest.qWait(8000)  # PyTorch loads
    for stage in stages(viewer, panel, arguments.seconds):
        for picture in pictures:
            if picture.stage == stage:
                shoot(viewer, panel, picture, arguments.output)
        if stage == 'after':
            annotate(viewer, panel, arguments.output)
    viewer.close()


if __name__ == '__main__':
    main()
