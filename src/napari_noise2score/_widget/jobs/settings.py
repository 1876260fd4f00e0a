"""What the panel asks for, in plain values: no PyTorch needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.loading import engine
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction

if TYPE_CHECKING:
    from napari_noise2score.settings import DenoiseSettings


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the panel asks for; plain values, no PyTorch needed."""

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = Correction.AUTO
    seconds: float = 60.0
    device: str = 'auto'
    seed: int = 0
    init: str = 'warm'
    output: str = 'float32'
    slices: int = 1
    apart: str = 'none'

    def resolved(self) -> DenoiseSettings:
        """The settings of the pipeline; raises InputError for what is out of range."""
        pipeline = engine()
        training = pipeline.TrainSettings(
            seconds=self.seconds,
            device=self.device,
            seed=self.seed,
            init=self.init,
            slices=self.slices,
        )
        settings: DenoiseSettings = pipeline.DenoiseSettings(
            self.noise, self.correction, training, output=self.output, apart=self.apart
        )
        return settings
