"""Gain, offset and read noise measured on dark frames and flat fields.

`calibrate` has the entry point.
"""
