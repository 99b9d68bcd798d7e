"""The processes of a run, kept running like a supervisor does it, and what is done to them.

All on one thread, for children die with the thread that started them: whoever waits lets `tend` start again what has
ended.
"""

from __future__ import annotations

import logging
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ioc.settings import Settings
from tests.chaos.brokers import Brokers
from tests.chaos.links import Link
from tests.chaos.steppedclock import step
from tests.chaos.watch import Struck, Watch
from tests.system import System

log = logging.getLogger(__name__)

#: Seconds in which a process must end after SIGTERM.
END_SECONDS = 10.0
#: Seconds before a process that ended is started again.
AGAIN_SECONDS = 0.5
#: Seconds that a broker may need to see that its disk is full, and end.
FULL_SECONDS = 40.0

WORKERS = ("sense-1", "sense-2", "correlate")


@dataclass(frozen=True)
class Fault:
    """One thing that is done.

    `seconds` is how long it lasts, or how long until the target is started again; of a step of the clock, how far.
    """

    kind: str
    target: str
    seconds: float = 0.0

    @property
    def lasts(self) -> float:
        """Seconds that it lasts by itself."""
        return 0.0 if self.kind == "step" else self.seconds

    def __str__(self) -> str:
        if self.kind == "step":
            return f"step {self.target} by {self.seconds:+.1f} s"
        return f"{self.kind} {self.target}" + (f" for {self.seconds:.1f} s" if self.seconds else "")


@dataclass
class Process:
    """How a process is started, and whether it may end by itself with 0."""

    start: Callable[[], object]
    may_finish: bool = False
    finished: bool = False
    #: Not to be started again before this moment (monotonic); None: it runs.
    again_at: float | None = None
    #: Not started again by `tend`: it is down on purpose.
    held: bool = False
    restarts: int = 0


@dataclass
class Stage:
    """Everything that runs, and the faults that can be brought upon it."""

    settings: Settings
    system: System
    watch: Watch
    brokers: Brokers | None
    links: dict[str, Link] = field(default_factory=dict)
    #: By process the file from which its stepped clock reads how far it is off.
    clocks: dict[str, Path] = field(default_factory=dict)
    #: A file system with nothing but a broker's directory on it.
    disk: Path | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    #: What did not end, or not recover, in time; in words.
    hung: list[str] = field(default_factory=list)
    faults: list[Struck] = field(default_factory=list)
    #: Starts the replay anew without a pace; None where that cannot be.
    fast: Callable[[], object] | None = None

    def add(
        self,
        name: str,
        *arguments: str,
        may_finish: bool = False,
        more: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        """Start a process and keep it running."""

        def start() -> object:
            return self.system.start(name, *arguments, more=more, **settings)

        self.processes[name] = Process(start, may_finish=may_finish)
        start()

    def tend(self) -> None:
        """Start again what has ended."""
        now = time.monotonic()
        for name, process in self.processes.items():
            if process.finished or process.held:
                continue
            if process.again_at is not None:
                if now >= process.again_at:
                    process.again_at = None
                    process.restarts += 1
                    process.start()
                continue
            code = self.system.processes[name].poll()
            if code is None:
                continue
            if code == 0 and process.may_finish:
                process.finished = True
            else:
                process.again_at = now + AGAIN_SECONDS

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.wait_for(lambda: False, seconds)

    def wait_for(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until something is so, at most so long; whether it came."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= until:
                return False
            self.tend()
            time.sleep(0.05)
        return True

    def hurry(self) -> None:
        """Let the replay publish what is left as fast as it goes: it continues where it stopped."""
        replay = self.processes["replay"]
        if not replay.finished and self.fast is not None:
            replay.start, self.fast = self.fast, None
            self._alone("replay", lambda: self.end("replay"), 0.0)

    def at_work(self) -> bool:
        """Whether the load still comes in, so that positions move."""
        return not self.processes["replay"].finished

    # Faults

    def strike(self, fault: Fault) -> Struck:
        """Do it, and see that the target is there again. Does not wait for recovery."""
        groups = _groups(fault.target)
        struck = Struck(len(self.faults) + 1, fault.kind, fault.target, fault.lasts, groups, time.monotonic())
        self.faults.append(struck)
        broker = fault.target.startswith("broker") or fault.target == "all-brokers"
        self.watch.strike(struck, before=broker)
        {
            "kill": self._kill,
            "term": self._term,
            "pause": self._pause,
            "cut": self._link,
            "hole": self._link,
            "slow": self._link,
            "full": self._full,
            "step": self._step,
        }[fault.kind](fault)
        struck.mended = time.monotonic()
        return struck

    def _kill(self, fault: Fault) -> None:
        if fault.target == "all-brokers":
            assert self.brokers is not None
            for name in self.brokers.nodes:
                self.brokers.signal(name, signal.SIGKILL)
            self.wait(fault.seconds)
            self.brokers.start()
        elif self._is_broker(fault.target):
            assert self.brokers is not None
            self.brokers.signal(fault.target, signal.SIGKILL)
            self.wait(fault.seconds)
            self.brokers.start(fault.target)
        else:
            self._alone(fault.target, lambda: self.system.kill(fault.target), fault.seconds)

    def _term(self, fault: Fault) -> None:
        if self._is_broker(fault.target):
            assert self.brokers is not None
            name = fault.target
            self.brokers.signal(name, signal.SIGTERM)
            if not self.wait_for(lambda: self.brokers is not None and self.brokers.ended(name), 60):
                self.hung.append(f"{name} did not end within 60 s")
            self.brokers.nodes[name].stop()
            self.wait(fault.seconds)
            self.brokers.start(name)
        else:
            self._alone(fault.target, lambda: self.end(fault.target), fault.seconds)

    def _alone(self, name: str, end: Callable[[], object], seconds: float) -> None:
        """End a process, and start it again after so many seconds."""
        process = self.processes[name]
        if process.again_at is None and not process.finished:
            process.held = True
            end()
            self.wait(seconds)
            process.held = False
            code = self.system.processes[name].poll()
            if process.may_finish and code == 0 and self._replayed():
                process.finished = True
            else:
                process.restarts += 1
                process.start()

    def _replayed(self) -> bool:
        return " done at " in f" {self.system.log('replay')}"

    def end(self, name: str) -> None:
        """SIGTERM; whoever has not ended in time is counted and killed."""
        process = self.system.processes[name]
        began = time.monotonic()
        process.terminate()
        if not self.wait_for(lambda: process.poll() is not None, END_SECONDS):
            self.hung.append(f"{name} did not end within {END_SECONDS:g} s of SIGTERM")
            self.system.kill(name)
        log.debug("%s ended %.1f s after SIGTERM", name, time.monotonic() - began)

    def _pause(self, fault: Fault) -> None:
        if self._is_broker(fault.target):
            assert self.brokers is not None
            self.brokers.signal(fault.target, signal.SIGSTOP)
            self.wait(fault.seconds)
            self.brokers.signal(fault.target, signal.SIGCONT)
            return
        paused = self.system.processes[fault.target]
        if paused.poll() is None:
            paused.send_signal(signal.SIGSTOP)
            self.wait(fault.seconds)
            paused.send_signal(signal.SIGCONT)

    def _link(self, fault: Fault) -> None:
        link = self.links[fault.target]
        link.set(fault.kind)  # type: ignore[arg-type]
        self.wait(fault.seconds)
        link.set("open")

    def _full(self, fault: Fault) -> None:
        """Fill the disk under the broker; it ends by itself. Then make room, and start it again."""
        assert self.disk is not None
        assert self.brokers is not None
        ballast = self.disk / "ballast"
        _fill(ballast)
        if not self.wait_for(
            lambda: self.brokers is not None and self.brokers.ended("broker-1"), FULL_SECONDS
        ):
            log.info("the broker went on with a full disk for %g s", FULL_SECONDS)
        self.wait(fault.seconds)
        ballast.unlink()
        self.brokers.nodes["broker-1"].stop()
        self.brokers.start("broker-1")

    def _step(self, fault: Fault) -> None:
        """Step the machine's clock as this process sees it."""
        step(self.clocks[fault.target], fault.seconds)

    def _is_broker(self, name: str) -> bool:
        return self.brokers is not None and name in self.brokers.nodes


def _groups(target: str) -> tuple[str, ...]:
    """Whose partitions must be committed again after a fault of this target."""
    if target.startswith("sense"):
        return ("sense",)
    if target in ("correlate", "wall"):
        return (target,)
    return ("sense", "correlate")


def _fill(path: Path) -> None:
    """Write until the disk is full, and the last bytes too."""
    for size in (1 << 20, 1 << 12, 1):
        try:
            with path.open("ab", buffering=0) as out:
                for _ in range(1 << 16):
                    out.write(b"\0" * size)
        except OSError:
            continue


def draw(
    chance: random.Random, menu: tuple[tuple[int, str, tuple[str, ...], tuple[float, float]], ...]
) -> Fault:
    """One fault of a menu: weight, kind, targets, and the least and the most seconds."""
    _, kind, targets, (least, most) = chance.choices(menu, [entry[0] for entry in menu])[0]
    return Fault(kind, chance.choice(targets), chance.uniform(least, most))
