"""A viewer with the panel in it, and small noisy stacks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils._proxies import PublicOnlyProxy

from napari_noise2score._widget.jobs.loading import warm_up
from napari_noise2score._widget.preferences import built_in
from tests.napari.helpers import noisy_stack, panel_in
from tests.napari.shared_viewer import SharedViewer

LONGEST_WAIT = 120_000


@pytest.fixture(autouse=True, scope='session')
def _modules_are_no_garbage() -> None:
    """napari collects garbage four times a viewer; objects of modules need no looking at."""
    warm_up()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _quick(one_pass: None) -> None:
    """Tests of the panel need no mean of several views, and no other frames."""


@pytest.fixture
def stack() -> np.ndarray:
    return noisy_stack()


@pytest.fixture(scope='session')
def shared_viewer(qapp: Any, _modules_are_no_garbage: None) -> Iterator[SharedViewer]:
    """The viewer of all tests of a process that neither close it nor show it."""
    shared = SharedViewer()
    yield shared
    shared.close()


@pytest.fixture
def viewer(shared_viewer: SharedViewer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A viewer without layers, as plugins get it; it is cleared after the test."""
    monkeypatch.setenv('NAPARI_ENSURE_PLUGIN_MAIN_THREAD', 'True')
    get_settings().reset()
    yield PublicOnlyProxy(shared_viewer.viewer)
    shared_viewer.clear()


@pytest.fixture
def open_panel(viewer: Any) -> Callable[[], tuple[Any, Any]]:
    """Opens the panel in a viewer."""
    return lambda: (viewer, panel_in(viewer))


@pytest.fixture
def idle(qtbot: Any) -> Callable[[Any], None]:
    """Waits until the panel has nothing to do."""

    def wait(panel: Any) -> None:
        qtbot.waitUntil(lambda: panel.controller.run.idle, timeout=LONGEST_WAIT)

    return wait


@pytest.fixture
def running(qtbot: Any) -> Callable[[Any], None]:
    """Waits until the training has done some steps."""

    def wait(panel: Any) -> None:
        qtbot.waitUntil(lambda: 'step' in panel.status.text(), timeout=LONGEST_WAIT)

    return wait


@pytest.fixture(autouse=True)
def _own_list_of_recent_models(tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests leave the user's own list as it is."""
    file = tmp_path_factory.mktemp('settings') / 'recent.json'
    monkeypatch.setattr('napari_noise2score._widget.control.recent.default_file', lambda: file)
    last = file.with_name('last.safetensors')
    for module in ('autosave', 'views.model_box', 'jobs.models'):
        monkeypatch.setattr(f'napari_noise2score._widget.{module}.default_file', lambda: last)


@pytest.fixture(autouse=True)
def stored_runs(tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the panel stores its trainings in a test."""
    folder: Path = tmp_path_factory.mktemp('data') / 'interrupted'
    monkeypatch.setattr('napari_noise2score._widget.stored_run.default_folder', lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def _built_in_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not depend on what the user prefers."""
    monkeypatch.setattr('napari_noise2score._widget.panel.preferences', built_in)
