"""Learning the score of noisy images with PyTorch."""

import os

# On Apple GPUs an operation that is missing is computed on the CPU; read when PyTorch is loaded.
os.environ.setdefault('PYTORCH_ENABLE_MPS_FALLBACK', '1')
