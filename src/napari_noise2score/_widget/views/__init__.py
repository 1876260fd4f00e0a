"""Widgets of the panel, in Qt and magicgui. They show and ask; `control` decides.

layer_table, noise_form, settings_form, region_box, calibration_box, compare_box, model_box,
status_bar -> the parts of the panel; form -> forms from fields; chart, collapsible,
vertical_scroll, wrapped_text, style, tab_order -> what the parts are made of.
"""
