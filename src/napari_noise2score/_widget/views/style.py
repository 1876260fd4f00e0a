"""Colours, borders and headings of the panel, in addition to the theme of the viewer."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel

ACCENT = '#5a7bd0'
"""Colour with a contrast above 3 to the background of the dark and of the light theme."""

STYLE = f"""
QProgressBar::chunk {{ background-color: {ACCENT}; }}
QPushButton:focus {{ border: 1px solid {ACCENT}; padding: 3px; outline: none; }}
QComboBox:focus {{ border: 1px solid {ACCENT}; padding: 2px 9px 2px 7px; }}
QAbstractSpinBox:focus {{ border: 1px solid {ACCENT}; padding: 0px 9px; }}
QLineEdit:focus {{ border: 1px solid {ACCENT}; padding: 1px; }}
QComboBox > QLineEdit, QAbstractSpinBox > QLineEdit {{ border: 0px; padding: 2px; }}
QCheckBox {{ border: 1px solid transparent; padding: 0px; }}
QCheckBox:focus {{ border: 1px solid {ACCENT}; }}
QSlider::handle:horizontal:focus {{ background-color: {ACCENT}; }}
QScrollArea, QCollapsible {{ padding: 0px; }}
QFrame#steering {{ border-top: 1px solid rgba(127, 135, 144, 50%); }}
QTextEdit {{ background-color: transparent; padding: 0px; }}
QTextEdit > QWidget {{ background-color: transparent; }}
QTableView::item:focus {{ border: 1px solid {ACCENT}; }}
QTableView::indicator:unchecked {{ border: 1px solid #7f8790; border-radius: 2px; }}
"""
"""The keyboard focus and tick boxes are hard to see in napari's style."""


def heading(text: str) -> QLabel:
    """A title above a part of the panel."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
