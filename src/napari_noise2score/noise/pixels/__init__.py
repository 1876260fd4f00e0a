"""Cameras whose pixels differ (sCMOS): maps of offset and read noise, and their use.

`maps` measures the maps; `even_noise` and `even_planes` give all pixels the noise of the median
pixel.
"""
