"""Copies a publisher's folder, whole or not at all."""

import shutil
import tempfile
from pathlib import Path

from models.errors import DataError, RawDataMissingError


def copy_folder(origin: str, raw_dir: Path, expected: str) -> None:
    """Copies the folder `origin` to `raw_dir`, which then holds just that.

    Args:
        origin: a folder's path.
        raw_dir: need not exist; what it held is replaced once the copy is complete.
        expected: a path below the origin without which it is not this source.

    Raises:
        RawDataMissingError: the origin is no folder or lacks `expected`.
        DataError: the copy failed; what `raw_dir` held is untouched.
    """
    folder = Path(origin).expanduser()
    if not (folder / expected).exists():
        raise RawDataMissingError(
            expected=f"the publisher's {expected}", folder=folder, remedy="Name the folder that holds it with --from."
        )
    raw_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=raw_dir.parent, prefix=f".{raw_dir.name}-") as scratch:
            # copyfile, not copy: a publisher's read-only marks must not lock the project's own copy
            shutil.copytree(folder, Path(scratch) / "new", copy_function=shutil.copyfile)
            if raw_dir.exists():
                raw_dir.rename(Path(scratch) / "old")
            (Path(scratch) / "new").rename(raw_dir)
    except (OSError, shutil.Error) as error:
        raise DataError(reason=f"{folder} could not be copied to {raw_dir}: {error}") from error
