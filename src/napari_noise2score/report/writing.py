"""A report is measured, judged and written: a page, and its values beside it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from napari_noise2score.files import write_json, written_whole
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.report import VALUES
from napari_noise2score.report.findings import MeasureProgress, measure_steps
from napari_noise2score.report.page import as_html, as_json
from napari_noise2score.report.verdict import Verdict, verdict_of


def report_steps(
    page: Path,
    noisy: ImageSource,
    clean: ImageSource | None = None,
    request: NoiseRequest | None = None,
    record: Mapping[str, Any] | None = None,
    device: str = 'auto',
) -> Generator[MeasureProgress, None, Verdict]:
    """Write the report of a clean image, or of a noisy one alone.

    Parameters
    ----------
    page : Path
        The page to write (.html); the values are written beside it (.json).
    noisy, clean, request, record, device
        As of `napari_noise2score.report.findings.measure_steps`.

    Yields
    ------
    MeasureProgress
        After every part.

    Returns
    -------
    Verdict
        What the measurements mean.

    Raises
    ------
    InputError
        If the two images differ in shape or axes, or every channel is constant.
    OSError
        If a file cannot be written.
    """
    findings = yield from measure_steps(noisy, clean, request, record, device)
    verdict = verdict_of(findings)
    text = as_html(findings, verdict)
    with written_whole(page) as part:
        part.write_text(text, encoding='utf-8', errors='replace')
    write_json(page.with_suffix(VALUES), as_json(findings, verdict))
    return verdict
