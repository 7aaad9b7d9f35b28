"""The bundle that scores, and its way to workers that need not see this machine's disk."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from models.bundle import FILES, MANIFEST, Bundle, load_bundle


def pack(folder: Path) -> dict[str, bytes]:
    """The files of a bundle by name, for Ray's object store."""
    return {name: (folder / name).read_bytes() for name in (MANIFEST, *FILES)}


def load_packed(files: Mapping[str, bytes], digest: str, engine: str, threads: int) -> Bundle:
    """The bundle that was packed, verified; its path is gone, as it has been read."""
    with TemporaryDirectory() as scratch:
        for name, data in files.items():
            (Path(scratch) / name).write_bytes(data)
        return load_bundle(Path(scratch), digest, engine, threads)
