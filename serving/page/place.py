"""Where a heat map is hottest, in a reader's words."""

import numpy as np

from serving.schemas import HeatMap

_ZONES = ("upper", "middle", "lower")
_FRONTAL = {"PA", "AP"}
_MIDLINE = (5 / 12, 7 / 12)  # of the width: spine and mediastinum
NOWHERE = "no place stands out"


def place(found: HeatMap, view_position: str | None) -> str:
    """The zone of the hottest cell, such as "right lower zone"; zones are thirds of the height that the model saw.

    Sides are the patient's: on a PA or AP image, and no other passes the gates, the right one is on the image's left.
    Of a lateral view they are the image's.

    Args:
        found: the map.
        view_position: the Standard's term (0018,5101); None where unknown, which counts as frontal.
    """
    values = np.asarray(found.values)
    if values.size == 0 or values.max() <= 0:
        return NOWHERE
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    zone = _ZONES[int(3 * (row + 0.5) / values.shape[0])]
    across = (column + 0.5) / values.shape[1]
    frontal = view_position is None or view_position in _FRONTAL
    if across < _MIDLINE[0]:
        return f"right {zone} zone" if frontal else f"{zone} zone, left half of the image"
    if across > _MIDLINE[1]:
        return f"left {zone} zone" if frontal else f"{zone} zone, right half of the image"
    return f"midline, {zone} zone"
