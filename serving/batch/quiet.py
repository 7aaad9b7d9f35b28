"""Without the lines that Ray's libraries print past Python."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path


@contextmanager
def quiet() -> Iterator[None]:
    """Gives Python's stderr a descriptor of its own, and drops what is written to descriptor 2 meanwhile.

    Ray complains there about how Ray Data itself starts actors (ray-project/ray#57733), at each start; its logs, below
    /tmp/ray, have those lines, too.
    """
    kept = os.dup(2)
    with open(kept, "w", buffering=1, encoding=sys.stderr.encoding) as stderr, Path(os.devnull).open("w") as nowhere:  # noqa: PTH123 -- a descriptor
        os.dup2(nowhere.fileno(), 2)
        try:
            with redirect_stderr(stderr):
                yield
        finally:
            os.dup2(kept, 2)
