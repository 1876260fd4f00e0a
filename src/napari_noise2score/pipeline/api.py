"""The four stages and the complete pipeline as plain functions, for scripts and notebooks.

    prepare -> train_score -> score_image -> correct_image

`denoise` runs all four. Each function returns its result at the end. The panel and the command
line iterate over the generators in `run` and `stages` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from napari_noise2score.errors import InputError
from napari_noise2score.files import PathLike
from napari_noise2score.images.axes import suggested_axes
from napari_noise2score.images.source import ImageSource
from napari_noise2score.memory import keeping_freed
from napari_noise2score.noise.arrays import check_array
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.array_kinds import ArrayKind
from napari_noise2score.pipeline.notebook import notebook_bar
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.refine import prepare_image
from napari_noise2score.pipeline.results import Denoised, Progress, ScoreMap
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.pipeline.saved_trainings import saved_trainings
from napari_noise2score.pipeline.stages import score_image_steps, train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop
from napari_noise2score.settings import VIEWS, Context, DenoiseSettings, TrainSettings


def prepare(
    image: ArrayLike | ImageSource,
    axes: str | None = None,
    noise: NoiseRequest | None = None,
    *,
    name: str = 'image',
    separate: str = '',
    device: str = 'auto',
) -> Prepared:
    """Give every channel of an image its noise model: the first stage.

    Parameters
    ----------
    image : array-like or ImageSource
        Grey levels, any real dtype and number of axes: NumPy, a memory map, dask, zarr or xarray.
        Planes are read one at a time, when they are needed.
    axes : str
        One letter of ``TCZYXS`` for each axis, such as ``'TYX'``. It is optional if the image has
        its axes: an `ImageSource`, or an xarray whose dimensions are such letters, or ``time``,
        ``channel``, ``depth``, ``row``, ``column``.
    noise : NoiseRequest, optional
        Known properties of the noise; the others are estimated for each channel.
    name : str
        Name of the image in messages and reports.
    separate : str
        Axes along which each position gets its own noise model, such as ``'T'``.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Returns
    -------
    Prepared
        The image with the noise models; ``channels[0].family`` is the first.

    Raises
    ------
    InputError
        If image and axes do not fit, if the noise is not given and cannot be estimated, or if
        every channel is constant.

    Notes
    -----
    The noise model defines the coordinate in which the noise has variance 1. One network learns
    all images in it (generalised Anscombe transform for photons with read noise [1]_).
    The correlation of the noise of a single image is measured on the residual of the pretrained
    network, in about a second; docs/method.md, "Correlation from one image".

    References
    ----------
    .. [1] Mäkitalo and Foi, Optimal inversion of the generalized Anscombe transformation for
       Poisson-Gaussian noise, IEEE Transactions on Image Processing 22 (2013).

    Examples
    --------
    >>> from napari_noise2score import NoiseRequest, prepare
    >>> from napari_noise2score.images.synthetic import synthetic_stack
    >>> noisy = synthetic_stack('nuclei', frames=2, size=64).noisy
    >>> prepare(noisy, 'TYX', device='cpu').channels[0].family.name
    'poisson-gaussian'
    >>> known = NoiseRequest('gaussian', {'sigma': 20.0})
    >>> prepare(noisy, 'TYX', known, device='cpu').channels[0].family
    Gaussian(sigma=20.0)
    """
    source, _ = _source_of(image, axes, name)
    return prepare_image(source, noise, separate, device=device)


def train_score(
    images: Prepared | Sequence[Prepared],
    settings: TrainSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    save_to: PathLike | None = None,
    resume: bool = False,
    context: Context | str = Context.NONE,
    on_progress: Callable[[TrainProgress], None] | None = None,
) -> ScoreModel:
    """Train one score model on all channels of all images together: the second stage.

    Parameters
    ----------
    images : Prepared or sequence of Prepared
        Noisy images with their noise models, as `prepare` returns them.
    settings : TrainSettings, optional
        Duration and method of the training; by default one minute from the pretrained weights.
    start : ScoreModel, optional
        A model whose training is continued, instead of the initial weights of the settings.
    stop : object with ``is_set()``, optional
        When it is set, the training ends after the current step; such as a `threading.Event`.
    save_to : path, optional
        Folder in which the state of the training is saved every ``settings.save_every`` seconds.
        It is removed when the model is returned.
    resume : bool
        Whether an interrupted training in ``save_to`` continues. The model is the same as
        without the interruption. If there is none, a new training begins.
    context : Context or str
        What the network learns to see beside a plane, as of `score_image`. From the pretrained
        weights it does so where the other planes are in memory, and help at the start.
    on_progress : callable, optional
        Called with a `TrainProgress` after every step.

    Returns
    -------
    ScoreModel
        The trained model; ``save`` writes it to a file. Every correction can use it.

    Raises
    ------
    InputError
        If no image is given, if the network of ``start`` does not fit the settings, or if
        ``save_to`` cannot be written or contains a training that is not to be resumed.
    CheckpointError
        If the training in ``save_to`` belongs to other images, settings or versions.
    TrainingError
        If the score could not be learned, or the training was stopped before its first step.

    Notes
    -----
    No clean image is needed. The default loss is amortised residual denoising [1]_: noise of
    a random amount ``sigma_a`` is added to the noisy image ``y``, and the network learns to
    remove it, whose optimum is the score ``grad log p(y)`` as ``sigma_a`` becomes small [2]_,
    eq. 5; docs/method.md, "Losses".

    References
    ----------
    .. [1] Lim, Courville, Pal and Huang, AR-DAE: towards unbiased neural entropy gradient
       estimation, ICML (2020).
    .. [2] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import TrainSettings, prepare, train_score
    >>> from napari_noise2score.images.synthetic import synthetic_stack
    >>> noisy = synthetic_stack('nuclei', frames=2, size=64).noisy
    >>> prepared = prepare(noisy, 'TYX', device='cpu')
    >>> settings = TrainSettings(seconds=None, steps=2, device='cpu')
    >>> model = train_score(prepared, settings)
    >>> model.training['steps']
    2

    A long training that can be interrupted: the same call continues it.

    >>> model = train_score(prepared, settings, save_to='nuclei.resume', resume=True)
    """
    images = [images] if isinstance(images, Prepared) else list(images)
    settings = settings or TrainSettings()
    with saved_trainings(save_to, settings, resume=resume) as folder:
        steps = train_score_steps(
            images, settings, start=start, stop=stop, folder=folder, context=Context(context)
        )
        return finish(steps, on_progress)


def score_image(
    model: ScoreModel | Sequence[ScoreModel],
    image: Prepared,
    *,
    device: str = 'auto',
    orientations: int = VIEWS,
    sigma_a: float | None = None,
    foreign: bool = False,
    context: Context | str = Context.NONE,
    on_progress: Callable[[PredictProgress], None] | None = None,
) -> ScoreMap:
    """Apply a score model to an image, tile by tile: the third stage.

    Parameters
    ----------
    model : ScoreModel or sequence of ScoreModel
        Model that was trained on this image or similar ones; one for all channels, or one for
        each.
    image : Prepared
        The image with its noise models, as `prepare` returns it.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``; several GPUs share the work with
        ``'cuda:all'``.
    orientations : int
        Number of rotated and mirrored views that are averaged, 1 to 8.
    sigma_a : float, optional
        Perturbation at inference, 0 to 2 noise standard deviations; by default it is selected by
        the estimated risk.
    foreign : bool
        Whether the model was trained on other images. Its risk is then compared with that of the
        pretrained weights, in about a second.
    context : Context or str
        What is seen beside a plane: ``'time'``, the other frames; ``'depth'``, the other slices;
        ``'none'``; or ``'auto'``, by the axes.
    on_progress : callable, optional
        Called with a `PredictProgress` after every tile.

    Returns
    -------
    ScoreMap
        For each channel the clean level ``D``, (N, Y, X) float32, in the unit-noise coordinate
        ``t``. The score is ``(D - t) / v(D)``, ``v`` the variance of the noise there.

    Raises
    ------
    InputError
        If the number of models is not that of the channels, or the image lacks the axis of the
        context.

    Notes
    -----
    The score is the gradient of the logarithm of the density of the noisy image; with Gaussian
    noise of variance ``v`` the clean level is ``E[x | t] = t + v grad log p(t)``, Tweedie's
    formula [1]_. The network predicts ``D``; the score of every correction is computed from it.
    With a context ``S`` of other planes, whose noise is independent, it is the gradient of ``log
    p(t | S)``.

    References
    ----------
    .. [1] Efron, Tweedie's formula and selection bias, Journal of the American Statistical
       Association 106 (2011).

    Examples
    --------
    >>> from napari_noise2score import TrainSettings, prepare, score_image, train_score
    >>> from napari_noise2score.images.synthetic import synthetic_stack
    >>> noisy = synthetic_stack('nuclei', frames=2, size=64).noisy
    >>> prepared = prepare(noisy, 'TYX', device='cpu')
    >>> model = train_score(prepared, TrainSettings(seconds=0, device='cpu'))
    >>> score_image(model, prepared, device='cpu', orientations=1).clean[0].shape
    (2, 64, 64)
    """
    steps = score_image_steps(
        model,
        image,
        device=device,
        orientations=orientations,
        sigma_a=sigma_a,
        foreign=foreign,
        context=Context(context),
    )
    with keeping_freed():  # over all planes
        return finish(steps, on_progress)


def denoise(
    image: ArrayLike | ImageSource,
    axes: str | None = None,
    settings: DenoiseSettings | None = None,
    *,
    name: str = 'image',
    seconds: float | None = None,
    save_to: PathLike | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Denoised:
    """Denoise an image, without any clean image to train on: all four stages.

    Parameters
    ----------
    image : array-like or ImageSource
        Grey levels, any real dtype and number of axes: NumPy, dask, zarr or xarray.
    axes : str
        One letter of ``TCZYXS`` for each axis, such as ``'TYX'``. It is optional if the image has
        its axes: an `ImageSource`, or an xarray whose dimensions are such letters, or ``time``,
        ``channel``, ``depth``, ``row``, ``column``.
    settings : DenoiseSettings, optional
        All settings; by default the noise is estimated and the training takes one minute.
    name : str
        Name of the image in the report.
    seconds : float, optional
        Training time, s, instead of that in the settings; 0 applies the pretrained weights.
    save_to : path, optional
        Folder in which the states of the trainings are saved, as often as ``save_every`` of
        ``settings.training`` says. It is removed when the result is returned.
    resume : bool
        Whether interrupted trainings in ``save_to`` continue, as in `train_score`.
    on_progress : callable, optional
        Called with every `Progress`. By default a notebook shows a progress bar.

    Returns
    -------
    Denoised
        Its ``image`` has the shape, axes and grey levels of the input. It is float32 unless the
        settings request the dtype of the input. ``report`` has the settings, the noise and the
        checks.

        The image is of the same kind as the input. For a dask array it is a dask array with one
        chunk for each plane, which is computed when it is read. For a zarr array it is a
        `CleanImage`, which computes planes when they are indexed. For an xarray, lazy or not, it
        has the same dimensions, coordinates and attributes. The report of a lazy image has no
        checks of the removed noise.

    Raises
    ------
    InputError
        If the image or a setting is not acceptable, or if ``save_to`` cannot be written or
        contains a training that is not to be resumed.
    CheckpointError
        If a training in ``save_to`` belongs to another image, or to other settings or versions.
    TrainingError
        If the score could not be learned.

    Notes
    -----
    The method is Noise2Score [1]_: the score of the noisy image is learned, then the image is
    corrected by Tweedie's formula of the noise model (Table 1 there), or by the chain Gaussian,
    then Poisson.

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import denoise
    >>> from napari_noise2score.images.synthetic import synthetic_stack
    >>> stack = synthetic_stack('nuclei', frames=2, size=64)
    >>> result = denoise(stack.noisy, 'TYX', seconds=0)
    >>> result.image.shape
    (2, 64, 64)
    >>> before, after = ((a - stack.truth) ** 2 for a in (stack.noisy, result.image))
    >>> bool(after.mean() < before.mean() / 3)
    True

    A call that can be interrupted: the same call continues its training.

    >>> result = denoise(stack.noisy, 'TYX', seconds=0, save_to='stack.resume', resume=True)
    """
    settings = settings or DenoiseSettings()
    if seconds is not None:
        settings = replace(settings, training=replace(settings.training, seconds=seconds))
    source, kind = _source_of(image, axes, name)
    with (
        saved_trainings(save_to, settings.training, resume=resume) as folder,
        nullcontext(on_progress) if on_progress else notebook_bar() as listener,
    ):
        steps = denoise_steps([source], settings, on_demand=kind.lazy, folder=folder)
        result = finish(single(steps), listener)
    return replace(result, corrected=replace(result.corrected, image=kind.wrap(result.image)))


def _source_of(image: Any, axes: str | None, name: str) -> tuple[ImageSource, ArrayKind]:
    """An image with its axes, and the kind of its array.

    Raises
    ------
    InputError
        If it is no array, if the axes of an array are missing, if an `ImageSource` has other
        axes, or if axes and shape do not fit.
    """
    if isinstance(image, ImageSource):
        if axes is not None and axes != image.axes:
            raise InputError(
                f'{image.name} has the axes {image.axes}, but {axes} is given; leave the axes out'
            )
        return image, ArrayKind.of(image.data)
    check_array(image, name)
    kind = ArrayKind.of(image)
    axes = axes or kind.axes
    if axes is None:
        raise InputError(
            f'the axes of an image of shape {tuple(kind.data.shape)} are not given; '
            f'give one letter of TCZYXS for each axis, such as {suggested_axes(kind.data.shape)!r}'
        )
    return ImageSource(kind.data, axes, name), kind
