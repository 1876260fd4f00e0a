"""Analysis of results and models after the pipeline, which never imports these modules.

Noise parameters from a score, effect and gain of a training, description of a model, export.
"""
