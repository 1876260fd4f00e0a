"""Pretraining of a network on synthetic images, and the pretrained weights of the package.

``synthetic_pairs`` draws noisy synthetic images with their clean ones, ``pretrain`` trains on
them, and ``weights`` loads the result, which ships with the package.
"""
