"""DICOM instances, real ones and ones built by hand, become the grey levels the Standard asks for."""

import logging
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from models.errors import (
    MalformedFileError,
    MultiFrameError,
    NoPixelDataError,
    RadiographError,
    TooLargeError,
    UnusableRadiographError,
)
from models.radiograph import RadiographTags
from models.reading import ReadingLimits, read_radiograph

CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"


def published(name):
    """The bytes of one of pydicom's published files, from the installed packages alone."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} is not installed"
    return Path(path).read_bytes()


def lut(count, first, bits, entries, dtype="<u2", vr="US"):
    item = Dataset()
    item.add_new(0x00283002, vr, [count, first, bits])
    item.add_new(0x00283006, "OW", np.asarray(entries, dtype).tobytes())
    return item


def instance(values, syntax=ExplicitVRLittleEndian, dtype="<u2", bits_stored=12, preamble=True, **elements):
    """A CR instance of 32 x 32 pixels that repeat `values`, in row order."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = CR_STORAGE
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows = dataset.Columns = 32
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = np.dtype(dtype).itemsize * 8
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(np.dtype(dtype).kind == "i")
    dataset.add_new(0x7FE00010, "OW", np.resize(np.asarray(values, dtype), (32, 32)).astype(dtype).tobytes())
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    target = BytesIO()
    if preamble:
        dataset.save_as(target, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(target, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return target.getvalue()


def first_levels(data, count):
    levels = read_radiograph(data).levels
    assert levels.dtype == np.uint16
    return levels.ravel()[:count].tolist()


@pytest.mark.parametrize(
    ("function", "values", "center", "width", "levels"),
    [
        # ((x - 2047.5) / 4095 + 0.5) * 65535; 1024 * 65535 / 4095 = 16387.75
        ("LINEAR", [0, 1024, 4095], 2048, 4096, [0, 16388, 65535]),
        # x / 4096 * 65535
        ("LINEAR_EXACT", [0, 1024, 4095], 2048, 4096, [0, 16384, 65519]),
        # 65535 / (1 + exp(-4 (x - 100) / 40)): 65535 / (1 + e), and 65535 / (1 + 1 / e)
        ("SIGMOID", [90, 110], 100, 40, [17625, 47910]),
        # width 1 is a step: not greater than center - 0.5 is black
        ("LINEAR", [99, 100, 101], 100, 1, [0, 65535, 65535]),
        # clipped on both sides
        ("LINEAR", [0, 1000, 1100, 4095], 1050.5, 101, [0, 0, 65535, 65535]),
    ],
)
def test_a_window_maps_its_range_to_black_and_white(function, values, center, width, levels):
    data = instance(values, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    assert first_levels(data, len(levels)) == levels


def test_the_first_of_several_windows_is_used():
    data = instance([0, 1024, 4095], WindowCenter=[2048, 100], WindowWidth=[4096, 10])
    assert first_levels(data, 3) == [0, 16388, 65535]


@pytest.mark.parametrize(("center", "width"), [(100, 0), (100, -5), (100, 0.5), ("", 100), (100, "")])
def test_an_impossible_window_counts_as_none(center, width):
    data = instance([10, 20, 30], WindowCenter=center, WindowWidth=width)
    assert first_levels(data, 3) == [0, 32768, 65535]


@pytest.mark.parametrize("number", ["1E+300", "-1E+305", "NaN", "inf", "1,5"])
def test_numbers_that_cannot_be_meant_count_as_missing(number):
    data = instance([10, 20, 30], RescaleSlope="1234567", RescaleIntercept="0")
    assert first_levels(data.replace(b"1234567 ", number.encode().ljust(8)), 3) == [0, 32768, 65535]


def test_without_a_window_the_pictures_own_range_is_shown():
    assert first_levels(instance([1000, 1500, 2000]), 3) == [0, 32768, 65535]


def test_monochrome1_is_inverted():
    assert first_levels(instance([1000, 1100, 2000], PhotometricInterpretation="MONOCHROME1"), 3) == [65535, 58982, 0]


def test_inverse_shape_is_inverted():
    assert first_levels(instance([1000, 1100, 2000], PresentationLUTShape="INVERSE"), 3) == [65535, 58982, 0]


def test_monochrome1_with_inverse_shape_is_inverted_once():
    data = instance([1000, 1100, 2000], PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert first_levels(data, 3) == [65535, 58982, 0]


def test_rescale_comes_before_the_window():
    # 2 x - 1000: 500 -> 0, 750 -> 500, 1000 -> 1000; the window shows 0 to 1000
    data = instance([500, 750, 1000], RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=500.5, WindowWidth=1001)
    assert first_levels(data, 3) == [0, 32768, 65535]


def test_a_negative_slope_turns_grey_around():
    assert first_levels(instance([0, 100], RescaleSlope=-1, RescaleIntercept=100), 2) == [65535, 0]


def test_a_modality_lut_is_applied():
    data = instance([50, 100, 101, 102, 900], ModalityLUTSequence=[lut(3, 100, 16, [1000, 2000, 3000])])
    assert first_levels(data, 5) == [0, 0, 32768, 65535, 65535]


def test_a_voi_lut_maps_to_the_range_of_its_bits():
    # 1000 / 4095 * 65535 = 16003.66; 2000 / 4095 * 65535 = 32007.33
    data = instance([5, 11, 12, 200], VOILUTSequence=[lut(4, 10, 12, [0, 1000, 2000, 4095])])
    assert first_levels(data, 4) == [0, 16004, 32007, 65535]


def test_a_voi_lut_wins_over_a_window():
    data = instance([0, 1], VOILUTSequence=[lut(2, 0, 8, [0, 51])], WindowCenter=2048, WindowWidth=4096)
    assert first_levels(data, 2) == [0, 51 * 257]


def test_a_voi_lut_of_8_bits_may_have_more_than_256_entries():
    data = instance([0, 300, 511], VOILUTSequence=[lut(512, 0, 8, np.arange(512) // 2)])
    assert first_levels(data, 3) == [0, 150 * 257, 65535]


def test_a_voi_lut_of_8_bits_may_be_packed_in_bytes():
    data = instance([0, 1, 3], VOILUTSequence=[lut(4, 0, 8, [0, 100, 200, 255], dtype="u1")])
    assert first_levels(data, 3) == [0, 25700, 65535]


def test_a_voi_lut_may_start_below_zero():
    data = instance([-2, -1, 1], dtype="<i2", VOILUTSequence=[lut(4, -2, 8, [0, 85, 170, 255], vr="SS")])
    assert first_levels(data, 3) == [0, 85 * 257, 65535]


def test_a_voi_lut_of_65536_entries_is_written_as_0():
    data = instance([0, 4000], bits_stored=16, VOILUTSequence=[lut(0, 0, 16, np.arange(65536))])
    assert first_levels(data, 2) == [0, 4000]


@pytest.mark.parametrize("broken", [lut(400, 0, 8, [1, 2]), lut(2, 0, 40, [1, 2]), Dataset()])
def test_a_broken_voi_lut_counts_as_none(broken):
    assert first_levels(instance([10, 20, 30], VOILUTSequence=[broken]), 3) == [0, 32768, 65535]


def test_rubbish_above_bits_stored_is_ignored():
    data = instance([0xF000 | 1000, 0x3000 | 1500, 2000], bits_stored=12)
    assert first_levels(data, 3) == [0, 32768, 65535]


def test_signed_values_are_signed():
    assert first_levels(instance([-100, 0, 100], dtype="<i2", bits_stored=16), 3) == [0, 32768, 65535]


def test_the_sign_is_the_highest_stored_bit():
    # -100 in 12 bits is 0xF9C, here without extension of its sign
    assert first_levels(instance([0x0F9C, 0, 100], dtype="<i2", bits_stored=12), 3) == [0, 32768, 65535]


def test_8_bits_are_read():
    data = instance([0, 51, 255], dtype="u1", bits_stored=8, WindowCenter=128, WindowWidth=256)
    assert first_levels(data, 3) == [0, 51 * 257, 65535]


def test_padding_does_not_widen_the_range():
    assert first_levels(instance([0, 1000, 1500, 2000], PixelPaddingValue=0), 4) == [0, 0, 32768, 65535]


def test_a_range_of_padding_does_not_widen_the_range():
    data = instance([0, 7, 1000, 1500, 2000], PixelPaddingValue=0, PixelPaddingRangeLimit=10)
    assert first_levels(data, 5) == [0, 0, 0, 32768, 65535]


def test_signed_padding_is_recognised():
    data = instance([-2000, 0, 100], dtype="<i2", bits_stored=16, PixelPaddingValue=-2000)
    assert first_levels(data, 3) == [0, 0, 65535]


def test_colour_becomes_luminance():
    rgb = np.tile(np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8), (256, 1))
    data = instance(
        rgb.ravel(), dtype="u1", bits_stored=8, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, PixelData=rgb.tobytes(),
    )  # fmt: skip
    # ITU-R BT.601: 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1
    assert first_levels(data, 4) == [65535, 76 * 257, 150 * 257, 29 * 257]


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_ybr_full_uncompressed.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_colour_is_the_same_in_every_coding(name):
    expected = read_radiograph(published("SC_rgb.dcm")).levels.astype(int)
    # YBR in 8 bits rounds, there and back: two of 255 greys
    assert np.abs(read_radiograph(published(name)).levels.astype(int) - expected).max() <= 2 * 257


@pytest.mark.parametrize(
    ("other", "reference"),
    [
        ("RG3_J2KR.dcm", "RG3_UNCR.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_padded.dcm", "MR_small.dcm"),
        ("RG1_J2KR.dcm", "RG1_UNCR.dcm"),
    ],
)
def test_lossless_codings_give_the_same_pixels(other, reference):
    expected = read_radiograph(published(reference))
    assert np.array_equal(read_radiograph(published(other)).levels, expected.levels)


def test_a_real_chest_is_read_with_bone_bright():
    radiograph = read_radiograph(published("RG1_UNCR.dcm"))
    assert radiograph.levels.shape == (1955, 1841)
    assert radiograph.levels.dtype == np.uint16
    # stored as MONOCHROME1, window 15000 / 30000: 65535 * (1 - x / 29999)
    stored = np.frombuffer(published("RG1_UNCR.dcm")[-7198310 - 138 :][:7198310], "<u2").reshape(1955, 1841)
    assert int(stored[1000, 900]) < int(stored[700, 500])  # the spine lets less through than the lung
    for place in [(1000, 900), (700, 500), (100, 100)]:
        expected = 65535 * (1 - min(int(stored[place]), 29999) / 29999)
        assert radiograph.levels[place] == pytest.approx(expected, abs=0.51)
    assert radiograph.tags == RadiographTags(
        view_position="PA", sex="F", modality="CR", body_part_examined="CHEST", manufacturer="Philips Medical Systems"
    )


@pytest.mark.parametrize("name", ["JPEG-LL.dcm", "JPGExtended.dcm", "JPEG2000.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm"])
def test_jpeg_codings_are_read(name):
    assert np.ptp(read_radiograph(published(name)).pixels) > 0.9


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_data_set_without_preamble_is_read(syntax):
    assert first_levels(instance([1, 2, 3], syntax, preamble=False), 3) == [0, 32768, 65535]


def test_big_endian_is_read():
    data = instance([1, 2, 3], ExplicitVRBigEndian, dtype=">u2", WindowCenter=2.5, WindowWidth=3)
    assert first_levels(data, 3) == [0, 32768, 65535]


@pytest.mark.parametrize(
    ("age", "years"),
    [("034Y", 34.0), ("008M", 8 / 12), ("003W", 21 / 365.25), ("010D", 10 / 365.25), ("    ", None), ("34 Y", None),
     ("0x4Y", None), ("034Z", None), ("\xff\xfe\x00\x01", None)],
)  # fmt: skip
def test_age_is_in_years(age, years):
    data = instance([1, 2, 3], PatientAge="099Y").replace(b"099Y", age.encode("latin-1"))
    assert read_radiograph(data).tags.age_years == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize(
    ("sex", "read"), [(b"F ", "F"), (b"M ", "M"), (b"O ", "O"), (b"X ", None), (b"\xff\xff", None)]
)
def test_sex_is_one_of_three(sex, read):
    data = instance([1, 2, 3], PatientSex="QQ").replace(b"CS\x02\x00QQ", b"CS\x02\x00" + sex)
    assert read_radiograph(data).tags.sex == read


def test_codes_are_upper_case_and_nothing_else():
    data = instance([1, 2, 3], BodyPartExamined="CHEST1", ViewPosition="PA", Modality="DX", Manufacturer=" Maker ")
    data = data.replace(b"CHEST1", b"chest ").replace(b"CS\x02\x00PA", b"CS\x02\x00^^")
    assert read_radiograph(data).tags == RadiographTags(modality="DX", body_part_examined="CHEST", manufacturer="Maker")


def test_no_identity_is_kept():
    data = instance([1, 2, 3], PatientName="Secret^Name", PatientID="SECRET-1", PatientBirthDate="19700101")
    assert "SECRET" not in repr(read_radiograph(data).tags).upper()


def test_elements_that_bend_the_standard_do_not_matter():
    data = instance([1, 2, 3], SpecificCharacterSet="ISO_IR 100", Manufacturer="Maker", PatientAge="034Y")
    data = data.replace(b"ISO_IR 100", b"NO_SUCH_CS").replace(CR_STORAGE.encode(), b"1.2.840.x0008.5.1.4.1.1.1")
    assert first_levels(data, 3) == [0, 32768, 65535]


@pytest.mark.parametrize(
    ("name", "sop_class"),
    [("rtplan.dcm", "RT Plan Storage"), ("reportsi.dcm", "Basic Text SR Storage"),
     ("waveform_ecg.dcm", "12-lead ECG Waveform Storage")],
)  # fmt: skip
def test_an_instance_without_pixels_is_named(name, sop_class):
    with pytest.raises(NoPixelDataError) as caught:
        read_radiograph(published(name))
    assert caught.value.values == {"sop_class": sop_class}


def test_an_unknown_class_without_pixels_is_not_repeated():
    with pytest.raises(NoPixelDataError, match="unknown SOP class"):
        read_radiograph(
            published("rtplan.dcm").replace(b"1.2.840.10008.5.1.4.1.1.481.5", b"1.2.840.99999.5.1.4.1.1.481.5")
        )


@pytest.mark.parametrize(("name", "frames"), [("emri_small.dcm", 10), ("SC_rgb_2frame.dcm", 2), ("rtdose.dcm", 15)])
def test_more_than_one_frame_is_refused(name, frames):
    with pytest.raises(MultiFrameError) as caught:
        read_radiograph(published(name))
    assert caught.value.values == {"frames": frames}


@pytest.mark.parametrize("name", ["rtdose_1frame.dcm", "SC_rgb_32bit.dcm", "OT-PAL-8-face.dcm", "image_dfl.dcm"])
def test_what_no_radiograph_is_stored_as_is_refused(name):
    with pytest.raises(UnusableRadiographError):
        read_radiograph(published(name))


def test_an_unknown_transfer_syntax_is_refused():
    data = published("MR_small_jp2klossless.dcm").replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.99")
    with pytest.raises(UnusableRadiographError, match="transfer syntax"):
        read_radiograph(data)


def test_rows_times_columns_is_held_before_decoding():
    data = instance([1, 2, 3], Rows=60_000, Columns=60_000)
    with pytest.raises(TooLargeError) as caught:
        read_radiograph(data)
    assert caught.value.values == {"limit": 50_000_000, "unit": "pixels", "received": 3_600_000_000}
    with pytest.raises(TooLargeError):
        read_radiograph(instance([1, 2, 3]), ReadingLimits(max_pixels=1023))
    assert read_radiograph(instance([1, 2, 3]), ReadingLimits(max_pixels=1024)).pixels.shape == (32, 32)


@pytest.mark.parametrize(("name", "at"), [("MR_small_jp2klossless.dcm", 8), ("JPEG-LL.dcm", None)])
def test_a_codestream_larger_than_stated_is_not_decoded(name, at):
    data = published(name)
    if at is None:  # height of the JPEG frame header, SOF3
        start = data.index(b"\xff\xc3") + 5
        data = data[:start] + struct.pack(">H", 65_000) + data[start + 2 :]
    else:  # width and height of the SIZ marker
        start = data.index(b"\xff\x4f\xff\x51") + at
        data = data[:start] + struct.pack(">II", 60_000, 60_000) + data[start + 8 :]
    with pytest.raises(MalformedFileError) as caught:
        read_radiograph(data)
    assert "Rows x Columns" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "name",
    ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_implicit.dcm", "SC_rgb_jpeg_dcmtk.dcm"],
)
def test_a_file_cut_anywhere_is_malformed_or_read(name):
    data = published(name)
    for length in [*range(1, 400, 7), *range(400, len(data), max(1, len(data) // 40))]:
        try:
            read_radiograph(data[:length])
        except RadiographError:
            continue


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG1_J2KI.dcm", "MR_small_RLE.dcm", "MR_truncated.dcm"])
def test_half_the_pixels_are_malformed(name):
    data = published(name)
    with pytest.raises(MalformedFileError):
        read_radiograph(data if "truncated" in name else data[: len(data) // 2])


def test_a_corrupt_codestream_never_leaks_another_error():
    data = bytearray(published("MR_small_jp2klossless.dcm"))
    start = data.index(b"\xff\x4f\xff\x51")
    malformed = 0
    for at in range(start, len(data), 37):
        broken = bytes(data[:at]) + bytes(byte ^ 0xFF for byte in data[at : at + 5]) + bytes(data[at + 5 :])
        try:
            read_radiograph(broken)
        except RadiographError:
            malformed += 1
    assert malformed > 0


def test_messages_and_logs_hold_nothing_of_the_file(caplog):
    data = instance([1, 2, 3], PatientName="Secret^Name", PatientID="SECRET-1", Manufacturer="Secret Maker")
    with caplog.at_level(logging.DEBUG), pytest.raises(RadiographError) as caught:
        read_radiograph(data[:-100])
    assert "secret" not in (str(caught.value) + caplog.text).lower()
