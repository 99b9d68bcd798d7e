"""Ending in time: signals, a watchdog for this process, and children that do not outlive their parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from types import FrameType

_PR_SET_PDEATHSIG = 1
# Loaded here, since between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StopSignals:
    """SIGTERM, Ctrl-C and a closed terminal, for a main thread that waits for an event. Make it there.

    With `grace` (seconds) the process is ended that long after the first signal, and at once by a second
    Ctrl-C; without it whoever uses this sees to its own end.
    """

    def __init__(self, grace: float | None = None) -> None:
        #: Set by the first signal.
        self.asked = threading.Event()
        self._grace, self._heard, self._interrupting = grace, False, False
        self._tell = _from_a_handler(self._on_first)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, self._on_signal)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, a signal is raised as `KeyboardInterrupt` too: for work that does not look at the event."""
        self._interrupting = True
        try:
            if self._heard:
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupting = False

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        again, self._heard = self._heard, True
        if again and signum == signal.SIGINT and self._grace is not None:
            os._exit(128 + signum)
        self._tell()
        if self._interrupting:
            self._interrupting = False
            raise KeyboardInterrupt

    def _on_first(self) -> None:
        self.asked.set()
        if self._grace is not None:
            _end_after(self._grace)


def when_asked_to_end(grace_seconds: float, tell: Callable[[], None]) -> None:
    """On SIGTERM or Ctrl-C let the running loop call `tell`, and give this process `grace_seconds` to end by itself.

    Not through the loop's own handlers: they would wait for the work that holds the loop up. From the main thread.
    """
    loop = asyncio.get_running_loop()

    def on_first() -> None:
        # A loop that has come to its end meanwhile needs telling nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)
        _end_after(grace_seconds)

    heard = _from_a_handler(on_first)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: heard())


def _from_a_handler(act: Callable[[], None]) -> Callable[[], None]:
    """What a signal's handler is to call for `act`, which runs once, in a thread of its own.

    A handler interrupts the main thread anywhere, also where that has the lock of the very event that is to be set,
    and would wait for it without end. To put into a `SimpleQueue` takes no lock.
    """
    heard: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        heard.get()
        act()

    threading.Thread(target=wait, name="ioc-signals", daemon=True).start()
    return partial(heard.put, None)


def _end_after(grace_seconds: float) -> None:
    """End this process `grace_seconds` from now, at once and without clean-up, should it not have ended by itself.

    An abrupt end is safe here: what was not committed by then never happened.
    """
    time.sleep(grace_seconds)
    sys.stderr.write(f"did not end within {grace_seconds:g} s; ending now\n")
    sys.stderr.flush()
    os._exit(1)


def die_with_parent(signum: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel for `signum` when the thread that started this process ends. Linux; elsewhere nothing.

    For a child that has just begun. A parent that went before the call is seen by `child_setup`.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def child_setup(signum: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn` for `subprocess.Popen`: the child gets `signum` when its parent dies, however that dies.

    The kernel means the parent's *thread*: start such children from the main thread. The function takes no
    lock and imports nothing, as must be between fork and exec.
    """
    parent = os.getpid()

    def setup() -> None:
        die_with_parent(signum)
        if os.getppid() != parent:
            os._exit(1)

    return setup
