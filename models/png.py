"""Colour pictures -> PNG files, for whoever waits: ISA-L deflates several times as fast as Pillow or OpenCV."""

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 2
_UP = 2
_FASTEST = 1
_SMALLEST_BAND_BYTES = 2**18
_ZLIB_HEADER = b"\x78\x01"
_NOTHING_MORE = b"\x03\x00"  # an empty last block

_PROCESSORS = os.cpu_count() or 1
_deflaters = ThreadPoolExecutor(_PROCESSORS, "deflating")


def rgb_png(colours: NDArray[np.uint8]) -> bytes:
    """A PNG file of (H, W, 3) uint8, red, green and blue (PNG specification 5.3, 9.2 and 11.2)."""
    height, width, samples = colours.shape
    rows = np.empty((height, 1 + width * samples), np.uint8)
    flat = colours.reshape(height, width * samples)
    rows[:, 0] = _UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUECOLOUR, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", _deflated(rows)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _deflated(rows: NDArray[np.uint8]) -> bytes:
    """A zlib stream (RFC 1950) whose bands are deflated side by side, each ended at a byte (RFC 1951, 3.2.4)."""
    bands = np.array_split(rows, max(1, min(_PROCESSORS, rows.nbytes // _SMALLEST_BAND_BYTES)))
    deflated = b"".join(_deflaters.map(_deflated_band, bands))
    return _ZLIB_HEADER + deflated + _NOTHING_MORE + struct.pack(">I", isal_zlib.adler32(rows))


def _deflated_band(rows: NDArray[np.uint8]) -> bytes:
    deflater = isal_zlib.compressobj(_FASTEST, wbits=-zlib.MAX_WBITS)
    return deflater.compress(rows) + deflater.flush(isal_zlib.Z_SYNC_FLUSH)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
