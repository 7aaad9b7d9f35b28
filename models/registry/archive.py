"""A version as a single file, for a site that no network reaches: bundle, signature, evidence and figures in a tar.

The file proves nothing by itself: whoever imports it trusts the key that signed the bundle, or does not.
"""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.errors import ArchiveError
from models.registry.mlflow_store import BUNDLE

_DOCUMENT = "version.json"
_LARGEST_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archive holds.

    Attributes:
        bundle: the folder, signed.
        facts: the version's.
        figures: the version's, by name.
        evidence: the version's documents, by name.
    """

    bundle: Path
    facts: dict[str, str]
    figures: dict[str, float]
    evidence: dict[str, Any]


def write_archive(path: Path, archived: Archived) -> None:
    """Writes an archive, whole or not at all.

    Raises:
        ArchiveError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        with TemporaryDirectory() as scratch:
            document = Path(scratch) / _DOCUMENT
            said = {"facts": archived.facts, "figures": archived.figures, "evidence": archived.evidence}
            document.write_text(json.dumps(said), encoding="utf-8")
            with tarfile.open(draft, "w") as tar:
                tar.add(document, _DOCUMENT)
                for file in sorted(archived.bundle.iterdir()):
                    tar.add(file, f"{BUNDLE}/{file.name}")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise ArchiveError(path=path, expected="room for an archive", reason=reason) from error


@contextmanager
def reading_archive(path: Path) -> Iterator[Archived]:
    """What an archive holds, in a folder that is gone afterwards; the bundle is not verified yet.

    Raises:
        ArchiveError: it cannot be read or is none.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            with tarfile.open(path, "r:") as tar:
                if sum(member.size for member in tar) > _LARGEST_BYTES:
                    raise tarfile.TarError(f"it holds more than {_LARGEST_BYTES} bytes")
                tar.extractall(folder, filter="data")
            said = json.loads((folder / _DOCUMENT).read_text(encoding="utf-8"))
            archived = Archived(folder / BUNDLE, said["facts"], said["figures"], said["evidence"])
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise ArchiveError(path=path, expected="an archive of thorax registry export", reason=error) from error
        yield archived
