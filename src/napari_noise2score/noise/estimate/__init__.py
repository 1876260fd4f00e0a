"""The blind estimate of the noise of images: gain, offset, read noise, correlation, patterns.

`blind` is where to begin; points come from frame differences or single frames, lines from the
points, and a `noise_fit` holds the result.
"""
