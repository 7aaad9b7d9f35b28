"""What an image says of itself, against what a pencil and another implementation give."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dct
from scipy.ndimage import gaussian_filter

from models.radiograph import Radiograph, RadiographTags
from pipelines.facts import SCHEMA, THUMBNAIL_PX, TRIVIAL, image_facts, perceptual_hash

LARGE = (192, 288)
"""Thumbnails take 2 x 3 of these pixels for one."""


def facts(levels):
    return image_facts(b"the file", Radiograph(np.asarray(levels)))


def trivial(levels):
    found = facts(levels)
    return {name: found[name] for name in TRIVIAL}


def thumbnail(found):
    return np.frombuffer(found["thumbnail"], np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX)


@pytest.mark.parametrize(
    ("level", "black", "white"), [(0, 1, 0), (7, 1, 0), (8, 0, 0), (51, 0, 0), (247, 0, 0), (248, 0, 1), (255, 0, 1)]
)
def test_a_flat_picture_has_its_grey_everywhere_and_no_spread(level, black, white):
    assert trivial(np.full(LARGE, level, np.uint8)) == pytest.approx(
        {
            "mean": level / 255, "contrast": 0, "sharpness": 0, "border": level / 255, "black": black, "white": white,
            "width": 288, "height": 192,
        }
    )  # fmt: skip


def test_half_black_half_white():
    picture = np.zeros(LARGE, np.uint8)
    picture[:, 144:] = 255
    found = trivial(picture)
    assert found == pytest.approx(
        {
            "mean": 0.5, "contrast": 0.5, "border": 0.5, "black": 0.5, "white": 0.5, "width": 288, "height": 192,
            # Of the 256 columns in the middle two have a Laplacian, 255 and -255: it deviates by 255 sqrt(2 / 256).
            "sharpness": (2 / 256) ** 0.5,
        }
    )  # fmt: skip


def test_the_border_is_the_outer_3_percent():
    picture = np.full(LARGE, 100, np.uint8)
    picture[6:-6, 9:-9] = 200  # 3 of 96 px a side are 6 of 192 rows and 9 of 288 columns
    found = trivial(picture)
    assert found["border"] == pytest.approx(100 / 255)
    inner = 90 * 90 / 96**2
    assert found["mean"] == pytest.approx((100 + 100 * inner) / 255)
    assert found["contrast"] == pytest.approx(100 * (inner * (1 - inner)) ** 0.5 / 255)


def test_only_the_central_256_pixels_are_sharp_or_not():
    picture = np.zeros((600, 700), np.uint8)
    picture[:171, ::2] = picture[:, :221:2] = 255  # stripes that end before rows 172 and columns 222
    assert facts(picture)["sharpness"] == 0
    picture[300, 300] = 255
    assert facts(picture)["sharpness"] > 0


def test_16_bits_count_by_their_high_byte():
    eight = np.random.default_rng(3).integers(0, 256, (100, 130), np.uint8)
    low = np.random.default_rng(4).integers(0, 256, (100, 130), np.uint8)
    assert facts(eight.astype(np.uint16) * np.uint16(256) + low) == facts(eight)


def test_the_thumbnail_is_the_mean_of_what_it_covers():
    picture = np.zeros(LARGE, np.uint8)
    picture[2:4, 3:6] = 60  # all of its second pixel in the second row
    picture[0, :3] = 200  # half of its first
    found = thumbnail(facts(picture))
    assert found[:3, :3].tolist() == [[100, 0, 0], [0, 60, 0], [0, 0, 0]]
    assert found[3:].max() == found[:, 3:].max() == 0


@pytest.mark.parametrize("shape", [(32, 33), (96, 96), (97, 500), (1000, 40), (1955, 1841)])
def test_a_thumbnail_of_any_picture_is_96_pixels_a_side(shape):
    column = np.linspace(0, 255, shape[0]).astype(np.uint8)
    found = thumbnail(facts(np.repeat(column[:, np.newaxis], shape[1], axis=1)))
    assert np.ptp(found, axis=1).max() == 0
    assert np.abs(found[:, 0] - np.linspace(0, 255, 96)).max() < 6
    assert (np.diff(found[:, 0].astype(int)) >= 0).all()


def test_identity_size_and_tags_are_those_of_the_file():
    tags = RadiographTags("PA", 61.5, "F", "DX", "CHEST", "Acme")
    found = image_facts(b"the file", Radiograph(np.eye(40, 50, dtype=np.uint8), tags))
    assert found["sha256"] == hashlib.sha256(b"the file").hexdigest()
    assert {name: found[name] for name in ("view_position", "age_years", "sex", "modality", "height", "width")} == {
        "view_position": "PA", "age_years": 61.5, "sex": "F", "modality": "DX", "height": 40, "width": 50
    }  # fmt: skip
    assert list(found) == [field.name for field in SCHEMA]
    assert "Acme" not in str(found)


def phash(small):
    """Zauner 2010, and `imagehash.phash`: DCT of 32 x 32, the 8 x 8 lowest frequencies, above their median."""
    transformed = dct(dct(small.astype(np.float64), axis=0, norm="ortho"), axis=1, norm="ortho")
    low = transformed[:8, :8]
    bits = "".join("1" if value > np.median(low) else "0" for value in low.ravel())
    return f"{int(bits, 2):016x}"


def textured(seed):
    field = gaussian_filter(np.random.default_rng(seed).random((96, 96)), 3)
    return ((field - field.min()) / np.ptp(field) * 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(20))
def test_the_perceptual_hash_is_zauners(seed):
    grey = textured(seed)
    # Each of the 32 x 32 is the mean of 3 x 3, rounded.
    small = np.rint(grey.reshape(32, 3, 32, 3).astype(np.float64).mean(axis=(1, 3)))
    assert perceptual_hash(grey) == phash(small)


def distance(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_a_picture_in_another_size_has_nearly_the_same_hash_and_another_picture_has_not():
    grey = textured(1)
    larger = np.asarray(Image.fromarray(grey).resize((500, 700), Image.Resampling.BICUBIC))
    one, other = facts(grey)["perceptual_hash"], facts(larger)["perceptual_hash"]
    assert distance(one, other) <= 4
    assert distance(one, facts(textured(2))["perceptual_hash"]) >= 16
