"""Texts of the panel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from napari_noise2score._widget.control.runner import FinishReason, JobKind, Phase, RunnerStatus
from napari_noise2score._widget.jobs import Estimated, Stage, Update
from napari_noise2score.analysis.smoothing import smoothing_words
from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.images.axes import place_words
from napari_noise2score.memory import available, in_words, ran_out
from napari_noise2score.noise.calibration.calibrate import Calibration
from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.families import (
    Gaussian,
    NoiseFamily,
    PoissonGaussian,
    parameters_of,
)
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.settings import Context

_MOST_PLACES = 6
"""Maximum number of decimal places; a smaller number is written with its power of ten."""

_LISTED = 4
"""Maximum number of listed estimates."""

_STAGES = {
    Stage.LOAD: 'Loading PyTorch ...',
    Stage.EXPORT: 'Exporting the model ...',
    Stage.CALIBRATE: 'Measuring on the calibration frames ...',
    Stage.ESTIMATE: 'Estimating the noise ...',
    Stage.PREVIEW: 'Applying the pretrained weights ...',
}
"""Texts of stages without a known duration."""

_DOING = {
    Stage.COMPARE: 'Comparing',
    Stage.REPORT: 'Measuring for the report',
    Stage.CORRECT: 'Correcting',
    Stage.SAVE: 'Correcting and saving',
}
"""Texts of stages with a known duration."""

_COMPLETED: dict[JobKind | None, str] = {
    JobKind.ESTIMATING: 'The noise was estimated.',
    JobKind.CALIBRATING: 'The noise was measured on the calibration frames.',
    JobKind.LOADING: 'The model was loaded.',
    JobKind.EXPORTING: 'The model was exported.',
    JobKind.REPORTING: 'The report was written.',
}
"""Final texts of jobs that add no layer."""

_UNFINISHED: dict[FinishReason | None, str] = {
    FinishReason.FAILED: 'Failed; see below.',
    FinishReason.CANCELLED: 'Cancelled.',
}
"""Final texts of jobs without a result."""


def parameter_label(name: str) -> str:
    """Name of a parameter in a sentence."""
    return name.replace('_', ' ')


def noise_words(family: NoiseFamily, errors: dict[str, float]) -> str:
    """A noise model with its standard errors: ``Poisson-Gaussian: gain 4.02 ± 0.03 ...``."""
    words = parameter_words(type(family), family.parameters(), errors)
    return f'{family.label}: {words}' if words else family.label


def parameter_words(
    family: type[NoiseFamily], values: Mapping[str, float], errors: Mapping[str, float]
) -> str:
    """Parameters of a family with units and standard errors; read noise also in photons."""
    parts = []
    for name, spec in parameters_of(family).items():
        if name not in values:
            continue
        value, error = values[name], errors.get(name)
        number = digits(value)
        if error and math.isfinite(error):
            places = max(0, 1 - math.floor(math.log10(error)))
            shown = [f'{one:.{places}f}' for one in (value, error)]
            if places > _MOST_PLACES:
                shown = [digits(value, error / 10), f'{error:.2g}']
            number = '\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}'.join(shown)
        words = f'{parameter_label(name)} {number} {spec.metadata["unit"]}'.rstrip()
        if name == 'read_noise' and value > 0 and 'gain' in values:
            words += f' ({value / values["gain"]:.2g} photons)'
        parts.append(words)
    return ', '.join(parts)


def calibration_words(calibration: Calibration) -> str:
    """Parameters from calibration frames, and those that are estimated from the image."""
    words = parameter_words(PoissonGaussian, calibration.parameters, calibration.errors)
    lines = [f'From {calibration.source}: {words}; {calibration.correlation.words}.']
    if calibration.missing:
        missing = ' and '.join(parameter_label(name) for name in calibration.missing)
        lines.append(f'Estimated from the image: {missing}.')
    return '\n'.join([*lines, *(f'Note: {note}' for note in calibration.notes)])


def channel_words(estimate: Estimated) -> str:
    """Layer and channel of an estimate."""
    place = place_words(estimate.place)
    return f'{estimate.source.name} ({place})' if place else estimate.source.name


def estimate_words(estimates: Sequence[Estimated]) -> str:
    """Noise estimates in words, with their warnings."""
    lines = []
    more = len(estimates) - _LISTED
    for estimate in estimates[: len(estimates) if more <= 1 else _LISTED]:
        fit = estimate.fit
        frames = f'{fit.evidence.method}, {fit.frames} frames' if fit.frames > 1 else 'one frame'
        words = noise_words(fit.family, fit.errors)
        lines.append(
            f'{channel_words(estimate)} - {words}; {fit.correlation_words} (from {frames}).'
        )
        lines += [f'Note: {warning}' for warning in fit.warnings]
    if more > 1:
        lines.append(f'... and {more} more, in the report of the result.')
    return '\n'.join(lines)


def time_words(seconds: float) -> str:
    """A remaining time: ``45 s`` or ``3 min 05 s``."""
    whole = max(0, round(seconds))
    return f'{whole} s' if whole < 60 else f'{whole // 60} min {whole % 60:02d} s'


def age_words(seconds: float) -> str:
    """How long ago something was: ``4 min ago``."""
    for unit, length in (('days', 86400), ('h', 3600), ('min', 60)):
        if seconds >= 2 * length or (unit == 'min' and seconds >= length):
            return f'{seconds / length:.0f} {unit} ago'
    return 'less than a minute ago'


def offer_words(names: Sequence[str], steps: int, age: float) -> str:
    """The question whether to continue an interrupted training of layers."""
    more = len(names) - _LISTED
    shown = ', '.join(names[:_LISTED]) + (f' and {more} more' if more > 0 else '')
    count = f'{steps} step{"" if steps == 1 else "s"}'
    return f'Continue the interrupted training of {shown} ({count}, {age_words(age)})?'


def update_words(update: Update) -> str:
    """Progress of a job."""
    left = '' if update.left is None else f', {time_words(update.left)} left'
    if update.stage is Stage.TRAIN:
        loss = f'loss {update.loss:.3f}{_gain(update)}'
        return f'Training{_part(update)}: {_steps(update)}, {loss}{left}'
    text = _STAGES.get(update.stage)
    if text is not None:
        return text
    return f'{_DOING[update.stage]}: {100 * update.fraction:.0f} %{left}'


def busy_words(run: RunnerStatus, stage: Stage) -> str:
    """Message that another job cannot be started, because one is running in this stage."""
    correcting = run.job is JobKind.TRAINING and stage.applies_model
    doing = JobKind.CORRECTING if correcting else run.job
    phase = '' if run.phase is Phase.RUNNING else f' ({run.phase})'
    return (
        f'One run at a time: the panel is still {doing}{phase}. Wait until it ends, or press Stop.'
    )


def end_words(run: RunnerStatus, added: int, failed: int, has_model: bool) -> tuple[str, float]:
    """Final text of a job, and its completed share.

    Parameters
    ----------
    run : RunnerStatus
        The job and the reason of its end.
    added, failed : int
        Number of added layers, and of layers that could not be corrected.
    has_model : bool
        Whether there is a model in use.
    """
    reason = run.reason
    if reason is not FinishReason.CANCELLED and failed and not added:
        reason = FinishReason.FAILED
    if reason in _UNFINISHED:
        model = ' The trained model is still available.' if has_model else ''
        return f'{_UNFINISHED[reason]}{model}', 0.0
    if run.job in _COMPLETED:
        return _COMPLETED[run.job], 1.0
    if not added:
        return 'Stopped before the first training step; there is no result.', 0.0
    count = 'one layer' if added == 1 else f'{added} layers'
    if failed:
        return f'{count.capitalize()} added, {failed} failed; see below.', 1.0
    return f'Done: {count} added.', 1.0


def _part(update: Update) -> str:
    """Number of the training, if there are several."""
    return '' if update.part in (None, (1, 1)) else ' {} of {}'.format(*update.part)


def _steps(update: Update) -> str:
    """Number of steps, and steps per second."""
    speed = update.step / update.spent if update.step and update.spent else 0.0
    return f'step {update.step} ({speed:.3g} per second)' if speed else f'step {update.step}'


def _gain(update: Update) -> str:
    """Gain of the training so far."""
    if update.start_risk is None or update.risk is None or update.start_risk <= 0:
        return ''
    gain = 100 * (1 - update.risk / update.start_risk)
    return f', error {gain:.0f} % lower than at the start'


def change_name(source: str) -> str:
    """Name of a layer with the effect of a training."""
    return f'{source} changed by training'


def residual_name(source: str) -> str:
    """Name of a layer with the removed noise."""
    return f'{source} removed noise'


def split_name(source: str) -> str:
    """Name of a layer that is noisy on the left and clean on the right."""
    return f'{source} noisy | clean'


def preview_name(source: str) -> str:
    """Name of a preview layer, which the result of the training replaces."""
    return f'{source} preview'


def result_name(
    source: str,
    families: Sequence[NoiseFamily],
    correction: Correction,
    context: Context = Context.AUTO,
) -> str:
    """Name of a result: its source, the noise model, the correction, and *none* as context."""
    if not families:
        return f'{source} (constant, unchanged)'
    words = [' + '.join(dict.fromkeys(family.label for family in families))]
    one_formula = all(isinstance(family, Gaussian) for family in families)
    if not one_formula:
        words.append(str(correction))
    if context is Context.NONE:
        words.append('context none')
    return f'{source} denoised ({", ".join(words)})'


def result_notes(
    name: str, report: Mapping[str, Any], trainings: Sequence[dict[str, Any]]
) -> tuple[str, ...]:
    """What there is to say of a result: its warnings, what was gained, and what was smoothed.

    ``name`` is that of its image, and ``trainings`` are those of its models.
    """
    gains = [gain_words(training) for training in trainings]
    if len(gains) > 1:
        gains = [f'{len(gains)} models were trained; the report lists the gain of each.']
    warnings = (f'{name}: {note}' for note in report['warnings'])
    return (*warnings, *filter(None, gains), *smoothing_words(report))


def error_words(error: Exception) -> str:
    """Message of an error for the user: the problem and a remedy.

    Errors of this package contain both. A remedy is added for lack of memory and for file errors;
    other errors are for the maintainers of the plugin.
    """
    if isinstance(error, (InputError, TrainingError, CheckpointError)):
        return str(error)
    if ran_out(error):
        return (
            f'There is not enough memory; {in_words(available())} are free. Choose a region or '
            'fewer frames, close other programs, or choose another device ("More settings").'
        )
    if isinstance(error, OSError) and error.strerror:
        name = '' if error.filename is None else f'{error.filename}: '
        return f'{name}{error.strerror}. Check the file, its folder and the disk, and try again.'
    details = f'{type(error).__name__}: {error}'.rstrip(': ')
    return (
        f'An unexpected error occurred ({details}). Your layers are unchanged, and you can try '
        'again. If it occurs again, please report it, with the image and the settings if '
        'possible.'
    )
