"""Learning the score of noisy images with PyTorch."""
