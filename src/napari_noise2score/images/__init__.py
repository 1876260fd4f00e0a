"""Images: axes, channels of planes over any array, samples and regions; TIFF and OME-Zarr.

`source` is where to begin: an `ImageSource` is an array with axes, of any library, never read
whole. `formats` reads and writes them. `synthetic` and `procedural` make images for demos, tests
and the pretraining.
"""
