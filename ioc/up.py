"""`ioc up`: everything on one machine, supervised, and all of it gone when asked to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

from ioc.broker import Broker
from ioc.errors import UserError
from ioc.ports import LOOPBACK, free_port
from ioc.scenarios import Scenario
from ioc.settings import Settings
from ioc.shutdown import StopSignals, child_setup
from streams.admin import ensure_topics

#: Seconds from SIGTERM to SIGKILL for the workers; and for all, the broker included: under the 10 s promised.
WORKER_STOP_SECONDS, ALL_STOP_SECONDS = 6.0, 9.0
#: Pauses before a child is started again, in seconds; the last one repeats.
BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: A child that ran so long, in seconds, begins the pauses anew.
STEADY_SECONDS = 60.0
#: How often the supervisor looks at its children, in seconds.
TICK_SECONDS = 0.2

#: The topic prefix and the run of a demonstration: the same at each start, so that it continues.
DEMONSTRATION_PREFIX, DEMONSTRATION_RUN = "demo.", "demo"

_USER_ERROR = 2
_COLOURS = (36, 33, 35, 32, 34)


class Output:
    """Lines of several processes on one terminal, each under its name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, line: str) -> None:
        """A line of the supervisor's own."""
        with self._lock:
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except OSError:
                pass  # the terminal was closed; SIGHUP ends the program

    def relay(self, name: str, colour: int, line: str) -> None:
        """A line of a child. It may quote strangers, so no control characters reach the terminal."""
        clean = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line.rstrip())
        label = f"\x1b[{colour}m{name:9}|\x1b[0m" if self._colour else f"{name:9}|"
        self.say(f"{label} {clean}")


@dataclass
class Child:
    """A process of this program that is kept running."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    output: Output
    colour: int
    #: Whether ending with 0 means that its work is done.
    may_finish: bool = False
    failures: int = 0
    finished: bool = False
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    _reader: threading.Thread | None = field(default=None, repr=False)
    _started: float = 0.0
    _again_at: float = 0.0

    def start(self) -> None:
        """Start the process. From the main thread only: the child dies with the thread that started it."""
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ioc", *self.arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=child_setup(signal.SIGKILL),
        )
        self._reader = threading.Thread(
            target=self._read, args=(self.process,), name=f"{self.name}-output", daemon=True
        )
        self._reader.start()

    def tend(self) -> None:
        """Start it again where it has ended, after a pause that grows.

        Raises `UserError` where it ended at its first start with an error that the user must mend.
        """
        now = time.monotonic()
        if self.finished:
            return
        if self.process is None:
            if now >= self._again_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        ran = now - self._started
        if code == 0 and self.may_finish:
            self.finished = True
            self.output.say(f"{self.name} has finished")
            return
        if code == _USER_ERROR and self.failures == 0 and ran < STEADY_SECONDS:
            self._hear_out()
            raise UserError(f"{self.name} cannot start", "its message is above")
        self.failures = 1 if ran >= STEADY_SECONDS else self.failures + 1
        pause = BACKOFF[min(self.failures, len(BACKOFF)) - 1]
        self.process, self._again_at = None, now + pause
        self.output.say(f"{self.name} ended ({_ending(code)}); starting it again in {pause:g} s")

    def terminate(self) -> None:
        """SIGTERM, where it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_or_kill(self, until: float) -> None:
        """Wait until it has ended; at `until` (monotonic seconds) SIGKILL its process group."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.output.say(f"{self.name} does not end; killing it")
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._hear_out()

    def _hear_out(self) -> None:
        """Wait until the last words of a process that has ended are relayed."""
        if self._reader is not None:
            self._reader.join(1.0)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.output.relay(self.name, self.colour, line)


def run_up(settings: Settings, scenario: Scenario | None, speed: float, loop: bool) -> int:
    """Run all of it until a signal says to end. Returns the exit code.

    `speed` and `loop` concern the scenario; without one the clock runs. Raises `UserError` where it cannot
    start.
    """
    stop, output = StopSignals(), Output()
    settings = _chosen(settings, scenario)
    broker = None if settings.bootstrap_servers else Broker(settings, output.say)
    children: list[Child] = []
    try:
        with stop.interrupting():
            if broker is not None:
                began = time.monotonic()
                broker.start()
                broker.wait_ready()
                output.say(f"broker ready in {time.monotonic() - began:.1f} s")
            ensure_topics(settings)
        output.say(f"topics ready on {settings.bootstrap}, prefix {settings.topic_prefix or '(none)'}")
        children += _children(settings, scenario, speed, loop, output)
        _supervise(settings, broker, children, stop, output)
        return 0
    finally:
        _end(broker, children, output)


def _supervise(
    settings: Settings, broker: Broker | None, children: list[Child], stop: StopSignals, output: Output
) -> None:
    began, wall_said, ready_said = time.monotonic(), False, False
    for child in children:
        child.start()
    while not stop.asked.wait(TICK_SECONDS):
        if broker is not None and broker.poll() is not None:
            output.say(
                f"the broker ended ({_ending(broker.poll() or 0)}); starting it again, see {broker.log}"
            )
            broker.stop()
            with stop.interrupting():
                broker.start()
                broker.wait_ready()
        for child in children:
            child.tend()
        if not wall_said and _is_ready(settings, "wall") and _listens(settings):
            wall_said = True
            output.say(f"wall: {_wall_address(settings)}")
        if not ready_said and wall_said and all(_is_ready(settings, child.name) for child in children):
            ready_said = True
            output.say(f"all ready in {time.monotonic() - began:.1f} s more; Ctrl-C ends it")


def _end(broker: Broker | None, children: list[Child], output: Output) -> None:
    """Workers first, then the broker that they still need to commit what they have."""
    output.say("ending")
    for child in children:
        child.terminate()
    asked = time.monotonic()
    for child in children:
        child.wait_or_kill(asked + WORKER_STOP_SECONDS)
    if broker is not None:
        broker.stop(asked + ALL_STOP_SECONDS - time.monotonic())
    output.say("ended")


def _chosen(settings: Settings, scenario: Scenario | None) -> Settings:
    """The settings of all children: free ports where any will do, and the scenario's prefix and files."""
    ports = (
        "wall_port",
        "sense_health_port",
        "correlate_health_port",
        "clock_health_port",
        "wall_health_port",
    )
    changes: dict[str, object] = {name: free_port() for name in ports if getattr(settings, name) == 0}
    # A worker that is killed has left nothing half done, but one that ends by itself hands over faster.
    changes["shutdown_grace"] = min(settings.shutdown_grace, WORKER_STOP_SECONDS - 1.0)
    if scenario is not None:
        changes["topic_prefix"] = settings.topic_prefix or DEMONSTRATION_PREFIX
        changes |= scenario.over(settings)
    return settings.model_copy(update=changes)


def _children(
    settings: Settings, scenario: Scenario | None, speed: float, loop: bool, output: Output
) -> list[Child]:
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | settings.environment()
    commands: dict[str, list[str]] = {"sense": ["sense"], "correlate": ["correlate"], "wall": ["wall"]}
    if scenario is None:
        commands["clock"] = ["clock"]
    else:
        replay = ["replay", str(scenario.recording), "--speed", f"{speed:g}", "--run", DEMONSTRATION_RUN]
        commands["replay"] = [*replay, "--loop"] if loop else replay
    return [
        Child(name, arguments, environment, output, colour, may_finish=name == "replay")
        for (name, arguments), colour in zip(commands.items(), _COLOURS, strict=False)
    ]


def _wall_address(settings: Settings) -> str:
    scheme = "https" if settings.wall_tls_file else "http"
    return f"{scheme}://{_local(settings.wall_host or settings.host)}:{settings.wall_port}/"


def _listens(settings: Settings) -> bool:
    """Whether the wall takes connections; behind a proxy it would not answer us."""
    try:
        socket.create_connection(
            (_local(settings.wall_host or settings.host), settings.wall_port), 1.0
        ).close()
    except OSError:
        return False
    return True


def _is_ready(settings: Settings, name: str) -> bool:
    """Whether a child says that it does its work."""
    ports = {
        "sense": settings.sense_health_port,
        "correlate": settings.correlate_health_port,
        "wall": settings.wall_health_port,
        "clock": settings.clock_health_port,
        "replay": settings.clock_health_port,
    }
    return _answers(f"http://{_local(settings.host)}:{ports[name]}/readyz")


def _local(host: str) -> str:
    """The address by which this machine reaches its own servers that listen there."""
    return LOOPBACK if host in ("0.0.0.0", "::", "localhost") else host


def _answers(url: str) -> bool:
    # No proxy of the user's: this is our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=1.0) as response:
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def _ending(code: int) -> str:
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"exit code {code}"
