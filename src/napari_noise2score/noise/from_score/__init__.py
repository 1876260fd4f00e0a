"""Noise parameters from a learned score: closed forms, search by a criterion, comparison.

The blind estimates of the paper (Noise2Score, section 3.3) and their disagreements.
"""
