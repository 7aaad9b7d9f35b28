"""What a data source is, and the row it gives for each of its images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from models.radiograph import Radiograph
from models.reading import read_radiograph
from pipelines.raw import RawFiles
from pipelines.sources.card import Card


@dataclass(frozen=True, slots=True)
class Box:
    """Where a finding is, as shares of the image's width and height, from its upper left corner.

    Attributes:
        finding: its name.
        left, top, width, height: in [0, 1].
    """

    finding: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image as its publisher describes it; None where the publisher does not say.

    Attributes:
        image: path below the raw folder, with forward slashes.
        patient_id: the publisher's; images of one patient share it. It leaves the catalog only as a keyed hash.
        patient_source: the source whose ids `patient_id` is one of, where images were drawn from another source.
        study_id: images of one examination share it. It leaves the catalog only as a keyed hash.
        view_position: "PA" or "AP".
        age_years: at the time of the image, as published, even where it cannot be.
        sex: "M" or "F".
        split_official: "train", "validation" or "test" where the publisher fixes it.
        findings: 1 present, 0 absent; a finding that is not here is not labelled.
        uncertain: findings that the publisher calls uncertain; none of them is in `findings`.
        boxes: where findings are.
        masks: paths below the raw folder of pictures that are white where the finding is, by finding.
        copy_of: the source and the name, without folders and suffix, of the image that it is a copy of as the
            publisher says; it need not be the same picture to the pixel.
    """

    image: str
    patient_id: str
    patient_source: str | None = None
    study_id: str | None = None
    view_position: str | None = None
    age_years: float | None = None
    sex: str | None = None
    split_official: str | None = None
    findings: Mapping[str, int] = field(default_factory=dict)
    uncertain: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    copy_of: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An image or a row that a source gives up, and why; it is listed, never dropped silently.

    Attributes:
        image: path below the raw folder, or what the row calls it.
        code: the kind of reason: `not_frontal`, `not_radiograph`, `unknown_label`, ...
        reason: for a reader; names no patient.
    """

    image: str
    code: str
    reason: str


class Source(ABC):
    """A publisher's data set; its card is `data/sources/<name>.yaml`.

    Attributes:
        name: a key of `SOURCES`, the folder below `data/raw`.
        findings: names it labels.
        images: patterns (see `RawFiles.matching`) of its radiographs; nothing else is decoded.
        required: patterns, each of which some file has to match, or it is not this source.
        drawn: whether its images are drawings.
    """

    name: str
    findings: tuple[str, ...]
    images: tuple[str, ...]
    required: tuple[str, ...]
    drawn = False

    @abstractmethod
    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        """What the publisher says of each image, in a fixed order, without decoding pixels.

        A row whose image is not there, two rows for one image, an image without a row, an image that cannot be read and
        an age that cannot be are left to the catalog.

        Raises:
            TableError: a table of the publisher lacks a column or cannot be read.
        """

    def decode(self, data: bytes) -> Radiograph:
        """The radiograph in one of its files; a source with a format of its own says here how to read it.

        Raises:
            RadiographError: there is none.
        """
        return read_radiograph(data)
