"""Parts of the panel that a user sees, in Qt and magicgui.

status_bar -> progress, status and messages below the panel.
"""
