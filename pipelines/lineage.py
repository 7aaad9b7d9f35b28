"""Where a bundle comes from: commit, data and library versions."""

import hashlib
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from models.bundle import file_sha256

_LIBRARIES = ("tensorflow", "keras", "keras-cv", "numpy", "pillow", "pydicom")
_NOT_CODE = (":(exclude)params.yaml", ":(exclude)dvc.lock", ":(exclude)data")


def commit() -> str:
    """The checked-out commit, with "-dirty" where tracked files differ; "unknown" outside a git checkout.

    Settings and data do not count: the bundle holds the ones itself, and the digest of the others.
    """
    head = _git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    return head + ("-dirty" if _git("diff", "--name-only", "HEAD", "--", ".", *_NOT_CODE) else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()


def data_digest(files: Iterable[Path]) -> str:
    """`sha256:` over the contents of files, in their given order."""
    overall = hashlib.sha256()
    for path in files:
        overall.update(file_sha256(path).encode())
    return "sha256:" + overall.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape weights and pixels."""
    return {name: version(name) for name in _LIBRARIES}
