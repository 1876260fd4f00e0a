"""The blind estimate of the noise of images: gain, offset, read noise, correlation, patterns.

`blind` has the entry point. `frame_differences` and `single_frames` measure points,
`photon_transfer_fit` fits a line to them, and `noise_fit` has the result.
"""
