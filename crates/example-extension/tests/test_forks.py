"""Arguments that are borrowed while the process is forked."""

import os

import pytest
from conftest import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def test_mut_1_an_argument_of_the_thread_that_forks_stays_borrowed_in_the_child():
    run_python(
        """
import os, threading, warnings
import numpy as np
from ndbridge_example import testing
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later: of a fork beside threads
mine, others = np.ones(1000), np.ones(1000)
held, end = threading.Event(), threading.Event()

def hold():
    held.set()
    assert end.wait(60)

def child():
    try:
        testing.call_while_writing(mine, lambda: None)
    except BufferError:
        testing.call_while_writing(others, lambda: None)
        return 0
    return 1

def fork():
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(child())
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

thread = threading.Thread(target=lambda: testing.call_while_writing(others, hold))
thread.start()
assert held.wait(60)
for _ in range(20):
    assert testing.call_while_reading(mine, fork) == 0
end.set()
thread.join()
"""
    )
