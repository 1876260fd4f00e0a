"""The files of a call: which images it reads, and which files it writes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_noise2score.cli.inputs import files_of, other_inputs
from napari_noise2score.cli.outputs import Output, check_names, outputs_of, targets
from napari_noise2score.cli.resume import folder_beside
from napari_noise2score.cli.table import NAME, SUFFIXES
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import is_ome_zarr


@dataclass(frozen=True, slots=True)
class Names:
    """The files of a call.

    Attributes
    ----------
    files : list of Path
        The images.
    wrong : list of (Path, InputError)
        What was named and is no image.
    inputs : list of Path
        All that is read.
    goals : list of list of Path
        For each image where its result goes, and what the training changed, if that is wanted.
    model_out : Path or None
        Where the trained model goes.
    tables : list of Path
        The tables that are written: the one that is named, else both in a folder of results.
    """

    files: list[Path]
    wrong: list[tuple[Path, InputError]]
    inputs: list[Path]
    goals: list[list[Path]]
    model_out: Path | None
    tables: list[Path]

    @classmethod
    def of(cls, options: argparse.Namespace) -> Names:
        """From the options.

        Raises
        ------
        InputError
            If there is no image, or two outputs would be one file, or one an input.
        """
        wanted = getattr(options, 'difference', None)
        model_out = getattr(options, 'model_out', None)
        places = [place for place in (options.output, wanted) if place is not None]
        files, wrong = files_of(
            options.images,
            [place.path for place in places],
            recursive=options.recursive,
            scene=options.scene,
        )
        several = len(files) > 1 or files != options.images
        found = [targets(files, place, several, options.images) for place in places]
        goals = [list(paths) for paths in zip(*found, strict=True)]
        tables = [] if options.table is None else [options.table]
        folder = options.output.path
        if not tables and several and not is_ome_zarr(folder):
            in_folder = options.output.is_folder(files, several)
            tables = [folder / f'{NAME}{suffix}' for suffix in SUFFIXES if in_folder]
        # of several files of one image, one stands for it: the others are inputs too
        named = [path for path in options.images if os.path.isfile(path)]  # noqa: PTH113
        inputs = [*files, *named, *other_inputs(options, 'dark', 'flat', 'model', 'init')]
        names = cls(files, wrong, inputs, goals, model_out, tables)
        check_names(names.outputs(options, range(len(files))), inputs)
        return names

    def outputs(
        self,
        options: argparse.Namespace,
        numbers: Sequence[int],
        replaced: Collection[Path] = (),
    ) -> list[Output]:
        """What is written if the images of these numbers are denoised.

        ``replaced`` are those outputs that are replaced if they are there.
        """
        goals = zip(*(self.goals[number] for number in numbers), strict=True)
        roles = dict(zip(('output', 'difference'), map(list, goals), strict=False))
        others = {'model_out': self.model_out, 'report': options.report} if numbers else {}
        return outputs_of(replaced=replaced, **roles, **others, table=self.tables)

    def saved_trainings(self, options: argparse.Namespace) -> Path:
        """The folder in which the trainings of the call are saved."""
        several = len(self.files) > 1 or self.files != options.images
        is_folder = options.output.is_folder(self.files, several)
        return folder_beside(options.output.path, is_folder=is_folder)
