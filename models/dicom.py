"""DICOM bytes -> `Radiograph`.

Every pointwise step of the Standard (unused bits, modality, values of interest, presentation) is computed once for all
codes that a pixel can hold, at most 65536; the picture is then looked up in that table.
Only the elements named here are parsed, from their raw bytes: a malformed value counts as missing, without an exception
or a warning, and names, identifiers and dates are never looked at.
"""

import re
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import config, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from models.errors import MalformedFileError, MultiFrameError, NoPixelDataError, TooLargeError, UnusableRadiographError
from models.radiograph import GREY_LEVELS, Radiograph, RadiographTags
from models.raster import Levels, codestream_shape, luminance_levels

Values = NDArray[np.float64]

# All that is read; group 0010 gives sex and age, and nothing else of the patient.
_KEYWORDS = """SOPClassUID Modality Manufacturer PatientSex PatientAge BodyPartExamined ViewPosition SamplesPerPixel
    PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns BitsAllocated BitsStored
    PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit RescaleIntercept RescaleSlope ModalityLUTSequence
    WindowCenter WindowWidth VOILUTFunction VOILUTSequence LUTDescriptor LUTData PresentationLUTShape PixelData"""
_TAGS = {keyword: tag_for_keyword(keyword) or 0 for keyword in _KEYWORDS.split()}
_MAX_NUMBER = 1e12
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5 6.2, CS
_AGE = re.compile(r"(\d{3})([DWMY])")  # PS3.5 6.2, AS
_AGES_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}


def read_dicom(data: bytes, max_pixels: int) -> Radiograph:
    """The one frame of a DICOM instance, shown as the instance asks for, bone bright and not resized.

    Args:
        data: the whole file, with or without preamble (PS3.10 7.1).
        max_pixels: the largest Rows times Columns; held before anything is decoded.
    """
    if _DEFLATED in data:  # pydicom inflates without a limit, and nobody deflates radiographs
        raise UnusableRadiographError(reason="its transfer syntax is Deflated Explicit VR Little Endian")
    try:
        dataset = dcmread(BytesIO(data), force=True, specific_tags=list(_TAGS.values()))
    except Exception as error:
        raise MalformedFileError(format="DICOM", reason="its data set is cut short or corrupt") from error
    options = _pixel_options(dataset, max_pixels)
    stored = _decode(dataset, options)
    levels = luminance_levels(stored, options["bits_stored"]) if stored.ndim == 3 else _grey(stored, dataset, options)
    return Radiograph(levels, _tags(dataset))


def _pixel_options(dataset: Dataset, max_pixels: int) -> dict[str, Any]:
    """The Image Pixel module (PS3.3 C.7.6.3) as pydicom's decoders take it; refuses what is no readable picture."""
    rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
    has_pixels = bool(_bytes(dataset, "PixelData"))
    if len(dataset) and not has_pixels and not rows:
        uid = UID(_text(dataset, "SOPClassUID"), config.IGNORE)
        raise NoPixelDataError(sop_class=uid.name if uid.name != str(uid) else "unknown SOP class")
    frames = _numbers(dataset, "NumberOfFrames")
    if frames and frames[0] > 1:
        raise MultiFrameError(frames=int(frames[0]))
    if rows * columns > max_pixels:
        raise TooLargeError(limit=max_pixels, unit="pixels", received=rows * columns)
    if not has_pixels or not rows or not columns:  # pydicom drops all it has read when a codestream has no end
        raise MalformedFileError(format="DICOM", reason="its pixel data or size is missing or cut short")
    allocated = _integer(dataset, "BitsAllocated")
    if allocated not in {1, 8, 16}:
        raise UnusableRadiographError(reason=f"its pixels are stored in {allocated} bits, not in 8 or 16")
    photometric = _text(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    samples = _integer(dataset, "SamplesPerPixel") or 1
    if photometric not in (_GREY if samples == 1 else _COLOUR):
        raise UnusableRadiographError(reason="its pixels are neither grey, RGB nor YBR")
    return {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": samples,
        "photometric_interpretation": photometric,
        "planar_configuration": _integer(dataset, "PlanarConfiguration"),
        "bits_allocated": allocated,
        "bits_stored": min(_integer(dataset, "BitsStored") or allocated, allocated),
        "pixel_representation": _integer(dataset, "PixelRepresentation") & 1,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,  # `_grey` does, without copying the picture
    }


def _decode(dataset: Dataset, options: dict[str, Any]) -> NDArray[Any]:
    """Stored values (H, W), or RGB (H, W, 3), 8 or 16 bits of either signedness."""
    syntax = _transfer_syntax(dataset)
    encoded = _bytes(dataset, "PixelData")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnusableRadiographError(reason="its transfer syntax is not supported") from error
    if not syntax.is_encapsulated:
        options = options | {
            "view_only": options["samples_per_pixel"] == 1,
            "pixel_vr": _raw(dataset, "PixelData").VR,
        }
    elif syntax != RLELossless:  # always the same decoder: the same file must give the same pixels everywhere
        options = options | {"decoding_plugin": "pylibjpeg"}
    try:
        # Decoders of codestreams allocate what the stream says, whatever the data set says.
        stream = get_frame(encoded, 0, number_of_frames=1) if "decoding_plugin" in options else b""
        if stream and codestream_shape(stream) != tuple(
            options[key] for key in ("rows", "columns", "samples_per_pixel")
        ):
            raise ValueError("the codestream is not Rows x Columns x Samples per Pixel")
        stored, _ = decoder.as_array(encoded, index=0, **options)
    except Exception as error:
        raise MalformedFileError(format="DICOM", reason="its pixel data is cut short or corrupt") from error
    return stored


def _grey(stored: NDArray[Any], dataset: Dataset, options: dict[str, Any]) -> Levels:
    """Levels of (H, W) stored values, by a table over all codes that a pixel can hold.

    Without a usable VOI LUT or window, the range shown is from the least to the greatest value of the picture itself,
    Pixel Padding (PS3.3 C.7.5.1.1.2) not counted; padding outside that range is clipped to its nearer end.
    """
    codes = stored.view(stored.dtype.str.replace("i", "u"))
    bits, signed = options["bits_stored"], options["pixel_representation"] == 1
    # Only Bits Stored counts: older instances carry overlays or rubbish in the bits above (PS3.5 8.1.1).
    values = np.arange(2 ** (8 * stored.dtype.itemsize)) & (2**bits - 1)
    values = np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if signed else values
    modality = _modality(values.astype(np.float64), dataset, signed)
    shown = _values_of_interest(modality, dataset, signed)
    if shown is None:
        present = np.zeros(values.size, dtype=bool)
        present[codes] = True
        counted = present & ~_is_padding(values, dataset, signed)
        range_shown = modality[counted if counted.any() else present]
        low, high = range_shown.min(), range_shown.max()
        shown = (modality - low) / (high - low if high > low else 1.0)
    shown = shown.clip(0.0, 1.0)
    # For DX the two say one thing, together (PS3.3 C.8.11.3.1.2): they invert once between them.
    if options["photometric_interpretation"] == "MONOCHROME1" or _text(dataset, "PresentationLUTShape") == "INVERSE":
        shown = 1.0 - shown
    table: Levels = np.rint(shown * GREY_LEVELS).astype(np.uint16)
    levels: Levels = table[codes]
    return levels


def _is_padding(values: NDArray[Any], dataset: Dataset, signed: bool) -> NDArray[np.bool_]:
    """Which stored values are Pixel Padding (PS3.3 C.7.5.1.1.2)."""
    value = _integers(dataset, "PixelPaddingValue", signed)[:1]
    limits = value + _integers(dataset, "PixelPaddingRangeLimit", signed)[:1]
    return (values >= min(limits)) & (values <= max(limits)) if value else np.zeros(values.shape, dtype=bool)


def _modality(values: Values, dataset: Dataset, signed: bool) -> Values:
    """Stored values -> the modality's own (PS3.3 C.11.1), by its LUT or by its rescale."""
    lookup = _lookup(dataset, "ModalityLUTSequence", values, signed)
    if lookup is not None:
        return lookup[0]
    slope, intercept = _numbers(dataset, "RescaleSlope")[:1], _numbers(dataset, "RescaleIntercept")[:1]
    return values * (slope[0] if slope and slope[0] != 0 else 1.0) + (intercept[0] if intercept else 0.0)


def _values_of_interest(values: Values, dataset: Dataset, signed: bool) -> Values | None:
    """The modality's values -> [0, 1] by the first VOI LUT, else the first window (PS3.3 C.11.2); None without."""
    lookup = _lookup(dataset, "VOILUTSequence", values, signed)
    if lookup is not None:
        looked_up: Values = lookup[0] / (2 ** lookup[1] - 1)
        return looked_up
    function = _text(dataset, "VOILUTFunction") or "LINEAR"
    window = _numbers(dataset, "WindowCenter")[:1] + _numbers(dataset, "WindowWidth")[:1]
    if len(window) < 2 or window[1] < (1 if function == "LINEAR" else 1e-9):
        return None
    center, width = window
    if function == "SIGMOID":
        sigmoid: Values = 1.0 / (1.0 + np.exp((-4.0 * (values - center) / width).clip(-700.0, 700.0)))
        return sigmoid
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    shown: Values = (values - center) / width + 0.5 if width > 0 else (values > center).astype(np.float64)
    return shown


def _lookup(dataset: Dataset, keyword: str, values: Values, signed: bool) -> tuple[Values, int] | None:
    """Values through the first LUT of a sequence, and the bits of its entries (PS3.3 C.11.1.1, C.11.2.1.1)."""
    try:
        item = dataset[_TAGS[keyword]].value[0]
        count, first, bits = _integers(item, "LUTDescriptor")[:3]
        data, element = _bytes(item, "LUTData"), _raw(item, "LUTDescriptor")
    except Exception:  # missing, empty or malformed
        return None
    count = count or 2**16
    if first >= 2**15 and (element.VR == "SS" or (element.VR != "US" and signed)):
        first -= 2**16
    entry_bytes = 2 if len(data) >= 2 * count else 1
    if len(data) < count or not 1 <= bits <= 16:
        return None
    order = "<" if element.is_little_endian else ">"
    entries = np.frombuffer(data, f"{order}u{entry_bytes}", count).astype(np.float64)
    return entries[(np.rint(values) - first).clip(0, count - 1).astype(np.intp)], bits


def _transfer_syntax(dataset: Dataset) -> UID:
    """As file meta states it, else as the data set was found to be encoded (PS3.5 A)."""
    implicit, little = dataset.original_encoding
    found = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return UID(str(dataset.file_meta.get("TransferSyntaxUID") or found), config.IGNORE)


def _tags(dataset: Dataset) -> RadiographTags:
    age = _AGE.fullmatch(_text(dataset, "PatientAge").upper())
    sex = _text(dataset, "PatientSex").upper()
    return RadiographTags(
        view_position=_code(dataset, "ViewPosition"),
        age_years=int(age[1]) / _AGES_PER_YEAR[age[2]] if age else None,
        sex=sex if sex in {"M", "F", "O"} else None,
        modality=_code(dataset, "Modality"),
        body_part_examined=_code(dataset, "BodyPartExamined"),
        manufacturer=_text(dataset, "Manufacturer")[:64] or None,
    )


def _raw(dataset: Dataset, keyword: str) -> Any:
    """An element as it stands in the file, None where it is missing."""
    return dataset.get_item(_TAGS[keyword], keep_deferred=True)  # else an empty value would be converted


def _bytes(dataset: Dataset, keyword: str) -> bytes:
    """An element's value; empty where it is missing, empty or a sequence."""
    value = getattr(_raw(dataset, keyword), "value", None)
    return value if isinstance(value, bytes) else b""


def _text(dataset: Dataset, keyword: str) -> str:
    return _bytes(dataset, keyword).decode("ascii", "replace").strip(" \0")


def _code(dataset: Dataset, keyword: str) -> str | None:
    code = _text(dataset, keyword).upper()
    return code if _CODE_STRING.fullmatch(code) else None


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    """The values of a DS or IS element; none where one of them is no number, or too large to be meant."""
    try:
        values = [float(part) for part in _text(dataset, keyword).split("\\")]
    except ValueError:
        return []
    return values if all(abs(value) < _MAX_NUMBER for value in values) else []


def _integers(dataset: Dataset, keyword: str, signed: bool = False) -> list[int]:
    """The values of a US or SS element, at most three; none where it is missing."""
    value = _bytes(dataset, keyword)[:6]
    order: Literal["little", "big"] = "little" if not value or _raw(dataset, keyword).is_little_endian else "big"
    return [int.from_bytes(value[at : at + 2], order, signed=signed) for at in range(0, len(value) // 2 * 2, 2)]


def _integer(dataset: Dataset, keyword: str) -> int:
    return next(iter(_integers(dataset, keyword)), 0)
