"""Cells that publishers and users fill in alike: views, ages with their unit, and labels as numbers."""

import re
from collections.abc import Mapping

_FRONTAL = re.compile(r"(PA|AP)S?(?![A-Z])")  # "APS" is supine
_NOT_FRONTAL = frozenset(
    {
        *("L", "LL", "RL", "LAT", "LATERAL"),
        *("LLO", "RLO", "OBLIQUE", "LLD", "RLD", "DECUBITUS"),
        *("AXIAL", "CORONAL", "SAGITTAL"),
    }
)
_AGE = re.compile(r"(\d+) *([DWMY])", re.IGNORECASE)
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}


def view_position(text: str) -> str | None:
    """Of "pa", "AP Supine", "AP semi erect", ...: "PA" or "AP"; None for anything else."""
    match = _FRONTAL.match(text.strip().upper())
    return match[1] if match else None


def is_not_frontal(text: str) -> bool:
    """Whether it names a lateral, oblique or decubitus view or a slice; a view that is not known may be frontal."""
    return text.strip().upper() in _NOT_FRONTAL


def age_years(text: str) -> float | None:
    """Of "045Y", "18M", "16month", "64days", ...: years; None where number or unit is missing."""
    match = _AGE.search(text)
    return int(match[1]) / _PER_YEAR[match[2].upper()] if match else None


def read_labels(
    record: Mapping[str, str], columns: Mapping[str, str]
) -> tuple[dict[str, int], tuple[str, ...], str | None]:
    """What a row says of each finding: 1 present, 0 absent, -1 uncertain, blank nothing.

    Args:
        record: the row.
        columns: by finding.

    Returns:
        The findings that are present or absent, those that are uncertain, and what is wrong with the row. A cell may
        hold anything of a patient where columns have slipped, so what is wrong names the column alone.
    """
    cells = {finding: record[column] for finding, column in columns.items() if record[column]}
    for finding, cell in cells.items():
        if cell not in _LABELS:
            return {}, (), f"its {columns[finding]} is neither 1, 0, -1 nor blank"
    labels = {finding: _LABELS[cell] for finding, cell in cells.items()}
    uncertain = tuple(finding for finding, label in labels.items() if label == -1)
    return {finding: label for finding, label in labels.items() if label != -1}, uncertain, None
