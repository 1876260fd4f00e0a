"""Images: axes, channels of planes over any array, samples and regions; TIFF and OME-Zarr.

The main class is `ImageSource` in `source`: an array of any library with named axes, which is read
plane by plane. `formats` reads and writes files. `synthetic` and `procedural` make images for
demos, tests and the pretraining.
"""
