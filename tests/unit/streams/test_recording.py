"""The recording's format as it is written, read from the middle, and held to its index."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioc.errors import UserError
from streams.cuts import SPOOL_BYTES, Merge, Step
from streams.offline import MemoryRecord
from streams.recorder import Encoder, Writer, take
from streams.recording import ClockLine, EventLine, Line, RawLine, read_recording
from streams.recording_index import (
    Configurations,
    fingerprint,
    index_path,
    load_configurations,
    load_index,
    read_between,
    write_json,
)
from streams.schemas import CLOCK_KEY

START = datetime.fromisoformat("2025-10-08T00:00:00+07:00")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def clock(seconds: float, config: str = "c", run: str = "") -> MemoryRecord:
    value = {"clock": at(seconds).isoformat(), "config": config, **({"run": run} if run else {})}
    return MemoryRecord(CLOCK_KEY, json.dumps(value).encode(), 0)


def event(source: str, number: int, seconds: float, **more: object) -> MemoryRecord:
    value = {"id": str(number), "source": source, "time": at(seconds).isoformat(), **more}
    return MemoryRecord(source.encode(), json.dumps(value).encode(), number)


Log = dict[tuple[str, int], list[MemoryRecord]]


def merged(log: Log, *, since: datetime | None = None, batch: int = 7, seed: int = 0) -> Iterator[Step[str]]:
    """The steps of a log whose partitions are read in batches, those first that are waited for."""
    chance = random.Random(seed)
    encoders = {name: Encoder(name[0], f"ioc.{name[0]}", name[1]) for name in log}
    merge = Merge({name: name[0] for name in log}, since)
    left = {name: list(records) for name, records in log.items()}
    while True:
        yield from merge.steps()
        lacking = merge.lacking()
        if any(not left[name] for name in lacking):
            return
        for name in lacking:
            size = chance.randint(1, batch)
            take(merge, name, encoders[name], left[name][:size])
            left[name] = left[name][size:]


def recorded(path: Path, log: Log, **options: object) -> list[Line]:
    """What is read of a log that was recorded into `path`, its index beside it."""
    with path.open("wb") as file:
        writer = Writer(file)
        for step in merged(log, **options):  # type: ignore[arg-type]
            writer.write(step)
        writer.end()
    write_json(index_path(path), writer.index(*fingerprint(path)))
    return list(read_recording(path))


def placed(lines: Iterable[Line]) -> dict[str, list[tuple[datetime | None, str]]]:
    """For each source its events in their order, each with the last clock before it: all that a judgement needs."""
    found: dict[str, list[tuple[datetime | None, str]]] = {}
    now = None
    for line in lines:
        if isinstance(line, ClockLine):
            now = line.clock
        elif isinstance(line, EventLine):
            found.setdefault(line.source, []).append((now, json.loads(line.event)["id"]))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.ndjson.gz"


# Putting partitions together


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, dict[str, list[tuple[datetime, str]]]]:
    """A log whose partitions share their clock records but for some that are damaged or twice, and where each
    event stands between which clocks of its own partition; only what lies within the whole clocks of all."""
    clocks = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=12)))
    log: Log = {}
    places: dict[str, list[tuple[datetime, str]]] = {}
    for number in range(draw(st.integers(1, 4))):
        partition: list[MemoryRecord] = []
        source, count = f"s{number}", 0
        now: int | None = None
        for index, second in enumerate(clocks):
            for _ in range(draw(st.integers(0, 3))):
                partition.append(event(source, count, draw(st.floats(-100, 100))))
                if now is not None:
                    places.setdefault(source, []).append((at(now), str(count)))
                count += 1
            edge = index in (0, len(clocks) - 1)
            kind = "whole" if edge else draw(st.sampled_from(["whole", "whole", "damaged", "twice", "back"]))
            if kind == "damaged":
                partition.append(MemoryRecord(CLOCK_KEY, b"{", 0))
            else:
                partition += [clock(second)] * (2 if kind == "twice" else 1)
                if kind == "back":
                    partition.append(clock(second - 3))
                now = second
        partition += [event(source, 999, 0)] * draw(st.integers(0, 2))
        log["flood", number] = partition
    return log, places


@given(logs(), st.integers(0, 100))
def test_each_event_keeps_its_order_and_its_place_among_its_clocks(
    drawn: tuple[Log, dict[str, list[tuple[datetime, str]]]], seed: int
) -> None:
    """Whatever is damaged and however the partitions are read: the clock before an event in the recording is the
    one before it in its partition, and no clock that its partition lacked comes between."""
    log, places = drawn
    with tempfile.TemporaryDirectory() as directory:
        lines = recorded(Path(directory) / "r.ndjson.gz", log, seed=seed)
    clocks = [line.clock for line in lines if isinstance(line, ClockLine)]
    assert clocks == sorted(set(clocks))
    assert isinstance(lines[0], ClockLine)
    assert isinstance(lines[-1], ClockLine)
    assert placed(lines) == places


def test_it_begins_where_all_partitions_have_a_clock(path: Path) -> None:
    """A partition that retention trimmed further than the others decides where the recording begins."""
    whole = [
        clock(0),
        event("a", 1, 1),
        clock(10),
        event("a", 2, 11),
        clock(20),
        event("a", 3, 21),
        clock(30),
    ]
    trimmed = [event("b", 1, 12), clock(20), event("b", 2, 21), clock(30)]
    lines = recorded(path, {("flood", 0): whole, ("flood", 1): trimmed})
    assert [line.clock for line in lines if isinstance(line, ClockLine)] == [at(20), at(30)]
    assert placed(lines) == {"a": [(at(20), "3")], "b": [(at(20), "2")]}


def test_it_ends_with_the_last_clock_that_all_partitions_reached(path: Path) -> None:
    """What follows the last common clock is left out, for more of it may come."""
    ahead = [clock(0), clock(10), event("a", 1, 11), clock(20), event("a", 2, 21)]
    lines = recorded(path, {("flood", 0): ahead, ("flood", 1): [clock(0), clock(10), event("b", 1, 11)]})
    assert [type(line) for line in lines] == [ClockLine, ClockLine]
    assert lines[-1] == ClockLine(at(10))


def test_it_begins_at_the_first_clock_at_or_after_since(path: Path) -> None:
    """`since` lies between two clocks: the later one is the first line, and nothing before it is there."""
    log: Log = {("flood", 0): [clock(0), event("a", 1, 1), clock(10), event("a", 2, 11), clock(20)]}
    assert placed(recorded(path, log, since=at(5))) == {"a": [(at(10), "2")]}


def test_much_between_two_clocks_lies_on_disk(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """A day without a clock does not have to fit into memory, and comes out whole."""
    monkeypatch.setattr("streams.cuts.SPOOL_BYTES", 1000)
    assert SPOOL_BYTES > 1000
    many = [event("a", number, number) for number in range(200)]
    lines = recorded(path, {("flood", 0): [clock(0), *many, clock(300)]})
    assert placed(lines) == {"a": [(at(0), str(number)) for number in range(200)]}


# What a line holds


def test_a_reporters_identity_is_not_recorded(path: Path) -> None:
    """A report keeps what is judged and shown; `reporter` and whatever else the schema does not know is gone. A
    report that cannot be decoded is left out and counted."""
    report = event("app", 1, 1, category="flooded_street", text="Ngập", reporter={"name": "N"}, phone="0000")
    bad = MemoryRecord(b"app", b'{"reporter": {"name": "N"}}', 0)
    lines = recorded(path, {("report", 0): [clock(0), report, bad, clock(10)]})
    assert b'"N"' not in gzip.decompress(path.read_bytes())
    (line,) = (line for line in lines if isinstance(line, EventLine))
    assert json.loads(line.event) == {
        **{"id": "1", "source": "app", "time": at(1).isoformat()},
        **{"category": "flooded_street", "text": "Ngập"},
    }
    index = load_index(path)
    assert index is not None
    assert (index.left_out, index.records) == (1, {"report": 1})


def test_events_stay_as_they_were_sent(path: Path) -> None:
    """Unknown fields, run and simulated stay; a value over several lines becomes one line of the same content."""
    wide = MemoryRecord(
        b"g",
        json.dumps({"id": "1", "source": "g", "time": at(1).isoformat(), "simulated": True, "run": "r", "x": 1.10},
                   indent=2).encode(), 0,
    )  # fmt: skip
    lines = recorded(path, {("flood", 0): [clock(0, run="r"), wide, clock(10, run="r")]})
    assert lines[0] == ClockLine(at(0), "r")
    assert json.loads(lines[1].event) == json.loads(wide.value or b"")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [b"not <json>", b"", b"\xff\xfe", b'{"id":"\xff","source":"g","time":"2025-10-08T00:00:00Z"}', b"\n"],
)
def test_what_is_no_event_is_recorded_to_the_byte(path: Path, value: bytes) -> None:
    """A record that could not be decoded still cannot be after it was recorded: not even where it was not text."""
    lines = recorded(path, {("flood", 0): [clock(0), MemoryRecord(b"g", value, 0), clock(10)]})
    line = lines[1]
    assert isinstance(line, RawLine)
    assert (line.key, line.raw) == ("g", value)


def test_an_event_with_a_broken_unknown_field_is_still_the_same_event(path: Path) -> None:
    """Bytes that are no text, in a field that nobody knows: the event is judged all the same, and recorded."""
    value = b'{"id":"1","source":"g","time":"2025-10-08T00:00:01+07:00","level_m":1.5,"note":"\xff"}'
    lines = recorded(path, {("flood", 0): [clock(0), MemoryRecord(b"g", value, 0), clock(10)]})
    assert json.loads(lines[1].event)["level_m"] == 1.5  # type: ignore[union-attr]


def test_base64_and_raw_exclude_each_other(tmp_path: Path) -> None:
    """A line with both, or with base64 that is none, is refused with its number."""
    file = tmp_path / "x.ndjson"
    for wrong in ('"raw":"a","base64":"YQ=="', '"base64":"?"'):
        file.write_text(
            f'{{"clock":"{at(0).isoformat()}"}}\n'
            f'{{"stream":"flood","at":"{at(1).isoformat()}","key":"k",{wrong}}}\n'
            f'{{"clock":"{at(2).isoformat()}"}}\n'
        )
        with pytest.raises(UserError) as caught:
            list(read_recording(file))
        assert "x.ndjson:2:" in caught.value.where


# The index


@pytest.fixture
def long(path: Path) -> Path:
    """A recording of two hours with a clock each minute and an event between; a member each ten minutes."""
    records = [
        record for minute in range(121) for record in (clock(60 * minute), event("a", minute, 60 * minute))
    ]
    recorded(path, {("flood", 0): records})
    return path


def test_each_member_begins_with_a_clock_and_can_be_read_alone(long: Path) -> None:
    """A member covers ten minutes of event time; from its offset on the rest is a recording of its own."""
    index = load_index(long)
    assert index is not None
    assert [member.clock for member in index.members] == [at(600 * n) for n in range(13)]
    for member in index.members:
        assert next(read_recording(long, offset=member.offset)) == ClockLine(member.clock)
    assert gzip.decompress(long.read_bytes()).count(b"\n") == 241


@given(st.integers(-100, 7400), st.integers(0, 7400))
def test_reading_from_a_time_is_reading_all_and_leaving_out(seconds: int, more: int) -> None:
    """With the index as without it: from the first clock at or after `since` to the last at or before `until`."""
    since, until = at(seconds), at(seconds + more)
    lines = _ALL.lines
    clocks = [
        n for n, line in enumerate(lines) if isinstance(line, ClockLine) and since <= line.clock <= until
    ]
    if not clocks:
        with pytest.raises(UserError, match="nothing of that time"):
            list(read_between(_ALL.path, since, until))
        return
    assert list(read_between(_ALL.path, since, until)) == lines[clocks[0] : clocks[-1] + 1]


class _ALL:
    """The recording that the property above reads; made once, by the fixture below."""

    path: Path
    lines: list[Line]


@pytest.fixture(scope="module", autouse=True)
def _all(tmp_path_factory: pytest.TempPathFactory) -> None:
    _ALL.path = tmp_path_factory.mktemp("all") / "r.ndjson.gz"
    records = [
        record for minute in range(121) for record in (clock(60 * minute), event("a", minute, 60 * minute))
    ]
    _ALL.lines = recorded(_ALL.path, {("flood", 0): records})


def test_reading_from_a_time_reads_no_earlier_member(long: Path) -> None:
    """What lies before the member is never looked at: it may be damaged."""
    index = load_index(long)
    assert index is not None
    content = bytearray(long.read_bytes())
    content[index.members[3].offset + 20] ^= 0xFF
    long.write_bytes(content)
    write_json(index_path(long), type(index)(**{**index_fields(index), "hash": fingerprint(long)[1]}))
    assert next(read_between(long, at(2400))) == ClockLine(at(2400))
    with pytest.raises(UserError, match=r"cannot be read|not usable"):
        list(read_between(long, at(600)))


def index_fields(index: object) -> dict[str, object]:
    return {name: getattr(index, name) for name in index.__struct_fields__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", ["another", "damaged", "shorter"])
def test_an_index_of_another_recording_is_not_believed(
    long: Path, tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Then reading begins at the first line, finds the same, and the log says so."""
    if how == "another":
        records = [record for n in range(121) for record in (clock(60 * n), event("b", n, 60 * n))]
        other = tmp_path / "other.ndjson.gz"
        recorded(other, {("flood", 0): records})
        other.replace(long)
    elif how == "damaged":
        index_path(long).write_text("{")
    else:
        index = load_index(long)
        assert index is not None
        long.write_bytes(long.read_bytes()[: index.members[-1].offset])
    assert load_index(long) is None
    assert "left alone" in caplog.text
    assert next(read_between(long, at(2390))) == ClockLine(at(2400))


def test_configurations_come_back_as_they_were(path: Path) -> None:
    """The records of ioc.config keep their content; a file that is not one of them is an error that names it."""
    beside = path.with_name("r.ndjson.gz.config.json")
    assert load_configurations(path) == {}
    write_json(beside, Configurations({"h": msgspec.Raw(b'{"rules":"a\\nb","inventory":""}')}))
    assert json.loads(load_configurations(path)["h"]) == {"rules": "a\nb", "inventory": ""}
    beside.write_text("[]")
    with pytest.raises(UserError) as caught:
        load_configurations(path)
    assert str(beside) in caught.value.where
