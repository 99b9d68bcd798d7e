"""`ioc up`: all of it starts, goes on after a failure, and is gone when asked to end, however it is asked."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ioc.settings import Settings

SCENARIO = "can-tho-spring-tide"


class Up:
    """A running `ioc up` on a terminal of its own, and the lines that it printed."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self.settings, self.lines = settings, list[str]()
        self._changed = threading.Condition()
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ioc", "up", *arguments],
            env=os.environ | settings.environment() | {"NO_COLOR": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C and hang-up reach it
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                chunk = os.read(self.terminal, 65536)
            except OSError:
                chunk = b""
            *lines, rest = (rest + chunk).split(b"\n")
            with self._changed:
                self.lines += [line.decode(errors="replace").rstrip("\r") for line in lines]
                self._changed.notify_all()
            if not chunk:
                return

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """The first line that matches, once it is there."""
        until, seen = time.monotonic() + seconds, 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if found := re.search(pattern, line):
                        return found
                seen = len(self.lines)
                left = until - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    raise AssertionError(f"no line like {pattern!r} in:\n" + "\n".join(self.lines[-30:]))
                self._changed.wait(min(left, 0.5))

    def processes(self) -> dict[int, str]:
        """Every process that carries this state directory in its environment, with its command."""
        marker, found = f"IOC_STATE_DIR={self.settings.state_dir}".encode(), {}
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (directory / "environ").read_bytes().split(b"\0"):
                    found[int(directory.name)] = (directory / "cmdline").read_text().replace("\0", " ")
            except (OSError, ValueError):
                continue
        return found

    def pid_of(self, command: str) -> int:
        return next(pid for pid, line in self.processes().items() if line.endswith(f"-m ioc {command} "))

    def gone_within(self, seconds: float) -> None:
        """Wait until nothing of it is left."""
        until = time.monotonic() + seconds
        while self.process.poll() is None or self.processes():
            assert time.monotonic() < until, f"left: {self.processes()}\n" + "\n".join(self.lines[-30:])
            time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def up(kafka: object, own_settings: Callable[..., Settings]) -> Iterator[Callable[..., Up]]:
    """Starts `ioc up` with the same settings at each call. `kafka` says whether a broker can be had."""
    settings, started = own_settings(), list[Up]()

    def start(*arguments: str, **overrides: object) -> Up:
        started.append(Up(settings.model_copy(update=overrides), *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_the_whole_starts_goes_on_and_ends(up: Callable[..., Up]) -> None:
    """The wall serves; a killed worker is started again; Ctrl-C ends all within 10 s; then it continues."""
    first = up("--scenario", SCENARIO)
    address = first.wait_for(r"^wall: (http://127\.0\.0\.1:\d+/)$", 60)[1]
    with urllib.request.urlopen(address, timeout=5) as page:
        assert page.status == 200
    first.wait_for(r"^all ready in", 30)
    assert not [line for line in first.lines if "ended" in line]
    assert sum("-m ioc " in line for line in first.processes().values()) == 5
    os.kill(first.pid_of("sense"), signal.SIGKILL)
    first.wait_for(r"^sense ended \(by SIGKILL\); starting it again in 1 s", 10)
    first.wait_for(r"^replay +\| at 2025-10-08 00:[1-5]", 30)
    os.write(first.terminal, b"\x03")
    first.gone_within(10)
    assert first.process.returncode == 0
    assert not [line for line in first.lines if "Traceback" in line]
    stopped = first.wait_for(r"^replay +\| stopped at 2025-10-08 (\d\d:\d\d) of the recording", 1)[1]

    began = time.monotonic()
    second = up("--scenario", SCENARIO)
    second.wait_for(r"^wall: http", 60)
    second.wait_for(r"^all ready in", 60)
    assert time.monotonic() - began < 20
    assert second.wait_for(r"^replay +\| at 2025-10-08 (\d\d:\d\d)", 20)[1] >= stopped > "00:00"
    os.write(second.terminal, b"\x03")
    second.gone_within(10)


@pytest.mark.parametrize("moment", [r"^broker ready", r"^wall: "])
@pytest.mark.parametrize("how", ["terminal closed", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_however_it_ends(up: Callable[..., Up], how: str, moment: str) -> None:
    """While it starts and when it runs: after ten seconds no process is left, not even after SIGKILL."""
    one = up("--scenario", SCENARIO)
    one.wait_for(moment, 60)
    if how == "terminal closed":
        os.close(one.terminal)
    else:
        one.process.send_signal(getattr(signal, how))
    one.gone_within(10)


def test_an_error_that_the_user_must_mend_ends_all(up: Callable[..., Up]) -> None:
    """A taken port of the wall: its message is seen, everything ends, the exit code is 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        one = up(wall_port=other.getsockname()[1])
        one.wait_for(r"^wall +\| ioc: .*\b" + str(other.getsockname()[1]), 60)
        one.gone_within(15)
    assert one.process.returncode == 2
    assert any("wall cannot start" in line for line in one.lines)
