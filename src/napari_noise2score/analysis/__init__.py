"""Questions about results and models that are asked afterwards; the pipeline never imports these.

Noise parameters from a score, what a training changed and gained, what a model is, export.
"""
