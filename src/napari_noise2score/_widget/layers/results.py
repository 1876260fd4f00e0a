"""Results and previews of layers, and their positions in the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from napari_noise2score._widget.control.messages import preview_name
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers.contrast import show_apart
from napari_noise2score._widget.layers.new_layers import (
    add_map,
    add_preview,
    add_result,
    put_plane,
    turn_into_result,
)
from napari_noise2score._widget.layers.split_view import SplitView
from napari_noise2score._widget.layers.targets import (
    METADATA,
    full_data,
    target_of,
)
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Part, Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import NoiseFamily, family_from_dict


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A layer and its clean layer.

    Attributes
    ----------
    target : Target
        The noisy layer, and its denoised part.
    result : Image
        The clean layer.
    """

    target: Target
    result: Any

    @classmethod
    def of(cls, layer: Any, result: Any) -> Pair:
        """The pair of two layers, from the report in the metadata of the clean one.

        Raises
        ------
        InputError
            If the two layers do not fit: one of them has had another shape since.
        """
        report = result.metadata[METADATA]
        whole, region = target_of(layer, report['axes']), Region.parse(report['region'])
        pair = cls(Target(whole.layer, whole.source.part(region), region), result)
        shapes = pair.target.source.shape, pair.clean.shape
        if shapes[0] != shapes[1]:
            raise InputError(f'{layer.name} and {result.name} have the shapes {shapes}')
        return pair

    @property
    def clean(self) -> ImageSource:
        """The clean image, with the axes of the noisy one."""
        return target_of(self.result, self.target.source.axes).source

    @property
    def record(self) -> dict[str, Any]:
        """What the clean layer states of how it was made."""
        return dict(self.result.metadata[METADATA])

    @property
    def families(self) -> list[NoiseFamily | None]:
        """Noise model of the correction for each channel; None for a constant channel."""
        noise = [channel['noise'] for channel in self.result.metadata[METADATA]['channels']]
        return [None if record is None else family_from_dict(record) for record in noise]

    def split_view(self) -> SplitView:
        """The noisy image left of the clean one, in the data of the layers."""
        noisy, axes = full_data(self.target.layer), self.target.source.axes
        part = Part(noisy, self.target.region.slices(axes, noisy.shape))
        return SplitView(part, full_data(self.result), axes.index('X'))


class ResultLayers:
    """Results and previews in a viewer, by their source layers.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._previews: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._results: WeakKeyDictionary[Any, ref[Any]] = WeakKeyDictionary()

    def add_result(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a clean layer above its source; it replaces a preview.

        The image is an array, or a list of the levels of a multiscale layer.
        """
        preview = self._preview_of(target)
        if preview is not None and isinstance(image, list):  # a layer cannot become multiscale
            self._viewer.layers.remove(preview)
            preview = None
        if preview is None:
            result = add_result(self._viewer, target, image, name, report)
        else:
            turn_into_result(preview, target, image, name, report)
            result = preview
        self._previews.pop(target.layer, None)
        earlier = self._result_of(target.layer)
        if earlier is not None:  # it would hide the new one
            earlier.visible = False
        self._results[target.layer] = ref(result)

    def add_map(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer with differences in noise standard deviations."""
        below = next((pair.result for pair in self.pairs([target.layer])), None)
        add_map(self._viewer, target, image, name, report, below)

    def show_plane(
        self, target: Target, index: tuple[int | slice, ...], values: NDArray[np.floating]
    ) -> None:
        """Show a plane in the preview of a layer, which is added if there is none.

        Nothing is shown of a layer that has had another shape since the target was made.
        """
        if not _still_fits(target):
            return
        if self._preview_of(target) is None:
            self._add_preview(target)
            show_apart(self._previews[target.layer], target, values)
        put_plane(self._previews[target.layer], index, values)

    def preview_was_removed(self, layer: Any) -> bool:
        """Whether a layer had a preview that the user has removed from the viewer."""
        return layer in self._previews and self._previews[layer] not in self._viewer.layers

    def forget_removed(self, targets: Sequence[Target]) -> None:
        """Allow new previews of layers whose preview was removed by the user."""
        for target in targets:
            if self._preview_of(target) is None:
                self._previews.pop(target.layer, None)

    def pairs(self, layers: Sequence[Any]) -> list[Pair]:
        """The layers whose result is in the viewer and fits them, each with its result."""
        pairs = []
        for layer in layers:
            result = self._result_of(layer)
            if result is not None:
                with suppress(InputError):  # it is of data that the layer no longer has
                    pairs.append(Pair.of(layer, result))
        return pairs

    def _result_of(self, layer: Any) -> Any:
        """The last result of a layer, if it is in the viewer, or None."""
        known = self._results.get(layer)
        result = None if known is None else known()
        return result if result is not None and result in self._viewer.layers else None

    def _add_preview(self, target: Target) -> None:
        """Add a preview that shows the last result, if there is one, otherwise the noisy image."""
        pair = next(iter(self.pairs([target.layer])), None)
        below = None if pair is None else pair.result
        same_region = pair is not None and pair.target.region == target.region
        base = full_data(below) if below is not None and same_region else None
        name = preview_name(target.source.name)
        self._previews[target.layer] = add_preview(self._viewer, target, name, base, below)

    def _preview_of(self, target: Target) -> Any:
        """The preview of a target in the viewer, or None; that of another region or shape is
        removed.
        """
        preview = self._previews.get(target.layer)
        if preview is None or preview not in self._viewer.layers:
            return None
        planes = slice(-1 if preview.rgb else None)  # colours may have alpha
        same_shape = full_data(preview).shape[planes] == target.source.shape[planes]
        if preview.metadata[METADATA]['region'] != str(target.region) or not same_shape:
            self._viewer.layers.remove(preview)
            return None
        return preview


def _still_fits(target: Target) -> bool:
    """Whether the layer of a target still has the shape from which the target was made."""
    try:
        now = target_of(target.layer, target.source.axes).source.part(target.region)
    except InputError:
        return False
    return now.shape == target.source.shape
