"""Images: axes, channels of planes over any array, samples and regions of them, and TIFF.

The main class is `ImageSource` in `source`: an array of any library with named axes, which is read
plane by plane. `synthetic` and `procedural` make images for demos, tests and the pretraining.
"""
