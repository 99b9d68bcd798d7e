"""The cases of a run: what is done to which processes, and under what kind of broker, link, disk and clock."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.stage import WORKERS, Fault

#: Weight, kind, targets, and how long it lasts at least and at most, seconds.
Entry = tuple[int, str, tuple[str, ...], tuple[float, float]]

#: Longer than a session of 3 s; and than a transaction may last, which is 20 s.
SESSION, TRANSACTION = (4.0, 7.0), (22.0, 26.0)


@dataclass(frozen=True)
class Case:
    """One log, and the faults that it is judged under."""

    name: str
    what: str
    menu: tuple[Entry, ...]
    #: Of the faults of a whole run, in hundredths.
    share: int
    #: Seconds that a fault takes here with what it leads to, about: the load is paced by it.
    each: float
    brokers: int = 1
    #: The clock is a process of its own and not the replay's.
    live_clock: bool = False
    #: These reach the broker through a link each.
    links: tuple[str, ...] = ()
    #: The broker's directory has a small file system of its own.
    small_disk: bool = False
    #: The clocks of these can be stepped.
    clocks: tuple[str, ...] = ()
    #: Of the events of a whole run, so many hundredths.
    events: int = 25
    #: Instead of what is drawn from the menu: all of these, in an order that follows from the seed.
    fixed: tuple[Fault, ...] = ()


CASES = {
    case.name: case
    for case in (
        Case(
            "kills",
            "SIGKILL, SIGTERM and SIGSTOP of two workers of sense, correlate, the replay with its clock, the wall",
            (
                (8, "kill", (*WORKERS, "replay"), (0.0, 2.0)),
                (1, "kill", ("wall",), (0.0, 1.0)),
                (4, "term", (*WORKERS, "replay"), (0.0, 1.0)),
                (1, "term", ("wall",), (0.0, 1.0)),
                (3, "pause", WORKERS, SESSION),
                (1, "pause", (*WORKERS, "replay"), TRANSACTION),
            ),
            share=44,
            each=13.0,
            events=100,
        ),
        Case(
            "clock",
            "the clock as a process of its own, killed, ended and paused beside sense and correlate",
            (
                (4, "kill", ("clock",), (0.0, 3.0)),
                (2, "term", ("clock",), (0.0, 1.0)),
                (1, "pause", ("clock",), (4.0, 8.0)),
                (1, "pause", ("clock",), TRANSACTION),
                (2, "kill", WORKERS, (0.0, 1.0)),
            ),
            share=12,
            each=12.0,
            live_clock=True,
            events=4,
        ),
        Case(
            "broker",
            "the one broker killed, ended and paused",
            (
                (3, "kill", ("broker-1",), (0.0, 4.0)),
                (2, "term", ("broker-1",), (0.0, 2.0)),
                (2, "pause", ("broker-1",), (4.0, 12.0)),
            ),
            share=12,
            each=22.0,
        ),
        Case(
            "cluster",
            "three brokers with a copy on each: one killed, ended or paused, and all killed",
            (
                (3, "kill", ("broker-1", "broker-2", "broker-3"), (0.0, 8.0)),
                (2, "term", ("broker-1", "broker-2", "broker-3"), (0.0, 4.0)),
                (2, "pause", ("broker-1", "broker-2", "broker-3"), (4.0, 15.0)),
                (1, "kill", ("all-brokers",), (0.0, 3.0)),
                (1, "kill", WORKERS, (0.0, 1.0)),
            ),
            share=12,
            each=30.0,
            brokers=3,
        ),
        Case(
            "network",
            "the link between a worker and the broker cut, slowed, and turned into a black hole",
            (
                (3, "cut", ("sense-1", "correlate"), (0.5, 8.0)),
                (2, "hole", ("sense-1", "correlate"), (1.0, 7.0)),
                (1, "hole", ("sense-1", "correlate"), TRANSACTION),
                (2, "slow", ("sense-1", "correlate"), (5.0, 10.0)),
            ),
            share=10,
            each=20.0,
            links=("sense-1", "correlate"),
        ),
        Case(
            "disk",
            "the file system under the broker's directory full, until the broker ends, and with room again",
            ((1, "full", ("broker-1",), (0.0, 3.0)),),
            share=3,
            each=45.0,
            small_disk=True,
        ),
        Case(
            "time",
            "the machine's clock as sense and correlate see it, stepped by up to two hours each way",
            (
                (3, "step", ("sense-1", "correlate"), (-7200.0, 7200.0)),
                (1, "kill", ("sense-1", "correlate"), (0.0, 0.0)),
            ),
            share=7,
            each=8.0,
            clocks=("sense-1", "correlate"),
        ),
    )
}

#: For every run of the tests.
SHORT = Case(
    "short",
    "each way to end or pause the workers and the clock, once or twice",
    (),
    share=0,
    each=8.0,
    live_clock=True,
    fixed=(
        Fault("kill", "sense-1"),
        Fault("kill", "sense-2", 1.0),
        Fault("kill", "correlate"),
        Fault("kill", "correlate", 1.0),
        Fault("kill", "clock"),
        Fault("kill", "clock", 1.5),
        Fault("term", "sense-1"),
        Fault("term", "correlate"),
        Fault("pause", "sense-2", 5.0),
        Fault("pause", "correlate", 5.0),
    ),
)
