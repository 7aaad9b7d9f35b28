"""PNG and JPEG bytes -> `Radiograph`."""

import struct
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from models.errors import MalformedFileError, MultiFrameError, TooLargeError
from models.radiograph import GREY_LEVELS, GreyLevels, Radiograph

RasterFormat = Literal["PNG", "JPEG"]
_SIGNATURES: dict[bytes, RasterFormat] = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
Levels = NDArray[np.uint16]

_BYTE_TO_LEVEL = 257  # 65535 / 255: 8-bit grey v is level 257 v, exactly
_EXIF_ORIENTATION = 0x0112
# Frame headers that give a size: SOF0 to SOF15 without DHT, JPG, DAC (ITU-T T.81 table B.1), and JPEG-LS's SOF55.
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def raster_format(data: bytes) -> RasterFormat | None:
    """What the first bytes say it is; None where it is neither."""
    return next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)


def raster_shape(data: bytes, file_format: RasterFormat) -> tuple[int, int]:
    """(height, width), px, as the header of a PNG or JPEG file states them; nothing is decoded.

    Raises:
        MalformedFileError: it states none.
    """
    return _png_shape(data) if file_format == "PNG" else _jpeg_shape(data)


def read_raster(data: bytes, file_format: RasterFormat, max_pixels: int) -> Radiograph:
    """The first picture of a PNG or JPEG file, turned as its EXIF orientation says.

    Colour becomes luminance (ITU-R BT.601, Pillow's "L"), transparency is laid over black. 8-bit grey keeps
    its levels in 8 bits and a 16-bit grey PNG its levels in 16, both exactly; Pillow reduces 16-bit colour, and 16-bit
    grey with alpha, to 8 bits, which costs such files their low byte.

    Args:
        data: the whole file.
        file_format: what the first bytes said it is.
        max_pixels: the largest width times height; held against the file's header, before anything is decoded.
    """
    height, width = raster_shape(data, file_format)
    if height * width > max_pixels:
        raise TooLargeError(limit=max_pixels, unit="pixels", received=height * width)
    try:
        # The plugin itself, not Image.open: no other format is ever tried, and the one limit on pixels is ours.
        image = PngImageFile(BytesIO(data)) if file_format == "PNG" else JpegImageFile(BytesIO(data))
        frames = int(getattr(image, "n_frames", 1))
        if frames == 1:
            image.load()
    except Exception as error:
        raise MalformedFileError(format=file_format, reason="it is cut short or corrupt") from error
    if frames > 1:
        raise MultiFrameError(frames=frames)
    try:
        levels = _grey_levels(image)
    except Exception as error:
        raise MalformedFileError(format=file_format, reason="its pixels cannot be turned to grey") from error
    return Radiograph(_oriented(levels, _orientation(image)))


def codestream_shape(stream: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples) as a JPEG, JPEG-LS or JPEG 2000 stream states them, None where it does not.

    ITU-T T.81 B.2.2 (frame header) and T.800 A.5.1 (SIZ marker).
    """
    if not stream.startswith(b"\xff\xd8"):
        start = _jpeg2000_start(stream)
        if start is None or stream[start : start + 4] != b"\xff\x4f\xff\x51" or start + 42 > len(stream):
            return None
        right, bottom, left, top, samples = struct.unpack_from(">4I16xH", stream, start + 8)
        return bottom - top, right - left, samples
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _START_OF_FRAME:
            rows, columns, samples = struct.unpack_from(">HHB", stream, at + 5)
            return rows, columns, samples
        if marker == 0xFF:  # fill byte
            at += 1
        else:
            at += 2 if marker in _WITHOUT_LENGTH else 2 + max(2, int.from_bytes(stream[at + 2 : at + 4], "big"))
    return None


def _jpeg2000_start(stream: bytes) -> int | None:
    """Where the codestream begins: at once, or in the jp2c box of a whole JP2 file (ITU-T T.800 I.4).

    None where a box has no usable length: pydicom's own search for that box would never end.
    """
    if not stream.startswith(b"\0\0\0\x0cjP  "):
        return 0
    at = 12
    while stream[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(stream[at : at + 4], "big")
        if length < 8:
            return None
        at += length
    return at + 8


def luminance_levels(rgb: NDArray[np.integer], bits: int) -> Levels:
    """Levels of (H, W, 3) colour of `bits` bits a sample, by ITU-R BT.601 in the same integers as Pillow's "L"."""
    red, green, blue = (rgb[..., sample].astype(np.uint32) for sample in range(3))
    # At most 65535 * 65536 + 32768 < 2**32.
    luminance = (red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471) + np.uint32(32768)) >> 16
    table = np.rint(np.arange(2**16) * (GREY_LEVELS / (2**bits - 1))).clip(0, GREY_LEVELS).astype(np.uint16)
    levels: Levels = table[luminance]
    return levels


def _png_shape(data: bytes) -> tuple[int, int]:
    """(height, width) from IHDR, which is always the first chunk (PNG specification 11.2.1)."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise MalformedFileError(format="PNG", reason="its header is cut short or corrupt")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _jpeg_shape(data: bytes) -> tuple[int, int]:
    shape = codestream_shape(data)
    if shape is None:
        raise MalformedFileError(format="JPEG", reason="its header is cut short or corrupt")
    return shape[:2]


def _grey_levels(image: Image.Image) -> GreyLevels:
    """(H, W) levels of a loaded picture, before it is turned: uint8 where they suffice."""
    transparency = image.info.get("transparency")
    if image.mode.startswith("I"):  # 16-bit grey: "I;16", or "I" where Pillow has widened it
        levels = np.asarray(image).clip(0, GREY_LEVELS).astype(np.uint16)
        return np.where(levels == transparency, np.uint16(0), levels) if isinstance(transparency, int) else levels
    if transparency is not None and image.mode in {"1", "L", "P", "RGB"}:
        image = image.convert("RGBA")
    grey = np.asarray(image if image.mode == "L" else image.convert("L"))
    if image.mode in {"LA", "PA", "RGBA"}:
        # Over black; float32 holds the product (at most 255 * 255 * 257 < 2**24) exactly.
        opacity = np.asarray(image.getchannel("A")).astype(np.float32)
        over_black: Levels = np.rint(grey * opacity * np.float32(_BYTE_TO_LEVEL) / np.float32(255)).astype(np.uint16)
        return over_black
    return grey


def _orientation(image: Image.Image) -> int:
    """EXIF Orientation 1 to 8 (CIPA DC-008 4.6.4); 1, as it lies, where it is missing or unreadable."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken side note must not cost the picture
        return 1


def _oriented(levels: GreyLevels, orientation: int) -> GreyLevels:
    """The picture as it is to be looked at."""
    if orientation in {5, 6, 7, 8}:
        levels = levels.T
    if orientation in {2, 3, 6, 7}:
        levels = levels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        levels = levels[::-1]
    return np.ascontiguousarray(levels)  # type: ignore[return-value]  # NumPy's stub forgets the dtype
