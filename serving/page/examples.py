"""Radiographs for those who have none at hand: two drawn chests, and a real one where pydicom-data is installed."""

from collections.abc import Mapping
from pathlib import Path

from pydicom.data import get_testdata_file

_DRAWN = Path(__file__).parent / "examples"


def examples() -> Mapping[str, Path]:
    """The file of each example by the name that the page shows."""
    found = {"Drawn: effusion": _DRAWN / "effusion.png", "Drawn: normal": _DRAWN / "normal.png"}
    real = get_testdata_file("RG1_UNCR.dcm", download=False)
    return found if real is None else found | {"CR chest (RG1)": Path(str(real))}
