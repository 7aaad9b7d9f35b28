"""Where a bundle comes from: commit, data and library versions."""

import hashlib
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from models.bundle import file_sha256

_LIBRARIES = ("tensorflow", "keras", "keras-cv", "numpy", "pillow", "pydicom")


def commit() -> str:
    """The checked-out commit, with "-dirty" where tracked files differ; "unknown" outside a git checkout."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def data_digest(files: Iterable[Path]) -> str:
    """`sha256:` over the contents of files, in their given order."""
    overall = hashlib.sha256()
    for path in files:
        overall.update(file_sha256(path).encode())
    return "sha256:" + overall.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape weights and pixels."""
    return {name: version(name) for name in _LIBRARIES}
