"""The weights that trainings start from: what they saw, how they are made, where they lie.

``exercise`` draws noisy images with their solutions, ``pretrain`` learns from them, and
``weights`` hands out the result that ships with the package.
"""
