"""Learning the score of noisy images with PyTorch, and applying it.

`train` and `predict` are where to begin; a `Denoiser` is what they share, a `ScoreModel` is what
is stored in a file. The weights that trainings start from are made in `pretraining`.
"""
