"""Colour pictures -> PNG files, for whoever waits: ISA-L deflates several times as fast as Pillow or OpenCV."""

import struct
import zlib

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 2
_UP = 2
_FASTEST = 1


def rgb_png(colours: NDArray[np.uint8]) -> bytes:
    """A PNG file of (H, W, 3) uint8, red, green and blue (PNG specification 5.3, 9.2 and 11.2)."""
    height, width, samples = colours.shape
    rows = np.empty((height, 1 + width * samples), np.uint8)
    flat = colours.reshape(height, width * samples)
    rows[:, 0] = _UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUECOLOUR, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", isal_zlib.compress(rows, _FASTEST)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
