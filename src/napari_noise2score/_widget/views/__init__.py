"""Widgets of the panel, in Qt and magicgui, for display and input; `control` has the logic.

`layer_table`, `noise_form`, `settings_form`, `region_box`, `calibration_box`, `compare_box`,
`model_box` and `status_bar` are the parts of the panel. `form` makes forms from fields. `chart`,
`collapsible`, `vertical_scroll`, `wrapped_text`, `style` and `tab_order` are used by the parts.
"""
