"""The table of Image layers: choice of the layers to denoise, and their axes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers import (
    METADATA,
    full_data,
    image_layers,
    is_result,
    likely_axes,
    stated_axes,
    target_of,
    unwrapped,
)
from napari_noise2score._widget.layers.following import follow
from napari_noise2score.errors import InputError
from napari_noise2score.images.axes import check_axes

_AXES_WIDTH = 84
_ROW_HEIGHT = 30
_ROWS = 4
_COMMON = ('YX', 'TYX', 'ZYX', 'CYX', 'TZYX', 'TCYX', 'CZYX', 'ZCYX', 'TCZYX')
_NAMES = {
    'T': 'time',
    'C': 'channels',
    'Z': 'depth',
    'Y': 'rows',
    'X': 'columns',
    'S': 'colours',
    'P': 'positions',
}
_AXES_TIP = (
    'One letter for each axis of the layer: T time, C channel, Z depth, Y rows, X columns, S '
    'colour, P positions. Frames along T of one scene are compared with each other to estimate '
    'the noise; each channel gets its own noise model.'
)


class LayerTable(QTableWidget):
    """Image layers of a viewer, with a tick box and their axes; it is updated with the viewer.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    parent : QWidget, optional
        Qt parent.
    """

    ticked = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self._viewer = viewer
        self._rows: list[tuple[Any, QTableWidgetItem, QComboBox]] = []
        self._connections = _LayerConnections()
        self.setHorizontalHeaderLabels(['Image layers', 'Axes'])
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, _AXES_WIDTH)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)  # Tab leaves the table; arrow keys move within it
        self.setAccessibleName('Image layers')
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip(
            'Layers to denoise. Tick several to train one model on all of them together: the '
            'result is better if they are of the same kind, and the training takes no longer.'
        )
        self.itemChanged.connect(self._item_changed)
        events = viewer.layers.events
        follow(self, self._inserted, events.inserted)
        follow(self, self._fill, events.removed, events.reordered)
        self.destroyed.connect(self._connections.disconnect)
        self._fill()
        self._tick_default()

    def targets(self) -> list[Target]:
        """The ticked layers with their axes.

        Raises
        ------
        InputError
            If the axes of a layer do not fit its shape.
        """
        return [target_of(layer, axes.currentText()) for layer, _, axes in self._chosen()]

    def layers(self) -> list[Any]:
        """The ticked layers."""
        return [layer for layer, _, _ in self._chosen()]

    def words(self) -> str:
        """Axes and sizes of the ticked layers for the user to check; empty if they are clear."""
        lines = []
        for layer, _, box in self._chosen():
            shape = full_data(layer).shape
            try:
                axes = check_axes(box.currentText().strip(), shape)
            except InputError as error:
                lines.append(f'{layer.name}: {error}.')
                continue
            if len(axes) == 2 + bool(layer.rgb):
                continue
            sides = ', '.join(
                f'{_NAMES.get(axis, axis)} {side}' for axis, side in zip(axes, shape, strict=True)
            )
            guessed = stated_axes(layer) is None and axes == likely_axes(layer)
            doubt = (
                ' These axes are guessed; choose others in the list if they are wrong.'
                if guessed
                else ''
            )
            lines.append(f'{layer.name}: {sides}.{doubt}')
        return '\n'.join(lines)

    def tick(self, layers: list[Any]) -> None:
        """Tick these layers and untick all others."""
        wanted = [unwrapped(layer) for layer in layers]
        for layer, item, _ in self._rows:
            on = any(layer is other for other in wanted)
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def axes_of(self, layer: Any) -> QComboBox:
        """The widget with the axes of a layer."""
        return next(axes for other, _, axes in self._rows if other is unwrapped(layer))

    def _chosen(self) -> list[tuple[Any, QTableWidgetItem, QComboBox]]:
        return [row for row in self._rows if row[1].checkState() == Qt.CheckState.Checked]

    def _tick_default(self) -> None:
        """Tick the active layer, or the lowest one; a result only if there is nothing else."""
        active = unwrapped(self._viewer.layers.selection.active)
        lowest_first = [layer for layer, _, _ in self._rows][::-1]
        layers = sorted(lowest_first, key=lambda layer: layer is not active)
        # files are opened until one is no result, and none if there is no choice
        images = layers if len(layers) < 2 else (one for one in layers if not is_result(one))
        self.tick([next(iter(images), layers[0])] if layers else [])

    def _inserted(self, event: Any = None) -> None:
        ticked = self.layers()
        self._fill()
        if not ticked and not any(METADATA in layer.metadata for layer, _, _ in self._rows):
            self._tick_default()

    def _fill(self, event: Any = None) -> None:
        """Fill the rows again, the topmost layer first; ticks and axes do not change."""
        ticked = self.layers()
        typed = {id(layer): axes.currentText() for layer, _, axes in self._rows}
        current = self.currentRow()
        self._connections.disconnect()
        self.blockSignals(True)
        layers = image_layers(self._viewer)[::-1]
        self.setRowCount(len(layers))
        self._rows = []
        for row, layer in enumerate(layers):
            item = QTableWidgetItem()
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self.setItem(row, 0, item)
            axes = self._axes_box(layer, typed.get(id(layer)))
            self._put(row, axes)
            self._rows.append((layer, item, axes))
            self._name_row(layer)
            connect = partial(self._connections.connect, layer)
            connect('name', partial(self._name_row, layer))
            for change in ('data', 'axis_labels'):
                connect(change, partial(self._guess_row, layer))
        self.tick(ticked)
        self.setCurrentCell(min(max(current, 0), len(layers) - 1), 0)
        self.blockSignals(False)
        self._fit_height()
        self._order_tabs()
        self._item_changed()

    def _axes_box(self, layer: Any, typed: str | None) -> QComboBox:
        box = QComboBox()
        box.setEditable(True)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.setToolTip(_AXES_TIP)
        likely = likely_axes(layer)
        count = len(full_data(layer).shape)
        colour = 'S' if layer.rgb else ''
        common = [axes + colour for axes in _COMMON if len(axes + colour) == count]
        box.addItems(list(dict.fromkeys([likely, *common])))
        box.setCurrentText(typed if typed is not None and len(typed) == count else likely)
        box.currentTextChanged.connect(lambda text: self.ticked.emit())
        return box

    def _put(self, row: int, axes: QComboBox) -> None:
        """Put axes into their row; with PySide6 Tab would still reach a replaced widget."""
        replaced = self.cellWidget(row, 1)
        if replaced is not None:
            replaced.hide()
        self.setCellWidget(row, 1, axes)

    def _row(self, layer: Any) -> int | None:
        return next((i for i, row in enumerate(self._rows) if row[0] is layer), None)

    def _name_row(self, layer: Any, event: Any = None) -> None:
        row = self._row(layer)
        if row is not None:
            _, item, axes = self._rows[row]
            item.setText(layer.name)
            axes.setAccessibleName(f'Axes of {layer.name}')
            shape = ' x '.join(str(side) for side in full_data(layer).shape)
            item.setToolTip(f'{layer.name}: {shape}, {full_data(layer).dtype}')

    def _guess_row(self, layer: Any, event: Any = None) -> None:
        row = self._row(layer)
        if row is not None:
            typed = self._rows[row][2].currentText()
            axes = self._axes_box(layer, None if event.type == 'axis_labels' else typed)
            self._put(row, axes)
            self._rows[row] = (*self._rows[row][:2], axes)
            self._name_row(layer)
            self._order_tabs()
            self.ticked.emit()

    def _item_changed(self, item: Any = None) -> None:
        for _, ticked, axes in self._rows:
            axes.setEnabled(ticked.checkState() == Qt.CheckState.Checked)
        self.ticked.emit()

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Fit the height when the style of the window is known."""
        super().showEvent(event)
        self._fit_height()
        self._order_tabs()

    def _order_tabs(self) -> None:
        """Let Tab go from the rows to their axes."""
        for first, second in pairwise([self, *(axes for _, _, axes in self._rows)]):
            QWidget.setTabOrder(first, second)

    def _fit_height(self) -> None:
        """Set a height of a few rows, so that the other parts of the panel stay visible."""
        rows = min(max(len(self._rows), 1), _ROWS)
        header = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(header + rows * _ROW_HEIGHT + 2 * self.frameWidth() + 2)


class _LayerConnections:
    """Connections to events of layers, which are removed with the rows or the table."""

    def __init__(self) -> None:
        self._connected: list[tuple[Any, Callable[..., None]]] = []

    def connect(self, layer: Any, name: str, act: Callable[..., None]) -> None:
        """Call ``act`` with every event ``name`` of a layer, until `disconnect`."""
        emitter = getattr(layer.events, name)
        emitter.connect(act)
        self._connected.append((emitter, act))

    def disconnect(self, destroyed: Any = None) -> None:
        """Remove all connections."""
        while self._connected:
            emitter, act = self._connected.pop()
            emitter.disconnect(act)
