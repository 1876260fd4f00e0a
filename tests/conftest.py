"""What every test needs: a display for the viewer tests, or a clear word about it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_noise2score.score.cores import usable_cores
from tests.quick import few_trials, small_batches

# Tests may run in several processes (pytest -n): these share the processor, as the threads of
# PyTorch and NumPy would not by themselves. Before anything loads those.
if (processes := int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))) > 1:
    cores = usable_cores() or os.cpu_count() or 1
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, cores // processes)))

NAPARI_TESTS = Path(__file__).parent / 'napari'

NO_DISPLAY = (
    'The tests in tests/napari open a viewer and found no display (neither DISPLAY nor '
    'WAYLAND_DISPLAY is set). Run them under "xvfb-run -a". On Debian and Ubuntu: '
    'apt-get install xvfb libegl1 libgl1 libgl1-mesa-dri libglx-mesa0 libxkbcommon-x11-0 '
    'libxcb-cursor0 libdbus-1-3 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 '
    'libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libfontconfig1'
)
NO_NAPARI = (
    'The tests in tests/napari need napari and Qt: pip install "napari-noise2score[all,test]"'
)


@pytest.fixture(autouse=True)
def _own_share_of_the_processor() -> None:
    """Each test begins with the threads that its process may use.

    napari draws Labels with Numba, which sets OpenMP's number of threads, and so PyTorch's, to
    that of all cores.
    """
    torch, threads = sys.modules.get('torch'), os.environ.get('OMP_NUM_THREADS')
    if torch is not None and threads is not None:
        torch.set_num_threads(int(threads))


@pytest.fixture(scope='module')
def with_few_trials() -> Iterator[None]:
    """Quicker results in a module whose subject is not how good they are said to be."""
    with few_trials():
        yield


@pytest.fixture(scope='module')
def with_small_batches() -> Iterator[None]:
    """Quicker trainings in a module whose subject is not what is learned."""
    with small_batches():
        yield


@pytest.fixture(scope='module')
def one_pass(with_few_trials: None, with_small_batches: None) -> Iterator[None]:
    """Quicker results in a module where none of this is the subject: few trials, small batches,
    one view of the image instead of up to four, and each plane by itself unless a context is
    requested.
    """
    from napari_noise2score.settings.choices import Context

    axis_of = Context.axis_of

    def requested(context: Context, *of: Any, **more: Any) -> str | None:
        return None if context is Context.AUTO else axis_of(context, *of, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('napari_noise2score.settings.denoising.VIEWS', 1)
        patch.setattr(Context, 'axis_of', requested)
        yield


@pytest.fixture
def bioio_reader(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install the reader in bioio_fake.py as a package does; returns the end of its files."""
    site = tmp_path_factory.mktemp('site')
    shutil.copy(Path(__file__).parent / 'bioio_fake.py', site)
    about = site / 'bioio_nd2-0.0.dist-info'
    about.mkdir()
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: bioio-nd2\nVersion: 0.0\n')
    (about / 'entry_points.txt').write_text('[bioio.readers]\nbioio-nd2 = bioio_fake\n')
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, 'bioio_fake', raising=False)
    return '.nd2'


def _ci() -> bool:
    return os.environ.get('CI', '').lower() not in ('', '0', 'false')


def _missing() -> str | None:
    """Why the viewer tests cannot run here, if they cannot."""
    if importlib.util.find_spec('napari') is None or importlib.util.find_spec('pytestqt') is None:
        return NO_NAPARI
    x11_or_wayland = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    if sys.platform.startswith('linux') and not x11_or_wayland:
        return NO_DISPLAY
    return None


LEFT_OUT = pytest.StashKey[str]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without napari or a display: leave the viewer tests out, but never in CI."""
    if collection_path != NAPARI_TESTS or (reason := _missing()) is None:
        return None
    if _ci():
        raise pytest.UsageError(reason)
    config.stash[LEFT_OUT] = reason
    return True


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if (reason := config.stash.get(LEFT_OUT, None)) is not None:
        terminalreporter.write_sep('-', 'viewer tests left out')
        terminalreporter.write_line(reason)
