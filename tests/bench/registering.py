"""What a registry of many versions costs those who ask it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from models.registry import PRODUCTION, Action, Entry
from models.registry.history import BEGINNING
from models.registry.mlflow_store import BUNDLE, EVIDENCE, MlflowStore
from models.signing import Keys, sign_text
from tests.conftest import registry_in

ROUNDS = 5


def seconds_of_many(versions: int) -> dict[str, float]:
    """Seconds of what the command line asks for, where so many versions were registered and each was in production."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = registry_in(folder / "registry")
        store = MlflowStore(f"sqlite:///{folder / 'registry/mlflow.db'}", folder / "registry")
        for part in (BUNDLE, EVIDENCE):
            (folder / "files" / part).mkdir(parents=True)
            (folder / "files" / part / "file").write_bytes(b"small")
        previous, keys = BEGINNING, Keys.below(folder / "registry")
        for number in range(1, versions + 1):
            store.add("many", folder / "files", f"sha256:{number:064d}", {"commit": "0" * 40}, {}, {})
            entry = Entry(
                sequence=number,
                at=datetime.now(UTC),
                by="bench",
                action=Action.PROMOTE,
                version=str(number),
                digest=f"sha256:{number:064d}",
                aliases={PRODUCTION: str(number)},
                previous=previous,
            )
            store.append("many", entry.text(), sign_text(entry.text(), keys.private), "")
            previous = entry.fingerprint()
        asked = {
            "list": lambda: registry.versions("many"),
            "resolve": lambda: registry.resolve("many", PRODUCTION),
            "history": lambda: registry.history("many"),
        }
        return {name: median(_seconds(ask) for _ in range(ROUNDS)) for name, ask in asked.items()}


def _seconds(ask: Callable[[], object]) -> float:
    started = perf_counter()
    ask()
    return perf_counter() - started
