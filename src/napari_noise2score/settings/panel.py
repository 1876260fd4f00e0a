"""Settings of the panel alone."""

from __future__ import annotations

from dataclasses import dataclass

from napari_noise2score.fields import check, setting


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """Display settings of the panel.

    Parameters
    ----------
    live : bool
        Whether the displayed slice is corrected repeatedly during a training.
    """

    live: bool = setting(
        True,
        label='Live preview',
        help='During a training, the displayed slice is corrected repeatedly and shown in the '
        'preview layer.',
        details='This takes up to a tenth of the training time.',
        command=False,
        folded=False,
        preference=True,
    )

    def __post_init__(self) -> None:
        check(self)
