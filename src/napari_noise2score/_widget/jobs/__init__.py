"""The jobs of the panel as plain generators: estimate, train, correct; without Qt and threads.

They yield results as soon as these are available, so a job that ends early loses nothing: a
trained model before it is applied, each clean image before the next one. PyTorch is loaded when
the first job needs it.

`events` has the events of jobs; `training`, `searching`, `correcting`, `comparing`, `reporting`,
`noise` and `models` have the jobs; `live_preview` corrects planes during a training; `saving`
writes results while they are computed; `loading` loads PyTorch.
"""

from __future__ import annotations

from napari_noise2score._widget.jobs.comparing import change_job, residual_job
from napari_noise2score._widget.jobs.correcting import correct_job, preview_job
from napari_noise2score._widget.jobs.events import (
    Calibrated,
    Changed,
    Estimated,
    Event,
    Failed,
    Found,
    Job,
    Live,
    MakeJob,
    Noted,
    Reported,
    Residual,
    Result,
    Scored,
    Stage,
    Trained,
    Update,
    View,
    Watched,
)
from napari_noise2score._widget.jobs.live_preview import PREVIEWED, LivePreview
from napari_noise2score._widget.jobs.loading import load_torch, one_core_free, warm_up
from napari_noise2score._widget.jobs.models import export_job, load_job
from napari_noise2score._widget.jobs.noise import calibrate_job, estimate_job
from napari_noise2score._widget.jobs.reporting import ToReport, report_job
from napari_noise2score._widget.jobs.saving import Destination
from napari_noise2score._widget.jobs.searching import search_job
from napari_noise2score._widget.jobs.training import train_job

__all__ = [
    'PREVIEWED',
    'Calibrated',
    'Changed',
    'Destination',
    'Estimated',
    'Event',
    'Failed',
    'Found',
    'Job',
    'Live',
    'LivePreview',
    'MakeJob',
    'Noted',
    'Reported',
    'Residual',
    'Result',
    'Scored',
    'Stage',
    'ToReport',
    'Trained',
    'Update',
    'View',
    'Watched',
    'calibrate_job',
    'change_job',
    'correct_job',
    'estimate_job',
    'export_job',
    'load_job',
    'load_torch',
    'one_core_free',
    'preview_job',
    'report_job',
    'residual_job',
    'search_job',
    'train_job',
    'warm_up',
]
