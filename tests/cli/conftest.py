"""What several tests of the command line need."""

import pytest


@pytest.fixture
def one_view(monkeypatch) -> None:
    """Results from one view instead of eight, which tests of files need not wait for."""
    monkeypatch.setattr('napari_noise2score.settings.denoising.MOST_VIEWS', 1)
