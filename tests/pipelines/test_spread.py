"""Work is spread over processes or a Ray cluster: each item once, errors come back, and nobody works on alone."""

import contextlib
import operator
import os
import signal
import subprocess
import sys

import pytest

from models.errors import TooLargeError
from models.reading import ReadingLimits, read_radiograph
from pipelines.spread import EXECUTORS

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.mark.parametrize("name", EXECUTORS)
def test_each_item_is_worked_on_once(name):
    assert sorted(EXECUTORS[name](operator.neg, [3, 1, 2, 3, 5])) == [-5, -3, -3, -2, -1]


@pytest.mark.parametrize("name", EXECUTORS)
def test_no_items_are_no_work(name):
    assert list(EXECUTORS[name](operator.neg, [])) == []


def refuse(data):
    return read_radiograph(data, ReadingLimits(max_bytes=len(data) - 1))


def test_an_error_of_the_work_reaches_the_caller_whole():
    with pytest.raises(TooLargeError) as caught:
        list(EXECUTORS["local"](refuse, [b"12345"]))
    assert caught.value.values == {"limit": 4, "unit": "bytes", "received": 5}


def test_processes_of_a_killed_run_end_with_it():
    work = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    code = f"from pipelines.spread import EXECUTORS; list(EXECUTORS['local'](exec, [{work!r}]))"
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as running:
        worker = int(running.stdout.readline())
        running.send_signal(signal.SIGKILL)
        try:
            # Its processes hold the other end: it closes once the last one has ended.
            assert running.communicate(timeout=60) == ("", None)
        finally:
            if running.stdout and not running.stdout.closed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
    assert worker != running.pid
    assert running.returncode == -signal.SIGKILL
