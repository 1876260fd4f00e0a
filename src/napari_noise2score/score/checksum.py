"""Checksum of the contents of a saved file, so that no damaged number is used."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor


def checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> str:
    """CRC-32 of tensors, with their names, types and shapes, and of a header; hexadecimal."""
    crc = zlib.crc32(repr(sorted((header or {}).items())).encode())
    for name, values in sorted(tensors.items()):
        crc = zlib.crc32(f'{name} {values.dtype} {tuple(values.shape)}'.encode(), crc)
        crc = zlib.crc32(values.contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return f'{crc:08x}'
