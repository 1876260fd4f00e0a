"""Runs that a crash interrupted: their layers are looked for, and they are offered once found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from psygnal import Signal

from napari_noise2score._widget import jobs
from napari_noise2score._widget.control.messages import offer_words
from napari_noise2score._widget.control.runner import FinishReason, JobKind, Runner, Start
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.stored_run import StoredRun, interrupted_runs

Candidates: TypeAlias = Sequence[Sequence[Target | None]]
"""For each layer of a run what each layer of the viewer would be; None where it cannot be it."""


class InterruptedRuns:
    """Finds the layers of interrupted runs, and offers one run at a time.

    Parameters
    ----------
    start : callable
        Runs a job in the background.
    candidates : callable
        Gives the layers that may be those of a run.
    """

    offered: ClassVar[Signal] = Signal(str, description='The question; empty to withdraw it.')

    def __init__(self, start: Start, candidates: Callable[[StoredRun], Candidates]) -> None:
        self._candidates = candidates
        self._searches = Runner(start)
        self._runs: list[StoredRun] | None = None
        self._offer: tuple[StoredRun, tuple[Target, ...]] | None = None

    def look(self) -> None:
        """Look for the layers again, as those of the viewer may be others now."""
        if self._runs is None:
            self._runs = interrupted_runs()
        if self._offer is not None and not self._still_there(*self._offer):
            self._withdraw()
        if self._offer is None:
            self._search(list(self._runs))

    @property
    def offer(self) -> tuple[StoredRun, tuple[Target, ...]] | None:
        """The run that is offered and its layers."""
        return self._offer

    def accept(self) -> tuple[StoredRun, tuple[Target, ...]] | None:
        """The run that is offered and its layers; it is offered no more."""
        offer = self._offer
        if offer is not None:
            self._forget(offer[0])
        return offer

    def decline(self) -> None:
        """Delete the run that is offered."""
        offer = self.accept()
        if offer is not None:
            offer[0].remove()
            self.look()

    def close(self) -> None:
        """End all searches."""
        self._searches.abandon()

    def _search(self, runs: list[StoredRun]) -> None:
        """Offer the first of these runs whose layers are all there."""
        for number, run in enumerate(runs):
            found = self._candidates(run)
            if all(any(one is not None for one in layers) for layers in found):
                self._compare(run, found, runs[number + 1 :])
                return

    def _compare(self, run: StoredRun, candidates: Candidates, others: list[StoredRun]) -> None:
        sources = [
            [None if one is None else one.source for one in layers] for layers in candidates
        ]

        def tell(event: jobs.Event) -> None:
            if isinstance(event, jobs.Found):
                found = zip(candidates, event.numbers, strict=True)
                targets = [layers[number] for layers, number in found]
                self._offer = run, tuple(one for one in targets if one is not None)
                names = [one.source.name for one in self._offer[1]]
                self.offered.emit(offer_words(names, *run.latest))

        def end(reason: FinishReason, error: Exception | None) -> None:
            if self._offer is None:  # a layer that cannot be read is not found
                self._search(others)

        self._searches.start(
            JobKind.SEARCHING,
            lambda stop: jobs.search_job(sources, [layer.crc32 for layer in run.layers]),
            title='Looking for the layers of an interrupted training',
            on_event=tell,
            on_end=end,
        )

    def _still_there(self, run: StoredRun, targets: Sequence[Target]) -> bool:
        pairs = zip(self._candidates(run), targets, strict=True)
        return all(
            any(one is not None and one.layer is target.layer for one in layers)
            for layers, target in pairs
        )

    def _forget(self, run: StoredRun) -> None:
        self._runs = [other for other in self._runs or () if other is not run]
        self._withdraw()

    def _withdraw(self) -> None:
        self._offer = None
        self.offered.emit('')
