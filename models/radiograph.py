"""The picture type that every reader gives and every model takes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

GREY_LEVELS = 65_535


@dataclass(frozen=True, slots=True)
class RadiographTags:
    """What may be known about a radiograph besides its pixels; the allow-list, and no identity of a patient.

    Attributes:
        view_position: the Standard's term (0018,5101): "PA", "AP", "LL", ...; None where unknown.
        age_years: from Patient's Age (0010,1010); None where unknown.
        sex: "M", "F" or "O" (0010,0040); None where unknown.
        modality: "CR", "DX", ... (0008,0060); None for PNG and JPEG.
        body_part_examined: (0018,0015), upper case; None where unknown.
        manufacturer: (0008,0070); None where unknown.
    """

    view_position: str | None = None
    age_years: float | None = None
    sex: str | None = None
    modality: str | None = None
    body_part_examined: str | None = None
    manufacturer: str | None = None


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One grey radiograph, bone bright.

    Attributes:
        pixels: (H, W) float32 in [0, 1], every value a multiple of 1/65535, so that storing it in 16 bits loses nothing
            and the same file gives the same scores through every way in.
        tags: what is known besides the pixels.
    """

    pixels: NDArray[np.float32]
    tags: RadiographTags = field(default_factory=RadiographTags)


def from_grey_levels(levels: NDArray[np.uint16], tags: RadiographTags | None = None) -> Radiograph:
    """A radiograph from (H, W) uint16 grey levels, 0 black and 65535 white."""
    pixels = levels.astype(np.float32) / np.float32(GREY_LEVELS)
    return Radiograph(pixels, tags or RadiographTags())


def to_grey_levels(radiograph: Radiograph) -> NDArray[np.uint16]:
    """The (H, W) uint16 grey levels `from_grey_levels` takes; the round trip is exact."""
    levels: NDArray[np.uint16] = np.rint(radiograph.pixels * np.float32(GREY_LEVELS)).astype(np.uint16)
    return levels
