"""Report on a clean image, of this program or any other, without ground truth.

What is measured needs only the noisy image, the clean one and the noise model of the noisy one.
"""

PAGE, VALUES = '.html', '.json'
"""Suffixes of the files of a report."""
