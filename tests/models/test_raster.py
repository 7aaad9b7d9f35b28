"""PNG and JPEG files of every kind become grey levels; broken ones become one error."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models.errors import MalformedFileError, MultiFrameError, RadiographError, TooLargeError
from models.radiograph import RadiographTags
from models.reading import ReadingLimits, read_radiograph

RAMP = np.arange(40 * 50).reshape(40, 50)


def saved(image, file_format="PNG", **options):
    target = BytesIO()
    image.save(target, file_format, **options)
    return target.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colour_type, scanlines):
    """A PNG from its parts (PNG specification 11.2)."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(scanlines)) + chunk(b"IEND", b"")
    )


def levels(data):
    """The levels in 16 bits: v of 8 bits is 257 v."""
    found = read_radiograph(data).levels
    assert found.flags.c_contiguous
    return found.astype(int) * (257 if found.dtype == np.uint8 else 1)


def test_8_bit_grey_is_unchanged_and_stays_in_8_bits():
    grey = (RAMP % 256).astype(np.uint8)
    radiograph = read_radiograph(saved(Image.fromarray(grey)))
    assert radiograph.levels.dtype == np.uint8
    assert np.array_equal(radiograph.levels, grey)
    assert radiograph.levels.flags.c_contiguous
    assert radiograph.tags == RadiographTags()


def test_16_bit_grey_is_unchanged():
    grey = (RAMP * 32).astype(np.uint16)
    found = read_radiograph(saved(Image.fromarray(grey))).levels
    assert found.dtype == np.uint16
    assert np.array_equal(found, grey)


def test_16_bit_transparency_is_black():
    rows = b"".join(b"\0" + (RAMP[row] * 32).astype(">u2").tobytes() for row in range(40))
    data = png(50, 40, 16, 0, rows)
    with_transparency = data.replace(chunk(b"IEND", b""), b"")
    at = with_transparency.index(b"IDAT") - 4
    with_transparency = (
        with_transparency[:at] + chunk(b"tRNS", struct.pack(">H", 320)) + with_transparency[at:] + chunk(b"IEND", b"")
    )
    assert levels(data)[0, 9:12].tolist() == [288, 320, 352]
    assert levels(with_transparency)[0, 9:12].tolist() == [288, 0, 352]


def test_1_bit_is_black_and_white():
    bits = RAMP % 3 == 0
    assert np.array_equal(levels(saved(Image.fromarray(bits))), bits * 65535)


def test_interlaced_is_read():
    # Adam7 of an 8 x 8 block is 1, 1, 2, 4, 8, 16, 32 pixels; a flat picture with one white corner shows the order
    whole = np.zeros((32, 32), np.uint8)
    whole[0, 0] = 255
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    scanlines = b"".join(
        b"\0" + row.tobytes() for top, left, down, right in passes for row in whole[top::down, left::right]
    )
    header = struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 1)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(scanlines)) + chunk(b"IEND", b"")
    )
    assert np.array_equal(levels(data), whole.astype(int) * 257)


def test_colour_becomes_luminance():
    colours = np.resize(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]], np.uint8), (40, 40, 3))
    # ITU-R BT.601: 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1
    assert levels(saved(Image.fromarray(colours)))[0, :4].tolist() == [76 * 257, 150 * 257, 29 * 257, 90 * 257]


def test_16_bit_colour_keeps_its_high_byte():
    pixel = struct.pack(">HHH", 0x1234, 0x1234, 0x1234) + bytes(6)
    assert levels(png(40, 40, 16, 2, (b"\0" + pixel * 20) * 40))[0, :2].tolist() == [0x12 * 257, 0]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_laid_over_black(mode):
    samples = [(200, 255), (200, 128), (200, 0)] if mode == "LA" else [(200,) * 3 + (a,) for a in (255, 128, 0)]
    data = saved(Image.fromarray(np.resize(np.array(samples, np.uint8), (33, 33, len(mode))), mode))
    # 200 * 128 / 255 * 257 = 25800.8
    assert levels(data)[0, :3].tolist() == [200 * 257, 25801, 0]


def test_a_palette_is_looked_up():
    image = Image.fromarray(np.resize(np.array([0, 1, 2], np.uint8), (33, 33)), "P")
    image.putpalette([0, 0, 0, 100, 100, 100, 255, 255, 255])
    assert levels(saved(image))[0, :3].tolist() == [0, 100 * 257, 65535]


@pytest.mark.parametrize(("transparency", "expected"), [(2, [0, 25700, 0]), (bytes([255, 51, 255]), [0, 5140, 65535])])
def test_a_palette_with_transparency_is_laid_over_black(transparency, expected):
    image = Image.fromarray(np.resize(np.array([0, 1, 2], np.uint8), (33, 33)), "P")
    image.putpalette([0, 0, 0, 100, 100, 100, 255, 255, 255])
    assert levels(saved(image, transparency=transparency))[0, :3].tolist() == expected


@pytest.mark.parametrize(
    ("orientation", "corner"),
    # where the bright top left corner of the stored picture goes (CIPA DC-008 4.6.4): of 40 rows and 50 columns
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0)),
     (0, (0, 0)), (99, (0, 0))],
)  # fmt: skip
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_exif_orientation_is_applied(orientation, corner, file_format):
    grey = np.zeros((40, 50), np.uint8)
    grey[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = levels(saved(Image.fromarray(grey), file_format, exif=exif))
    assert turned.shape == ((50, 40) if orientation in {5, 6, 7, 8} else (40, 50))
    assert turned[corner] > 64_000
    assert turned.mean() == pytest.approx(65535 * 256 / 2000, rel=0.01)


def test_a_broken_exif_is_ignored():
    grey = (RAMP % 256).astype(np.uint8)
    broken = saved(Image.fromarray(grey), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(levels(broken), grey.astype(int) * 257)
    short = saved(Image.fromarray(grey), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03")
    assert np.array_equal(levels(short), grey.astype(int) * 257)


@pytest.mark.parametrize("options", [{"quality": 100}, {"quality": 100, "progressive": True}])
def test_jpeg_is_read_within_its_loss(options):
    grey = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (40, 1))
    assert np.abs(levels(saved(Image.fromarray(grey), "JPEG", **options)) / 257 - grey).max() <= 2


def test_cmyk_jpeg_is_read_as_it_prints():
    # no ink is white, full black ink is black, half black ink is the middle
    cmyk = np.zeros((48, 48, 4), np.uint8)
    cmyk[:, 16:32, 3] = 255
    cmyk[:, 32:, 3] = 128
    row = levels(saved(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=100))[24] / 257
    assert row[[8, 24, 40]].tolist() == pytest.approx([255, 0, 127], abs=3)


def test_the_first_picture_of_an_mpo_is_read():
    first, second = (
        Image.fromarray(np.tile(np.arange(start, start + 50, dtype=np.uint8), (40, 1))) for start in (0, 99)
    )
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=100)
    assert data.startswith(b"\xff\xd8\xff")
    assert levels(data)[0, 0] < 5 * 257


def test_an_animated_png_is_refused():
    pictures = [Image.fromarray(np.full((40, 50), grey, np.uint8)) for grey in (0, 100, 200)]
    with pytest.raises(MultiFrameError) as caught:
        read_radiograph(saved(pictures[0], save_all=True, append_images=pictures[1:]))
    assert caught.value.values == {"frames": 3}


def test_400_megapixels_are_refused_from_the_header():
    data = png(20_000, 20_000, 8, 0, bytes(1000))
    with pytest.raises(TooLargeError) as caught:
        read_radiograph(data)
    assert caught.value.values == {"limit": 50_000_000, "unit": "pixels", "received": 400_000_000}


def test_pillows_own_limit_never_speaks():
    # 100 MP: Pillow alone would warn of a decompression bomb, 400 MP: refuse
    for side in (10_000, 20_000):
        with pytest.raises(MalformedFileError):
            read_radiograph(png(side, side, 8, 0, bytes(1000)), ReadingLimits(max_pixels=side * side))


def test_a_huge_jpeg_is_refused_from_the_header():
    data = bytearray(saved(Image.fromarray((RAMP % 256).astype(np.uint8)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 60_000, 50_000)
    with pytest.raises(TooLargeError) as caught:
        read_radiograph(bytes(data))
    assert caught.value.values["received"] == 3_000_000_000


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_file_cut_anywhere_is_malformed_or_read(file_format):
    noise = np.random.default_rng(7).integers(0, 256, (48, 48), dtype=np.uint8)
    data = saved(Image.fromarray(noise), file_format)
    for length in range(1, len(data), 5):
        try:
            read_radiograph(data[:length])
        except RadiographError:
            continue
    with pytest.raises(MalformedFileError) as caught:
        read_radiograph(data[: len(data) // 2])
    assert caught.value.values == {"format": file_format, "reason": "it is cut short or corrupt"}


def test_a_bomb_of_text_is_malformed():
    data = saved(Image.fromarray((RAMP % 256).astype(np.uint8)))
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    with pytest.raises(MalformedFileError):
        read_radiograph(data[:33] + bomb + data[33:])
