"""Images: axes, channels of planes over any array, samples and regions of them, and TIFF.

`source` is where to begin: an `ImageSource` is an array with axes, of any library, never read
whole. `synthetic` and `procedural` make images for demos, tests and the pretraining.
"""
