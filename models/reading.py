"""The only place that opens a radiograph: looks at the first bytes and picks the reader."""

import re
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from models.dicom import read_dicom
from models.errors import MalformedFileError, TooLargeError, UnknownFormatError, UnusableRadiographError
from models.radiograph import Radiograph
from models.raster import raster_format, read_raster

MIN_SIDE_PX = 32

# What others send by mistake; the description names the kind and never repeats the content.
_OTHERS = {
    b"%PDF": "a PDF",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"RIFF": "a RIFF file",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture outside DICOM",
}
_LIBRARIES = re.compile(r"(pydicom|PIL)\.")
_filter_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How large a file may be; both are held before anything is decoded."""

    max_bytes: int = 64 * 2**20
    max_pixels: int = 50_000_000


def read_radiograph(data: bytes, limits: ReadingLimits = ReadingLimits()) -> Radiograph:
    """The radiograph in a PNG, JPEG or DICOM file, recognised by its content.

    Args:
        data: the whole file.
        limits: what is refused unread.

    Raises:
        RadiographError: what was sent is no readable, usable radiograph; nothing else is ever raised for any bytes.
    """
    if not data:
        raise MalformedFileError(format="PNG, JPEG or DICOM", reason="it is empty")
    if len(data) > limits.max_bytes:
        raise TooLargeError(limit=limits.max_bytes, unit="bytes", received=len(data))
    _hush_libraries()
    raster = raster_format(data)
    if raster is not None:
        radiograph = read_raster(data, raster, limits.max_pixels)
    elif _is_dicom(data):
        radiograph = read_dicom(data, limits.max_pixels)
    else:
        raise UnknownFormatError(received=_description(data))
    _check_usable(radiograph)
    return radiograph


def read_radiograph_file(path: str | Path, limits: ReadingLimits = ReadingLimits()) -> Radiograph:
    """The radiograph in the file at `path`."""
    return read_radiograph(Path(path).read_bytes(), limits)


def _is_dicom(data: bytes) -> bool:
    """Whether it starts as a DICOM file (PS3.10 7.1), or as a data set that was saved without preamble."""
    if data[128:132] == b"DICM":
        return True
    # First tag in group 0002 (file meta, always explicit VR) or 0008, then a VR or, implicit, a short first length.
    group, element, follows = data[0:2], data[2:4], data[4:8]
    if len(data) < 8 or element[1] != 0x00:
        return False
    explicit = follows[:2].isalpha() and follows[:2].isupper()
    if group == b"\x02\x00":
        return explicit
    return group == b"\x08\x00" and (explicit or int.from_bytes(follows, "little") <= 64)


def _description(data: bytes) -> str:
    for signature, description in _OTHERS.items():
        if data.startswith(signature):
            return description
    head = data[:512]
    if b"\0" not in head and all(byte >= 0x20 or byte in b"\t\n\r\f" for byte in head):
        return "text"
    return f"unknown content starting with 0x{data[:4].hex()}"


def _check_usable(radiograph: Radiograph) -> None:
    height, width = radiograph.levels.shape
    if min(height, width) < MIN_SIDE_PX:
        raise UnusableRadiographError(reason=f"it has only {width} x {height} pixels, less than {MIN_SIDE_PX} a side")
    if radiograph.levels.min() == radiograph.levels.max():
        raise UnusableRadiographError(reason="all its pixels are equal")


def _hush_libraries() -> None:
    """Let pydicom and Pillow be silent about files that bend the Standard, and read them all the same.

    `warnings.catch_warnings` restores a process-wide list and is not safe among threads before Python 3.14, and
    radiographs are read in a pool of threads. So one filter, for these two libraries alone, is put in place and stays;
    nothing is ever restored, so there is nothing to race for.
    """
    if any(entry[3] == _LIBRARIES for entry in warnings.filters):
        return
    with _filter_lock:
        warnings.filterwarnings("ignore", module=_LIBRARIES.pattern)
