"""Ending in time: a watchdog for this process, and children that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded here, since between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_asked = threading.Event()


def end_after(grace_seconds: float, exit_code: int = 1) -> None:
    """Give this process `grace_seconds` from now to end by itself; then end it at once, without clean-up.

    To be called when the end was asked for (from the handler of SIGTERM or SIGINT); a second call does nothing.
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
