"""A signal is heard wherever it meets the main thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The signal comes while the main thread has the lock of the event that it waits for, as each wait has for a moment.
LOCK_IS_HELD = """
import os, signal, time
from ioc.shutdown import StopSignals

stop = StopSignals(grace=20.0)
with stop.asked._cond:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
print(stop.asked.wait(5.0))
"""
#: Work that looks at no event, and a signal before it.
INTERRUPTED = """
import os, signal
from ioc.shutdown import StopSignals

stop = StopSignals()
try:
    with stop.interrupting():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
except KeyboardInterrupt:
    print("interrupted")
try:
    with stop.interrupting():
        print("began")
except KeyboardInterrupt:
    print("not begun")
print(stop.asked.wait(5.0))
"""
#: A main thread that does not end.
HELD_UP = """
import os, signal, time
from ioc.shutdown import StopSignals

stop = StopSignals(grace={grace})
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.{again})
while True:
    time.sleep(60)
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=15)


def test_a_signal_is_heard_while_the_event_is_looked_at() -> None:
    """A handler that set the event itself would wait for the thread that it interrupts, and no watchdog begin."""
    assert run(LOCK_IS_HELD).stdout == "True\n"


def test_work_that_looks_at_no_event_is_interrupted() -> None:
    """In it at once, and before it where the signal came earlier."""
    assert run(INTERRUPTED).stdout == "interrupted\nnot begun\nTrue\n"


@pytest.mark.parametrize(
    ("again", "grace", "code", "said"),
    [("SIGTERM", 0.2, 1, "did not end within 0.2 s; ending now\n"), ("SIGINT", 60.0, 130, "")],
)
def test_what_does_not_end_is_ended(again: str, grace: float, code: int, said: str) -> None:
    """After the grace, however often it is asked; at once when somebody presses Ctrl-C once more."""
    done = run(HELD_UP.format(again=again, grace=grace))
    assert (done.returncode, done.stderr) == (code, said)
