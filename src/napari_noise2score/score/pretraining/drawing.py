"""Synthetic pairs that a process draws while the network learns from the pairs before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import DataLoader, IterableDataset

from napari_noise2score.score.pretraining.synthetic_pairs import Batch, Source, SyntheticPairs

_AHEAD = 8
"""Batches that wait to be learned from."""


class _Batches(IterableDataset[Batch]):
    def __init__(
        self, kind: type[SyntheticPairs], patch: int, batch: int, seed: list[int], source: Source
    ) -> None:
        self._kind, self._patch, self._batch = kind, patch, batch
        self._seed, self._source = seed, source

    def __iter__(self) -> Iterator[Batch]:
        pairs = self._kind(self._patch, np.random.default_rng(self._seed), self._source)
        while True:
            yield pairs.draw(self._batch)


def drawn(
    kind: type[SyntheticPairs],
    patch: int,
    batch: int,
    seed: list[int],
    source: Source,
    *,
    beside: bool,
) -> Iterator[Batch]:
    """Batches without end; the same ones whether they are drawn here or beside.

    Parameters
    ----------
    kind : type of SyntheticPairs
        What draws.
    patch, batch : int
        Height and width of a patch in pixels; number of pairs.
    seed : list of int
        Of every random choice.
    source : callable
        Draws clean images; one that can be pickled, if ``beside``.
    beside : bool
        Draw in another process.
    """
    return iter(
        DataLoader(
            _Batches(kind, patch, batch, seed, source),
            batch_size=None,
            num_workers=int(beside),
            prefetch_factor=_AHEAD if beside else None,
            multiprocessing_context='spawn' if beside else None,
        )
    )
