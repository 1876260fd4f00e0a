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

    SIDE, PART, FRAMES = 2048, 1024, 2400

    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    light = 60 + 40 * np.sin(y / 15) * np.cos(x / 19)
    root = np.sqrt(light)
    # noise that is drawn once, and another part of it for each block: a block is made quickly
    drawn = np.random.default_rng(0).standard_normal((PART, 2 * PART), np.float32)

    def noisy(block_info=None):
        at = tuple(slice(*side) for side in block_info[None]['array-location'][1:])
        frame, row, column = block_info[None]['chunk-location']
        shift = (389 * frame + 97 * row + 211 * column) % PART
        noise = drawn[:, shift : shift + PART]
        return (100 + 3 * (light[at] + noise * root[at]))[None].astype(np.uint16)

    chunks = ((1,) * FRAMES, (PART,) * (SIDE // PART), (PART,) * (SIDE // PART))
    stack = da.map_blocks(noisy, chunks=chunks, dtype=np.uint16)
    assert stack.nbytes > 20e9

    viewer = napari.Viewer()
    layer = viewer.add_image(stack, name='large', contrast_limits=(0, 600))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    QTest.qWait(1000)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    idle = peak()
    corners = np.array([[700, 400], [700, 496], [796, 496], [796, 400]])
    shapes = viewer.add_shapes([corners])
    panel.layers.tick([layer])
    panel.region.where.value = getattr(shapes, '__wrapped__', shapes)
    panel.region.frames.value = '100-101'
    panel.region.clean.value = 'part'
    panel.form.seconds.value = 1
    panel.train.native.click()
    for _ in range(3000):
        QTest.qWait(100)
        if panel.controller.run.idle:
            break
    result = viewer.layers[1]
    truth = stack[100:102, 700:796, 400:496].compute()
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
    assert said['shape'] == '2 96 96', done.stdout
    before, after = (float(value) for value in said['means'].split())
    assert after == pytest.approx(before, rel=0.01)
    assert 'Error' not in said['text']
    assert int(done.stdout.split('above idle')[1].split()[0]) < 2e9
