"""Single records that once ended a worker, or the wall, at every restart: each is refused and harms no other."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition

from alerts.alert import Alert
from alerts.believable import GREATEST, doubt
from alerts.model import Where
from ioc.commands.subscribe import follow
from ioc.errors import UserError
from maps.feeds import Channel
from maps.history import History
from maps.picture import Picture
from streams.current import _fault
from streams.offline import MemoryRecord
from streams.rawlog import _last_clocks
from streams.recorder import Encoder
from streams.recording import LINE_MAX, NESTED_MAX, is_nested_deeply, read_recording
from streams.schemas import CLOCK_KEY, DeadLetter
from streams.sensed import KEY_BYTES
from streams.transactions import BATCH_BYTES
from tests import wallkit as kit
from tests.fuzz import workers

DEEP = b'{"kind":"command","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
NO_TEXT = b'{"kind":"command","text":"\xff"}'


def changed(good: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(good), **fields}).encode()


# ioc.signals


@pytest.mark.parametrize(
    "bad",
    [
        DEEP,
        NO_TEXT,
        workers.command(text="x")[:-1] + b',"to":"' + b"x" * 200_000 + b'"}',
        changed(workers.signal(3), start_time="0001-01-01T00:00:00+14:00"),
        changed(workers.signal(3), order="0001-01-01T00:00:00Z"),
        changed(workers.signal(3), value=1e300),
        changed(workers.signal(3), where={"lon": 1e308, "lat": 10}),
        changed(workers.command(), time="9999-12-31T23:59:59-14:00"),
    ],
    ids=["deep", "no-text", "long", "start-time", "order", "value", "where", "time"],
)
def test_a_bad_record_of_the_signals_is_counted(bad: bytes) -> None:
    """Whoever may write a command may write anything there: the alerts go on as without it."""
    made, unreadable = workers.signals().effects([*workers.signals().before, bad, *workers.signals().after])
    assert unreadable == 1
    assert made == workers.signals().alone


# The raw streams


@pytest.mark.parametrize(
    ("stream", "fields"),
    [
        ("report", {"time": "0001-01-01T00:00:00+14:00"}),
        ("flood", {"time": "9999-12-31T23:59:59-14:00"}),
        ("traffic", {"flow_vph": 1.7e308}),
        ("camera", {"kind": "x" * 950_000}),
        ("flood", {"datum": "x" * 950_000}),
        ("flood", {"run": "x" * 950_000}),
    ],
)
def test_what_nobody_could_reckon_with_is_a_dead_letter(stream: str, fields: dict[str, Any]) -> None:
    """A time at an end of the calendar, a number whose sums are none, a text for which there is no room behind."""
    record = MemoryRecord(b"street-1", workers.event(stream, 3, **fields), 102)
    out = workers.sensing(stream, workers.raw(stream).state).run([record], workers.known())
    assert dict(out.dead) == {"undecodable": 1}
    workers.raw(stream).among(record)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_clock_at_an_end_of_the_calendar_is_not_believed(time: str) -> None:
    """The time of the partition stays what it was."""
    bad = MemoryRecord(CLOCK_KEY, changed(workers.clock(3), clock=time), 102)
    sensing = workers.sensing("flood", workers.raw("flood").state)
    sensing.run([bad], workers.known())
    assert sensing.state.clock == workers.at(1)
    workers.raw("flood").among(bad)


def test_the_dead_letter_of_a_record_with_an_endless_key_has_room() -> None:
    """The broker takes records of a megabyte, and what stands in the dead letter has to fit too."""
    raw = workers.raw("flood")
    for key, kept in ((b"k" * KEY_BYTES, True), (b"k" * (BATCH_BYTES + 1), False)):
        made = raw.effects([MemoryRecord(key, b"no event", 102)])
        [(written, value)] = made[workers.TOPICS.dead_letters.name, 0]
        assert written == (key if kept else None)
        assert msgspec.json.decode(value or b"", type=DeadLetter).offset == 102


@pytest.mark.parametrize(
    "place",
    [
        {"lon": 1e308},
        {"lon": 10.5, "lat": 105.9},
        {"lon": 1059.0, "lat": None},
        {"lon": None, "lat": -91},
        {"lon": 181},
    ],
    ids=["endless", "swapped", "lon-alone", "lat-alone", "beyond"],
)
def test_a_signal_from_off_the_globe_has_no_point_and_is_heard(place: dict[str, Any]) -> None:
    """The reading counts; the point would be taken for one by whoever looks for what is near."""
    raw, record = workers.raw("flood"), MemoryRecord(b"x", workers.event("flood", 3, "x", **place), 102)
    told = [value or b"" for _, value in raw.effects([record])[workers.TOPICS.signals.name, 0]]
    assert [json.loads(signal)["rule"] for signal in told] == ["street-water"]
    assert not {"lon", "lat"} & json.loads(told[0])["where"].keys()
    made, unreadable = workers.signals().effects([*told, *workers.signals().after])
    assert unreadable == 0
    assert any(b'"subject":"x"' in (value or b"") for _, value in made[workers.TOPICS.alerts.name, 0])
    raw.among(record)


# What is read of what the workers write


@pytest.mark.parametrize(
    "bad", [DEEP, NO_TEXT, changed(kit.alert_record(), started="0001-01-01T00:00:00+14:00")]
)
def test_the_wall_passes_over_what_it_cannot_read(bad: bytes) -> None:
    """Each reader counts it and goes on."""
    picture, history = Picture(), History(1)
    picture.apply_alert(bad, "a")
    picture.apply_incident(bad, "i")
    picture.apply_outcome(bad)
    picture.apply_configuration_error(bad)
    picture.apply_located(bad)
    history.take_alert(bad)
    history.take_incident(bad)
    history.take_frame(bad)
    Channel().take(bad, 0)
    assert (picture.bad, history.bad) == (5, 3)
    for bad_event in (DEEP, NO_TEXT, kit.report_record("r", "x").replace(b"2026-10-28", b"0001-01-01")):
        picture.apply_located(bad_event)
    picture.apply_passed(kit.passed_record().replace(b"2026-10-28", b"9999-12-31"), 0)
    assert picture.bad == 9


def test_a_subscriber_is_told_of_a_record_that_is_no_message() -> None:
    """`ioc subscribe` says where it stands and shows the next."""

    class Records:
        topic, partition, offset = "ioc.alerts.fire", 0, 7

        def __init__(self, value: bytes | None) -> None:
            self.value = value

    class Consumer:
        left = 1

        def poll(self, timeout_ms: int) -> dict[str, list[Records]]:
            self.left -= 1
            return {"p": [Records(DEEP), Records(NO_TEXT), Records(None)]} if self.left >= 0 else {}

        def topics(self) -> None: ...
        def subscribe(self, topics: list[str], listener: object) -> None: ...
        def commit(self, timeout_ms: int) -> None: ...
        def assignment(self) -> list[str]:
            return []

    class Stop:
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 1

    said: list[str] = []
    follow(Consumer(), "ioc.alerts.fire", lambda message: None, said.append, Stop())  # type: ignore[arg-type]
    assert len(said) == 3
    assert all(line.startswith("ioc.alerts.fire/0/7 is no message") for line in said)


# ioc.config


@pytest.mark.parametrize(
    "content", [None, b"", DEEP, NO_TEXT, b'{"rules":"x","inventory":"","boundaries":[]}']
)
def test_a_name_without_a_configuration_is_not_taken_for_the_current_one(content: bytes | None) -> None:
    """Clock records that name it would make every worker wait."""
    assert _fault("abc", content)


# Recordings


def test_an_event_that_is_nested_deeply_is_recorded_as_the_schema_knows_it(tmp_path: Path) -> None:
    """The reader of a line cannot follow as deep as the reader of a record: the whole recording was lost."""
    event = workers.event("flood", 3)[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"
    line = Encoder("flood", "ioc.flood", 0).line(MemoryRecord(b"street-1", event, 0))
    clocks = [b'{"clock":"2025-10-08T12:00:00+07:00"}\n', b'{"clock":"2025-10-08T13:00:00+07:00"}\n']
    path = tmp_path / "day.ndjson"
    path.write_bytes(clocks[0] + (line or b"") + clocks[1])
    _, read, _ = read_recording(path)
    assert json.loads(read.event)["road_depth_m"] == 0.3  # type: ignore[union-attr]
    assert b"x" not in json.loads(read.event)  # type: ignore[union-attr]
    for bad in (
        b'{"stream":"flood","at":"2025-10-08T12:10:00+07:00","event":' + event + b"}\n",
        DEEP + b"\n",
    ):
        path.write_bytes(clocks[0] + bad + clocks[1])
        with pytest.raises(UserError, match=r"day\.ndjson:2: "):
            list(read_recording(path))


def test_a_line_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    """A few hundred bytes can be packed that unpack to more than the memory."""
    path = tmp_path / "bomb.ndjson.gz"
    with gzip.open(path, "wb") as packed:
        packed.write(b'{"clock":"2025-10-08T12:00:00+07:00"}\n')
        for _ in range(64):
            packed.write(b" " * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=rf"bomb\.ndjson\.gz:2: longer than {LINE_MAX} bytes"):
            list(read_recording(path))
        assert tracemalloc.get_traced_memory()[1] < 4 * LINE_MAX
    finally:
        tracemalloc.stop()


def test_how_deep_is_told_without_going_there() -> None:
    """Brackets in a text are none, an escaped quote ends none."""
    assert not is_nested_deeply(b"[" * NESTED_MAX + b"]" * NESTED_MAX)
    assert is_nested_deeply(b"[" * (NESTED_MAX + 1))
    assert not is_nested_deeply(b'["' + b"[" * 500 + b'\\"' + b"[" * 500 + b'"]')
    assert not is_nested_deeply(b"[" + b"[]," * 500 + b"1]")


# What is believed


def test_doubt_names_the_field() -> None:
    """The message of a refusal says which of the parts it is."""
    assert doubt(Where(lon=106.0, lat=10.0)) == ""
    assert doubt(Where(lon=float("nan"))).endswith("no point on Earth")
    alert = msgspec.json.decode(kit.alert_record(where={"lon": 200}), type=Alert)
    assert doubt(alert) == "where: 200.0, None is no point on Earth"
    assert doubt(GREATEST) == ""
    assert doubt(1e19) == "1e+19 is no measure"


# The clock


def test_a_damaged_clock_record_does_not_keep_the_clock_from_starting() -> None:
    """The writer of clock records begins behind the last one that can be read, and looks further back for it."""

    class Raw:
        key, offset, timestamp = CLOCK_KEY, 0, 0

        def __init__(self, value: bytes | None) -> None:
            self.value = value

    tp = TopicPartition("ioc.flood", 0)
    end = 1000
    log = {10: workers.clock(1), 20: workers.clock(2)} | dict.fromkeys(range(900, end), b"\xff")
    log |= {990: changed(workers.clock(3), clock="9999-12-31T23:59:59Z"), 991: DEEP, 992: None}  # type: ignore[dict-item]

    class Consumer:
        at = 0

        def assign(self, partitions: list[TopicPartition]) -> None: ...
        def seek(self, partition: TopicPartition, offset: int) -> None:
            self.at = offset

        def position(self, partition: TopicPartition) -> int:
            return self.at

        def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
            return {tp: 0}

        def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
            return {tp: end}

        def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Raw]]:
            first, self.at = self.at, end
            return {tp: [Raw(value) for offset, value in sorted(log.items()) if offset >= first]}

    found = _last_clocks(Consumer(), [tp])[tp]  # type: ignore[arg-type]
    assert found is not None
    assert found.clock == workers.at(2)
