"""Formats of microscope makers (CZI, ND2, LIF, ...), read by the reader packages of bioio."""

from __future__ import annotations

from napari_noise2score.images.vendor.readers import SUFFIXES, is_vendor
from napari_noise2score.images.vendor.reading import VendorImage, read_vendor, vendor_scenes

__all__ = ['SUFFIXES', 'VendorImage', 'is_vendor', 'read_vendor', 'vendor_scenes']
