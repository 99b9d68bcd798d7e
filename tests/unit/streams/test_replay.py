"""The recording's format, and how a replay begins, moves and goes on. Publishing: tests/integration."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from kafka.partitioner import DefaultPartitioner

from ioc.errors import UserError
from ioc.settings import load_settings
from streams.recording import ClockLine, EventLine, RawLine, first_and_last_clock, read_recording
from streams.replay import Start, Step, Tape, Transactions, run_replay
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import partition_of

T = "2025-10-08T{}+07:00"
LINES = [
    {"clock": T.format("00:00:00")},
    {
        **{"stream": "flood", "at": T.format("00:00:03")},
        "event": {"id": "a", "source": "g", "time": T.format("00:00:02"), "x": 1},
    },
    {"clock": T.format("00:00:10")},
    {"stream": "report", "at": T.format("00:00:11"), "key": "app", "raw": "not <json>"},
    {
        **{"stream": "flood", "at": T.format("00:00:13")},
        "event": {"id": "b", "source": "g", "time": "2025-10-07T17:00:12.5Z"},
    },
    {"clock": T.format("00:00:20")},
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def at(seconds: float, days: int = 0) -> datetime:
    return datetime.fromisoformat(T.format("00:00:00")) + timedelta(days=days, seconds=seconds)


def tape(path: Path, *, loop: bool = False, run: str = "r") -> Tape:
    return Tape(path, run, *first_and_last_clock(path), loop=loop)


def ids(step: Step) -> list[str]:
    return [
        json.loads(value)["id"] if value.startswith(b"{") else value.decode() for _, _, value in step.records
    ]


def test_reads_lines_in_order(recording: Path, tmp_path: Path) -> None:
    """Each line becomes its kind of value, plain or gzipped alike."""
    found = list(read_recording(recording))
    assert [type(line) for line in found] == [ClockLine, EventLine, ClockLine, RawLine, EventLine, ClockLine]
    assert found[1].source == "g"  # type: ignore[union-attr]
    packed = tmp_path / "scenario.ndjson.gz"
    packed.write_bytes(gzip.compress(recording.read_bytes()))
    assert list(read_recording(packed)) == found


@pytest.mark.parametrize(
    ("number", "line", "what"),
    [
        (1, LINES[1], "first line is not a clock"),
        (6, LINES[1], "last line is not a clock"),
        (3, LINES[0], "clock goes from"),
        (2, {"stream": "water", "at": T.format("00:00:03"), "event": {}}, "not one of"),
        (2, {"stream": "flood", "event": {"id": "a"}}, "`at` is missing"),
        (2, {"stream": "flood", "at": "2025-10-08T00:00:00", "event": {}}, "timezone"),
        (2, {"stream": "flood", "at": T.format("00:00:03"), "event": {"id": "a", "source": "g"}}, "`time`"),
        (4, {"stream": "flood", "at": T.format("00:00:03"), "raw": "x"}, "key"),
        (2, {"sream": "flood"}, "unknown field"),
        (2, {"clock": T.format("00:00:05"), "raw": "x"}, "nothing else"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(recording: Path, number: int, line: dict, what: str) -> None:
    """A recording that is not of the format is refused with the number of the line and the reason."""
    lines = list(LINES)
    lines[number - 1] = line
    recording.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError) as caught:
        list(read_recording(recording))
    assert f"scenario.ndjson:{number}:" in caught.value.where
    assert what in caught.value.where


def test_cut_off_recording(recording: Path, tmp_path: Path) -> None:
    """A half-copied gzip file is an error for the user, not a traceback."""
    packed = tmp_path / "scenario.ndjson.gz"
    packed.write_bytes(gzip.compress(recording.read_bytes())[:-20])
    with pytest.raises(UserError, match="cannot be read"):
        list(read_recording(packed))


def test_steps_mark_events_as_simulated(recording: Path) -> None:
    """Every event is marked simulated and with the run; a bad record goes as it is; a clock ends the step."""
    first, second, third = tape(recording).steps(Start(0))
    assert (first.clock, second.clock, third.clock) == (at(0), at(10), at(20))
    assert first.records == ()
    ((stream, key, value),) = second.records
    assert (stream, key) == ("flood", b"g")
    assert json.loads(value) == {
        **{"id": "a", "source": "g", "time": T.format("00:00:02"), "x": 1},
        **{"simulated": True, "run": "r"},
    }
    assert third.records[0] == ("report", b"app", b"not <json>")


def test_loop_moves_times_by_days_and_makes_ids_unique(recording: Path) -> None:
    """Iteration k has times k days later, run `r-k` and ids `k:ID`; the time never goes back."""
    steps = list(islice(tape(recording, loop=True).steps(Start(0)), 9))
    assert [step.run for step in steps] == ["r-0"] * 3 + ["r-1"] * 3 + ["r-2"] * 3
    assert ids(steps[1]) == ["a"]
    assert ids(steps[4]) == ["1:a"]
    assert ids(steps[8]) == ["not <json>", "2:b"]
    moved = json.loads(steps[8].records[1][2])
    assert datetime.fromisoformat(moved["time"]) == at(12.5, days=2)
    assert [step.clock for step in steps] == sorted(step.clock for step in steps)


@pytest.mark.parametrize(
    ("loop", "run", "clock", "start"),
    [
        (False, "r", at(10), Start(0, at(10))),
        (False, "r", at(20), Start(1)),
        (False, "other", at(0), Start(0)),
        (True, "r-0", at(10), Start(0, at(10))),
        (True, "r-0", at(20), Start(1)),
        (True, "r-4", at(10, days=4), Start(4, at(10, days=4))),
        (True, "r", at(10), Start(1)),
        (True, "other-3", at(20, days=3), Start(4)),
    ],
)
def test_goes_on_where_the_log_stands(
    recording: Path, loop: bool, run: str, clock: datetime, start: Start
) -> None:
    """The log's last clock record says where to begin; after another run a loop begins on a later day."""
    assert tape(recording, loop=loop).start(Clock(clock=clock, config="", run=run)) == start


def test_resumed_steps_are_the_rest(recording: Path) -> None:
    """What was published before the interruption and what comes after are together the whole, each once."""
    for loop in (False, True):
        one = tape(recording, loop=loop)
        whole = list(islice(one.steps(Start(0)), 7))
        for number, step in enumerate(whole[:-1], 1):
            start = one.start(Clock(clock=step.clock, config="", run=step.run))
            assert list(islice(one.steps(start), len(whole) - number)) == whole[number:]


def test_a_finished_run_has_nothing_left(recording: Path) -> None:
    """Started again after its end, a run that does not loop publishes nothing."""
    one = tape(recording)
    assert list(one.steps(one.start(Clock(clock=at(20), config="", run="r")))) == []


def test_time_never_turns_back(recording: Path) -> None:
    """Another run whose recording begins before the log's last clock record is refused, with what to do."""
    with pytest.raises(UserError) as caught:
        tape(recording).start(Clock(clock=at(10), config="", run="other"))
    assert "--prefix" in caught.value.remedy
    assert "--loop" in caught.value.remedy


def test_another_recording_is_noticed(recording: Path) -> None:
    """A run that goes on with a recording without the clock line where it stopped is refused."""
    with pytest.raises(UserError, match="not the recording"):
        list(tape(recording).steps(Start(0, at(5))))


def test_clock_records_reach_every_partition_last(recording: Path) -> None:
    """Each step's records go to the source's partition, then its clock record to every raw partition."""
    settings = load_settings(topic_prefix="p.", raw_partitions=3)
    partitions = [
        (f"p.ioc.{stream}", n) for stream in ("traffic", "flood", "camera", "report") for n in range(3)
    ]
    transactions = Transactions(settings, partitions, lambda: "hash")
    steps = list(tape(recording).steps(Start(0)))
    made = transactions.of(steps[1:])
    assert made.events == {"flood": 2, "report": 1}
    assert made.clock == at(20)
    first, *clocks = made.records[:13]
    assert first[:3] == ("p.ioc.flood", partition_of(b"g", 3), b"g")
    assert [record[:3] for record in clocks] == [(*partition, CLOCK_KEY) for partition in partitions]
    assert json.loads(clocks[0][3]) == {"clock": T.format("00:00:10"), "config": "hash", "run": "r"}
    assert len(made.records) == sum(transactions.size(step) for step in steps[1:]) == 27


def test_partition_is_the_default_partitioners() -> None:
    """A replayed source lies in the partition where any other producer's records of it would."""

    class Cluster:
        def topics(self) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, topic: str) -> set[int]:
            return set(range(7))

        available_partitions_for_topic = partitions_for_topic

    for key in (b"gauge-can-tho", b"x", "phường".encode()):
        theirs = DefaultPartitioner().partition("t", None, key, None, b"", Cluster())
        assert partition_of(key, 7) == theirs


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_is_above_zero(recording: Path, speed: float) -> None:
    """A speed that is not a number above zero is refused before anything is published."""
    with pytest.raises(UserError, match="speed"):
        run_replay(load_settings(), recording, speed=speed, run="r")
