"""Jobs that load and export models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score._widget.autosave import default_file
from napari_noise2score._widget.jobs.events import Job, Stage, Trained, Update
from napari_noise2score._widget.jobs.loading import load_torch
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel


def load_job(path: Path) -> Job:
    """Read a model file.

    The autosaved one has no path: the next training writes other weights to that file.
    """
    yield Update(Stage.LOAD, 0.0)
    load_torch()
    from napari_noise2score.score.model import ScoreModel

    model = ScoreModel.load(path)
    kept = None if path == default_file() else path
    yield Trained(model, DenoiseSettings(), path=kept, loaded=True)


def export_job(model: ScoreModel, path: Path, name: str) -> Job:
    """Write a model as a package for bioimage.io."""
    yield Update(Stage.EXPORT, 0.0)
    load_torch()
    from napari_noise2score.analysis.bioimageio import export_bioimageio

    export_bioimageio(model, path, name=name)
