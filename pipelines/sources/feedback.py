"""Verdicts of readers on images that the service has scored."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from models.findings import FINDINGS
from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import read_table

TABLE = "verdicts.csv"
IMAGES = "images"
COLUMNS = ("image", "patient_id", "finding", "verdict", "reader", "given_at")
VERDICTS = {"present": 1, "absent": -1, "unsure": 0}


class Feedback(Source):
    """A row of `verdicts.csv` is one reader's verdict on one finding; `image` is a file's name below `images`.

    Of a reader's verdicts on a finding the latest counts, by `given_at` (ISO 8601; UTC where no zone is given). Of
    several readers the majority does; a finding that is as often present as absent, or that nobody is sure of, is
    uncertain. A row that cannot be understood is given up by itself, under its number in the table.
    """

    name = "feedback"
    findings = tuple(FINDINGS)

    images = (f"{IMAGES}/*.png", f"{IMAGES}/*.dcm")
    required = (TABLE,)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        patients: dict[str, set[str]] = defaultdict(set)
        latest: dict[str, dict[tuple[str, str], tuple[datetime, int]]] = defaultdict(dict)
        for line, record in enumerate(read_table(raw, TABLE, COLUMNS), start=2):
            given_at, vote = _time(record["given_at"]), VERDICTS.get(record["verdict"])
            if given_at is None:
                yield Exclusion(f"{TABLE} row {line}", "unknown_time", "its given_at is no time in ISO 8601")
            elif vote is None:
                reason = f"its verdict is {record['verdict']!r}, not one of {', '.join(VERDICTS)}"
                yield Exclusion(f"{TABLE} row {line}", "unknown_label", reason)
            elif record["finding"] not in FINDINGS:
                reason = f"its finding is {record['finding']!r}, which the vocabulary lacks"
                yield Exclusion(f"{TABLE} row {line}", "unknown_label", reason)
            else:
                verdicts, key = latest[record["image"]], (record["finding"], record["reader"])
                patients[record["image"]].add(record["patient_id"])
                if key not in verdicts or verdicts[key][0] <= given_at:
                    verdicts[key] = given_at, vote
        for image, verdicts in latest.items():
            yield self._row(f"{IMAGES}/{image}", patients[image], verdicts)

    @staticmethod
    def _row(
        image: str, patients: set[str], verdicts: dict[tuple[str, str], tuple[datetime, int]]
    ) -> ImageRow | Exclusion:
        if len(patients) > 1 or "" in patients:
            return Exclusion(image, "unknown_patient", "its verdicts name no patient, or more than one")
        votes: dict[str, int] = defaultdict(int)
        for (finding, _), (_, vote) in verdicts.items():
            votes[finding] += vote
        return ImageRow(
            image=image,
            patient_id=next(iter(patients)),
            findings={finding: int(vote > 0) for finding, vote in votes.items() if vote},
            uncertain=tuple(finding for finding, vote in votes.items() if not vote),
        )


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
