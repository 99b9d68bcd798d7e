"""Ending in time: signals, a watchdog for this process, and children that do not outlive their parent."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1
# Loaded here, since between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_asked = threading.Event()


class StopSignals:
    """SIGTERM, Ctrl-C and a closed terminal, for a main thread that waits for an event. Make it there.

    With `grace` (seconds) the process is ended that long after the first signal, and at once by a second
    Ctrl-C; without it whoever uses this sees to its own end.
    """

    def __init__(self, grace: float | None = None) -> None:
        #: Set by the first signal.
        self.asked = threading.Event()
        self._grace, self._interrupting = grace, False
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, self._on_signal)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, a signal is raised as `KeyboardInterrupt` too: for work that does not look at the event."""
        self._interrupting = True
        try:
            if self.asked.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupting = False

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        again = self.asked.is_set()
        self.asked.set()
        if self._grace is not None:
            if again and signum == signal.SIGINT:
                os._exit(128 + signum)
            end_after(self._grace)
        if self._interrupting:
            self._interrupting = False
            raise KeyboardInterrupt


def end_after(grace_seconds: float, exit_code: int = 1) -> None:
    """Give this process `grace_seconds` from now to end by itself; then end it at once, without clean-up.

    To be called when the end was asked for, from the handler of SIGTERM or SIGINT. A second call is void.
    An abrupt end is safe here: what was not committed by then never happened.
    """
    if _asked.is_set():
        return
    _asked.set()

    def watch() -> None:
        threading.Event().wait(grace_seconds)
        sys.stderr.write(f"did not end within {grace_seconds:g} s; ending now\n")
        sys.stderr.flush()
        os._exit(exit_code)

    threading.Thread(target=watch, name="ioc-watchdog", daemon=True).start()


def when_asked_to_end(grace_seconds: float, tell: Callable[[], None]) -> None:
    """On SIGTERM or Ctrl-C let the running loop call `tell`, and give this process `grace_seconds` to end by itself.

    Not through the loop's own handlers: they would wait for the work that holds the loop up. From the main thread.
    """
    loop = asyncio.get_running_loop()

    def asked(*_: object) -> None:
        end_after(grace_seconds)
        loop.call_soon_threadsafe(tell)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)


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
