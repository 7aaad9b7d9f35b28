"""The picture type that every reader gives and every model takes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

GREY_LEVELS = 65_535
GreyLevels = NDArray[np.uint8] | NDArray[np.uint16]


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
        levels: (H, W) uint8 or uint16, 0 black and 255 or 65535 white. Level v of 8 bits is level 257 v of 16.
        tags: what is known besides the pixels.
    """

    levels: GreyLevels
    tags: RadiographTags = field(default_factory=RadiographTags)

    @property
    def pixels(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1], made anew at each call; the same for a level of 8 bits and its twin of 16."""
        white = np.float32(np.iinfo(self.levels.dtype).max)
        return self.levels.astype(np.float32) / white
