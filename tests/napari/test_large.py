"""A layer of 20 GB, read where it is looked at. In a process of its own, for its peak memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import resource
    import dask.array as da
    import napari
    import numpy as np
    import torch  # so that its size is no share of the peak of the run
    from qtpy.QtTest import QTest

    SIDE, FRAMES = 2048, 2400

    def noisy(block_info=None):
        place = block_info[None]['array-location']
        rng = np.random.default_rng([start for start, _ in place])
        y, x = np.mgrid[tuple(slice(*side) for side in place[1:])]
        light = 60 + 40 * np.sin(y / 15) * np.cos(x / 19)
        noise = rng.standard_normal(light.shape, np.float32) * np.sqrt(light)
        return (100 + 3 * (light + noise))[None].astype(np.uint16)

    chunks = ((1,) * FRAMES, (1024,) * (SIDE // 1024), (1024,) * (SIDE // 1024))
    stack = da.map_blocks(noisy, chunks=chunks, dtype=np.uint16)
    assert stack.nbytes > 20e9

    viewer = napari.Viewer()
    layer = viewer.add_image(stack, name='large', contrast_limits=(0, 600))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    QTest.qWait(1000)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    idle = peak()
    corners = np.array([[700, 400], [700, 592], [892, 592], [892, 400]])
    shapes = viewer.add_shapes([corners])
    panel.layers.tick([layer])
    panel.region.where.value = getattr(shapes, '__wrapped__', shapes)
    panel.region.frames.value = '100-103'
    panel.region.clean.value = 'part'
    panel.form.seconds.value = 1
    panel.train.native.click()
    for _ in range(3000):
        QTest.qWait(100)
        if panel.controller.run.idle:
            break
    result = viewer.layers[1]
    truth = stack[100:104, 700:892, 400:592].compute()
    print('shape', *result.data.shape)
    print('means', float(truth.mean()), float(result.data.mean()))
    print('spread', float(truth.std()), float(result.data.std()))
    print('above idle', peak() - idle)
    print('text', panel.messages.text().replace('\\n', ' '))
    viewer.close()
"""


@pytest.mark.slow
def test_a_region_of_a_layer_of_20_gb_in_less_than_2_gb():
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if ' ' in line)
    assert said['shape'] == '4 192 192', done.stdout
    before, after = (float(value) for value in said['means'].split())
    assert after == pytest.approx(before, rel=0.01)
    assert 'Error' not in said['text']
    assert int(done.stdout.split('above idle')[1].split()[0]) < 2e9
