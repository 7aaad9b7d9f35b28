"""What a training run leaves on disk: its curves, its best weights, and all it needs to go on after a kill."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]


class Checkpoints:
    """The folder of a run.

    Args:
        folder: emptied unless it holds what this very run left when it was killed.
        run: all that the weights follow from; another run's files are not resumed.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self._folder = folder
        mark, fingerprint = folder / "fingerprint", hashlib.sha256(run.encode()).hexdigest()
        if not mark.exists() or mark.read_text(encoding="utf-8") != fingerprint:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(fingerprint, encoding="utf-8")

    @property
    def cache(self) -> Path:
        """A folder for what can be made again."""
        cache = self._folder / "cache"
        cache.mkdir(exist_ok=True)
        return cache

    def save_best(self, weights: Arrays) -> None:
        """Keeps weights as the best so far."""
        self._save("best.npz", weights)

    def best(self) -> list[NDArray[Any]]:
        """The best weights."""
        return self._load("best.npz")

    def save_state(self, curves: list[dict[str, Any]], state: Arrays) -> None:
        """Keeps the curves so far, a row an epoch, and the state to go on from."""
        self._save("state.npz", [np.array(json.dumps(curves)), *state])
        pd.DataFrame(curves).to_csv(self._folder / "curves.tsv", sep="\t", index=False)

    def state(self) -> tuple[list[dict[str, Any]], list[NDArray[Any]]]:
        """What `save_state` kept last; nothing where no epoch was finished."""
        if not (self._folder / "state.npz").exists():
            return [], []
        curves, *state = self._load("state.npz")
        return json.loads(str(curves)), state

    def leave_only_curves(self) -> None:
        """Removes what a later run of the same settings would go on from."""
        for left in ("best.npz", "state.npz", "fingerprint"):
            (self._folder / left).unlink(missing_ok=True)
        shutil.rmtree(self._folder / "cache", ignore_errors=True)

    def _save(self, name: str, arrays: Arrays) -> None:
        draft = self._folder / f"draft-{name}"
        np.savez(draft, *arrays)
        draft.replace(self._folder / name)

    def _load(self, name: str) -> list[NDArray[Any]]:
        with np.load(self._folder / name) as arrays:
            return [arrays[f"arr_{place}"] for place in range(len(arrays.files))]
