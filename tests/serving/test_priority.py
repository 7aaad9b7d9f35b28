"""Who steps back, and that nobody comes forward by it."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id

import pytest

from serving.priority import step_back


@pytest.mark.parametrize(("before", "after"), [(0, 10), (15, 15)])
def test_a_thread_becomes_nicer_and_never_less_so(before, after):
    def stepped_back():
        os.setpriority(os.PRIO_PROCESS, get_native_id(), before)
        step_back(10)
        return os.getpriority(os.PRIO_PROCESS, get_native_id())

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(stepped_back).result() == after
    assert os.getpriority(os.PRIO_PROCESS, 0) < 10
