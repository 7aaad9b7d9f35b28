"""What a source says of a raw folder, with the card of the repository or one of the test's own."""

from pathlib import Path

from pipelines.raw import RawFiles
from pipelines.sources.card import Card, load_card
from pipelines.sources.source import Exclusion, ImageRow, Source
from tests.pipelines.conftest import ROOT


def listed(source: Source, folder: Path, card: Card | None = None) -> list[ImageRow | Exclusion]:
    return list(source.rows(RawFiles(folder), card or load_card(ROOT / f"data/sources/{source.name}.yaml")))


def write_text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
