"""What a process and all that it started hold in memory, and how all of it ends."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PATIENCE_SECONDS = 20


def family(root: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for one in found:
        found += children.get(one, [])
    return found


def named(processes: list[int], title: str) -> int:
    """The one whose command line holds the title."""
    (found,) = (one for one in processes if title in (_PROC / str(one) / "cmdline").read_text())
    return found


def pss_mib(processes: list[int]) -> float:
    """Memory of them together, in MiB; what several share counts once."""
    return sum(_kib(one, "smaps_rollup", "Pss:") for one in processes) / 1024


def rss_mib(process: int) -> float:
    """Resident memory in MiB."""
    return _kib(process, "status", "VmRSS:") / 1024


def _kib(process: int, file: str, field: str) -> int:
    with suppress(OSError):  # it has ended meanwhile
        for line in (_PROC / str(process) / file).read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    return 0


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks it to end, and ends what of its family is left."""
    started = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)
    for one in started:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.wait()
