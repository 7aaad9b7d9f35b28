"""Boxes that a publisher gives in pixels."""

from collections.abc import Iterable

from pipelines.sources.source import Box


def box_in_shares(finding: str, pixels: Iterable[float | None], side_px: int) -> Box | None:
    """The box at left, top, width and height in pixels of a square image, cut off where the image ends.

    None where a number is missing or nothing of the box lies inside.
    """
    shares = [value / side_px for value in pixels if value is not None]
    if len(shares) != 4:
        return None
    left, top, width, height = shares
    right, bottom = min(left + width, 1.0), min(top + height, 1.0)
    left, top = max(left, 0.0), max(top, 0.0)
    return Box(finding, left, top, right - left, bottom - top) if right > left and bottom > top else None
