"""The one front door: formats are told by content, limits hold, and nothing but a RadiographError comes out."""

import logging
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file

from models.errors import (
    MalformedFileError,
    RadiographError,
    TooLargeError,
    UnknownFormatError,
    UnusableRadiographError,
)
from models.reading import ReadingLimits, read_radiograph, read_radiograph_file

SIGNATURES = [
    b"", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    bytes(128) + b"DICM", bytes(128) + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0", b"\x02\0\0\0UL\x04\0",
    b"\x08\0\x05\0CS\x0a\0ISO_IR 100", b"\x08\0\x16\0\x1a\0\0\0",
]  # fmt: skip


def picture(height=40, width=50):
    target = BytesIO()
    Image.fromarray((np.arange(height * width) % 256).astype(np.uint8).reshape(height, width)).save(target, "PNG")
    return target.getvalue()


def small_instance():
    path = get_testdata_file("MR_small.dcm", download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def small_codestream():
    path = get_testdata_file("MR_small_jp2klossless.dcm", download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def test_empty_bytes_are_malformed():
    with pytest.raises(MalformedFileError) as caught:
        read_radiograph(b"")
    assert caught.value.values == {"format": "PNG, JPEG or DICOM", "reason": "it is empty"}


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"Doe, Jane, 1970-01-01\n", "text"),
        (b"PatientName: Doe", "text"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"II*\x00rest", "a TIFF picture"),
        (b"\x01\x02\x03\x04\x05\x06", "unknown content starting with 0x01020304"),
        (bytes(500), "unknown content starting with 0x00000000"),
    ],
)
def test_other_content_is_described_and_never_repeated(data, received):
    with pytest.raises(UnknownFormatError) as caught:
        read_radiograph(data)
    assert caught.value.values == {"received": received}
    assert "Doe" not in str(caught.value)


def test_the_name_of_a_file_does_not_matter(tmp_path):
    path = tmp_path / "actually-a-png.dcm"
    path.write_bytes(picture())
    assert read_radiograph_file(path).levels.shape == (40, 50)
    path.write_text("not a picture")
    with pytest.raises(UnknownFormatError, match="text"):
        read_radiograph_file(str(path))


def test_bytes_are_limited():
    data = picture()
    with pytest.raises(TooLargeError) as caught:
        read_radiograph(data, ReadingLimits(max_bytes=len(data) - 1))
    assert caught.value.values == {"limit": len(data) - 1, "unit": "bytes", "received": len(data)}
    assert read_radiograph(data, ReadingLimits(max_bytes=len(data))).levels.shape == (40, 50)


def test_pixels_are_limited():
    with pytest.raises(TooLargeError) as caught:
        read_radiograph(picture(), ReadingLimits(max_pixels=1999))
    assert caught.value.values == {"limit": 1999, "unit": "pixels", "received": 2000}


def test_less_than_32_pixels_a_side_is_unusable():
    assert read_radiograph(picture(32, 32)).levels.shape == (32, 32)
    with pytest.raises(UnusableRadiographError, match="31 x 500 pixels"):
        read_radiograph(picture(500, 31))


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_flat_picture_is_unusable(grey):
    target = BytesIO()
    Image.fromarray(np.full((64, 64), grey, np.uint8)).save(target, "PNG")
    with pytest.raises(UnusableRadiographError) as caught:
        read_radiograph(target.getvalue())
    assert caught.value.values == {"reason": "all its pixels are equal"}


def test_a_flat_instance_is_unusable():
    data = small_instance()
    start = data.index(b"\xe0\x7f\x10\x00OW\0\0") + 12
    with pytest.raises(UnusableRadiographError, match="all its pixels are equal"):
        read_radiograph(data[:start] + bytes(8192) + data[start + 8192 :])


@pytest.mark.parametrize(("data", "kind"), [(picture(), np.uint8), (small_instance(), np.uint16)])
def test_a_picture_has_8_bits_where_they_suffice_and_an_instance_16(data, kind):
    assert read_radiograph(data).levels.dtype == kind


def test_errors_travel_between_processes():
    with pytest.raises(RadiographError) as caught:
        read_radiograph(picture()[:100])
    assert pickle.loads(pickle.dumps(caught.value)).values == caught.value.values  # noqa: S301 - our own bytes


def test_warnings_of_others_are_left_alone():
    path = get_testdata_file("MR_small_padded.dcm", download=False)  # pydicom warns of its padding
    assert isinstance(path, str)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        read_radiograph_file(path)
        filters = list(warnings.filters)
        read_radiograph_file(path)
        assert warnings.filters == filters
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["mine"]


def test_threads_read_the_same():
    files = [picture(), small_instance(), small_codestream()]
    expected = [read_radiograph(data).levels for data in files]
    with ThreadPoolExecutor(8) as pool:
        for index, radiograph in enumerate(pool.map(read_radiograph, files * 40)):
            assert np.array_equal(radiograph.levels, expected[index % 3])


@pytest.fixture(autouse=True)
def quiet_logs():
    """Decoders log each failed attempt with its traceback: thousands, here."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("pydicom").setLevel(logging.NOTSET)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=400))
def test_random_content_gives_only_radiograph_errors(signature, rest):
    with pytest.raises(RadiographError):
        read_radiograph(signature + rest)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([picture(), small_instance(), small_codestream()]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0.01, 1),
)
def test_damaged_files_are_read_or_give_radiograph_errors(data, changes, kept):
    damaged = bytearray(data)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    try:
        radiograph = read_radiograph(bytes(damaged[: max(1, int(kept * len(damaged)))]))
    except RadiographError:
        return
    assert radiograph.levels.min() < radiograph.levels.max()
    assert 0 <= radiograph.pixels.min() < radiograph.pixels.max() <= 1
