"""Who comes first on a busy machine: whoever waits for an answer."""

import os
from threading import get_native_id


def step_back(niceness: int = 10) -> None:
    """Lets every other thread of this machine come before this one, and before those that it starts (nice(2)).

    Not SCHED_IDLE: a thread that holds Python's lock and is never run would hold up its whole process. Whoever is nicer
    already, as Ray's workers are by default, stays so: only root may take it back.
    """
    thread = get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, max(niceness, os.getpriority(os.PRIO_PROCESS, thread)))
