"""What a data source is, and the row it gives for each of its images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image as its publisher describes it; None where the publisher does not say.

    Attributes:
        image: path below the raw folder, with forward slashes.
        patient_id: the publisher's pseudonym; images of one patient share it.
        study_id: images of one examination share it.
        view_position: "PA" or "AP".
        age_years: at the time of the image.
        sex: "M" or "F".
        split_official: "train" or "test" where the publisher fixes it.
        findings: 1 present, 0 absent; a finding that is not here is not labelled.
    """

    image: str
    patient_id: str
    study_id: str | None = None
    view_position: str | None = None
    age_years: float | None = None
    sex: str | None = None
    split_official: str | None = None
    findings: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """A publisher's data set; its card is `data/sources/<name>.yaml`.

    Attributes:
        name: a key of `SOURCES`, the folder below `data/raw`.
        findings: names it labels.
        drawn: whether its images are drawings.
    """

    @property
    def name(self) -> str: ...

    @property
    def findings(self) -> tuple[str, ...]: ...

    @property
    def drawn(self) -> bool: ...

    def fetch(self, origin: str, raw_dir: Path) -> None:
        """Brings the publisher's files from `origin` to `raw_dir`, whole or not at all.

        Raises:
            RawDataMissingError: there is nothing of this source at the origin.
        """
        ...

    def rows(self, raw_dir: Path) -> Iterator[ImageRow]:
        """A row for each image below `raw_dir`, in a fixed order, without opening the images.

        Raises:
            RawDataMissingError: there is nothing of this source.
        """
        ...
