"""Makes the gallery: noisy, denoised and true, of every sample, and where it fails.

python docs/make_gallery.py

All images are synthetic, so the truth is known. Nothing is trained: the pretrained weights are
applied, as with `--seconds 0`. It takes about three minutes on two CPU cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from napari_noise2score import DenoiseSettings, NoiseRequest, TrainSettings, denoise
from napari_noise2score.images.samples import make_sample
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import PoissonGaussian

HERE = Path(__file__).parent
FOLDER = HERE / 'images' / 'gallery'
TRAINING = TrainSettings(seconds=0, device='cpu')
SIDE = 160
"""Height and width of what is shown, pixels."""

Plane = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Picture:
    """Planes beside each other, and what is to be seen.

    Attributes
    ----------
    name, title, text : str
        Name of the file, title, and explanation.
    planes : mapping of str to (Y, X)
        What is shown, by what stands above it; the last one is the truth.
    """

    name: str
    title: str
    text: str
    planes: dict[str, Plane]

    def markdown(self) -> str:
        """Its part of the page."""
        *others, truth = self.planes
        scores = ', '.join(
            f'{words} {psnr(self.planes[words], self.planes[truth]):.1f} dB' for words in others
        )
        return (
            f'### {self.title}\n\n{self.text} PSNR: {scores}.\n\n'
            f'![{self.title}: {", ".join(self.planes)}](images/gallery/{self.name}.png)\n'
        )

    def save(self) -> None:
        """Write the picture, in the contrast of the truth."""
        truth = [*self.planes.values()][-1]
        low, high = np.percentile(truth, [0.1, 99.9])
        figure = Figure(figsize=(2.2 * len(self.planes), 2.45), layout='constrained')
        for axes, (words, plane) in zip(
            np.ravel(figure.subplots(1, len(self.planes))), self.planes.items(), strict=True
        ):
            axes.imshow(plane, cmap='gray', vmin=low, vmax=high, interpolation='nearest')
            axes.set_title(words, fontsize=9)
            axes.set_axis_off()
        FOLDER.mkdir(parents=True, exist_ok=True)
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(110)
        canvas.draw()
        grey = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('L')
        grey.save(FOLDER / f'{self.name}.png', optimize=True)


def psnr(plane: Plane, truth: Plane) -> float:
    """PSNR in dB, range from the 0.1st to the 99.9th percentile of the truth."""
    low, high = np.percentile(truth, [0.1, 99.9])
    return float(10 * np.log10((high - low) ** 2 / np.mean((plane - truth) ** 2)))


def of_sample(name: str, title: str, text: str, **settings: object) -> Picture:
    """The plane in the middle of a sample."""
    sample = make_sample(name)
    part = np.s_[:, :SIDE, :SIDE]
    noisy, truth = sample.noisy[part], sample.truth[part]
    wanted = DenoiseSettings(training=TRAINING, context='auto', **settings)
    clean = denoise(noisy, sample.axes, wanted).image
    at = len(noisy) // 2
    return Picture(
        name, title, text, {'noisy': noisy[at], 'denoised': clean[at], 'truth': truth[at]}
    )


def weak_flash() -> Picture:
    """One flash of one noise standard deviation in a still movie."""
    stack = synthetic_stack('nuclei', frames=24, size=96)
    noisy, truth = (
        stack.noisy.astype(float),
        np.repeat(stack.truth[None].astype(float), 24, axis=0),
    )
    square = np.s_[40:45, 40:45]
    sd = float((noisy - truth)[:, *square].std())
    still = noisy.copy()
    for movie in (noisy, truth):
        movie[12, *square] += sd
    clean, left = {}, []
    for words, context in (('each frame alone', 'none'), ('with the other frames', 'auto')):
        settings = DenoiseSettings(training=TRAINING, context=context)
        clean[words], without = (
            denoise(movie.astype(np.float32), 'TYX', settings).image for movie in (noisy, still)
        )
        height = (clean[words] - without)[12, *square].mean()
        left.append(f'{100 * height / sd:.0f} % {words}')
    change = {words: movie[12] - movie[8] for words, movie in clean.items()}
    return Picture(
        'weak-flash',
        'A weak flash in a single frame',
        'Frame 12 minus frame 8. In frame 12 a square of 5 x 5 pixels is brighter by one noise '
        f'standard deviation. Of its height is kept: {", ".join(left)} (with and without the '
        'flash, on the same noise).',
        {'noisy': noisy[12] - noisy[8], **change, 'truth': truth[12] - truth[8]},
    )


def told_independent() -> Picture:
    """Correlated noise that is treated as independent."""
    sample = make_sample('wide-field')
    part = np.s_[:1, :SIDE, :SIDE]
    noisy, truth = sample.noisy[part], sample.truth[part]
    clean = {
        words: denoise(
            noisy,
            sample.axes,
            DenoiseSettings(NoiseRequest(correlation=correlation), training=TRAINING),
        ).image[0]
        for words, correlation in (('as measured', 'auto'), ('independent pixels', 'none'))
    }
    return Picture(
        'told-independent',
        'Correlated noise that is treated as independent',
        'Grains that are larger than a pixel look like structure, and remain. Leave *Correlation* '
        'on *As measured*.',
        {'noisy': noisy[0], **clean, 'truth': truth[0]},
    )


def single_pixels() -> Picture:
    """Texture of single pixels."""
    rng = np.random.default_rng(3)
    truth = np.full((96, 96), 60.0)
    truth[:, 48:] += 40 * rng.integers(0, 2, (96, 48))
    noise = PoissonGaussian(gain=2.0, offset=20.0, read_noise=3.0)
    noisy = noise.sample(truth[None], rng)
    clean = denoise(noisy, 'TYX', DenoiseSettings(training=TRAINING)).image
    return Picture(
        'single-pixels',
        'Texture of single pixels',
        'Pixels that are black or white at random are averaged, as no microscope resolves such a '
        'texture. The report says that too much was removed.',
        {'noisy': noisy[0], 'denoised': clean[0], 'truth': truth},
    )


def few_photons() -> Picture:
    """A third of a photon at the brightest place."""
    stack = synthetic_stack('filaments', frames=4, size=SIDE)
    light = (stack.truth - stack.truth.min()) / np.ptp(stack.truth)
    noise = PoissonGaussian(gain=4.0, offset=50.0, read_noise=1.0)
    truth = 50 + 4 * np.repeat(0.3 * light[None], 4, axis=0)
    noisy = noise.sample(truth, np.random.default_rng(1))
    clean = denoise(noisy, 'TYX', DenoiseSettings(training=TRAINING, context='auto')).image
    return Picture(
        'few-photons',
        'Very few photons',
        'A third of a photon at the brightest places. The large shapes are found; thin filaments '
        'are lost or look smoother than they are.',
        {'noisy': noisy[0], 'denoised': clean[0], 'truth': truth[0]},
    )


SAMPLES: list[tuple[str, str, str]] = [
    ('confocal', 'Confocal stack', 'Four frames of one field.'),
    (
        'low-light',
        'Movie in low light',
        'One to three photons per pixel. Vesicles that move are weaker than they are.',
    ),
    ('z-stack', 'Z-stack', 'The neighbouring slices help.'),
    ('wide-field', 'Wide-field camera', 'The noise is correlated between pixels.'),
]
FAILURES: list[Callable[[], Picture]] = [weak_flash, told_independent, single_pixels, few_photons]


def pictures() -> Iterator[tuple[str, list[Picture]]]:
    """Sections of the page with their pictures."""
    speckle = of_sample(
        'speckle',
        'Speckle',
        'Four looks, *Noise model: Gamma*.',
        noise=NoiseRequest('gamma'),
    )
    yield 'Each kind of data', [*(of_sample(*each) for each in SAMPLES), speckle]
    yield 'Where it fails', [make() for make in FAILURES]


def main() -> None:
    text = (
        '# Gallery\n\nNoisy, denoised and true, all with the same contrast. The images are '
        'synthetic, so the truth is known. Nothing was trained: this is what training time 0 '
        'gives, with *Context: Automatic*. (Written by `python docs/make_gallery.py`.)\n'
    )
    for section, made in pictures():
        text += f'\n## {section}\n'
        for picture in made:
            picture.save()
            text += '\n' + picture.markdown()
    (HERE / 'gallery.md').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
