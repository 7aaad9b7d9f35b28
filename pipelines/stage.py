"""What every stage's `main` shares: its errors end in one sentence, its long work shows progress."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from models.errors import ThoraxError

T = TypeVar("T")


def run_stage(main: Callable[..., None]) -> None:
    """Runs a stage with the command line's words; a platform error becomes one line on stderr and exit code 1."""
    try:
        main(*sys.argv[1:])
    except ThoraxError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def progress(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """The items, with a progress bar where stderr is a terminal."""
    console = Console(stderr=True)
    return iter(track(items, description, total=total, console=console, disable=not console.is_terminal))
