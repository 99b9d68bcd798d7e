"""What tests of the wall share: a small drawing, records as the topics hold them, and a wall in a thread."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import math
import struct
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from alerts.commands import Command, CommandOutcome
from alerts.model import Source, Where
from alerts.rules.policy import Operator, Role
from ioc.operators import OperatorEntry, OperatorsFile, hash_password, write_operators
from ioc.settings import load_settings
from maps.commands import Desk
from maps.feeds import Feeds
from maps.history_web import Past
from maps.live import Live
from maps.picture import Picture
from maps.sensors import Listed
from maps.session import Access
from maps.shell import BoundaryNote, Shell, build_shell
from maps.web import Operating, serve_wall
from streams.topics import Topics

#: 17:30 on an October afternoon in Cần Thơ.
NOON = datetime(2026, 10, 28, 10, 30, tzinfo=UTC)
TITLE = {"vi": "TRUNG TÂM ĐIỀU HÀNH – THỬ NGHIỆM", "en": "OPERATIONS CENTRE – TEST"}
NOTE = BoundaryNote(approximate=True, source="https://example.test/squares", licence="none", ref="squares@1")
#: Codes and names of the communes of `squares`; made up.
SQUARES = {f"9000{n}": f"Phường Thử {n}" for n in range(1, 10)}


def squares() -> dict[str, Any]:
    """Nine square communes of a tenth of a degree, in three rows."""
    features = []
    for index, (code, name) in enumerate(SQUARES.items()):
        west, south = 105.5 + 0.1 * (index % 3), 9.9 + 0.1 * (index // 3)
        ring = [
            [west, south],
            [west + 0.1, south],
            [west + 0.1, south + 0.1],
            [west, south + 0.1],
            [west, south],
        ]
        features.append(
            {
                "type": "Feature",
                "properties": {"code": code, "name": name, "label": [west + 0.05, south + 0.05]},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    return {"type": "FeatureCollection", "features": features}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def alert_record(id: str = "a1", **fields: Any) -> bytes:
    """A record of ioc.alerts: a severe open alert of a gauge in the first square, but for `fields`."""
    where = {"lon": 105.55, "lat": 9.95, "commune": "90001", "commune_name": "Phường Thử 1", "province": "92"}
    record = {
        "id": id,
        "sequence": 1,
        "change": "raised",
        "state": "open",
        "severity": "severe",
        "worst": "severe",
        "rule": "water-level",
        "rule_version": "1",
        "hazard": "flood",
        "title": {"vi": "Mực nước vượt mức báo động", "en": "Water level above a warning level"},
        "label": {"vi": "BĐ3", "en": "BĐ3"},
        "subject": "gauge-1",
        "subject_name": {"vi": "Trạm thử 1", "en": "Test gauge 1"},
        "where": where,
        "started": _text(NOON - timedelta(minutes=25)),
        "time": _text(NOON - timedelta(minutes=15)),
        "measure": "level_m",
        "unit": "m",
        "value": 2.04,
        "observed": _text(NOON - timedelta(minutes=15)),
        "bound": 2.0,
        "start_event": "e1",
        "event": "e2",
        "simulated": True,
    }
    return json.dumps({**record, **fields}).encode()


def located_record(source: str = "gauge-1", at: datetime = NOON, **fields: Any) -> bytes:
    """A record of ioc.located: a reading of a gauge in the first square, unless `fields` say otherwise."""
    record = {
        "id": f"{source}-{at.timestamp()}",
        "source": source,
        "time": _text(at),
        "stream": "flood",
        "lon": 105.55,
        "lat": 9.95,
        "level_m": 1.5,
        "place": {
            "outcome": "inside",
            "commune": "90001",
            "commune_name": "Phường Thử 1",
            "province": "92",
            "boundaries": "squares@1",
        },
    }
    return json.dumps({**record, **fields}).encode()


def report_record(id: str, text: str, at: datetime = NOON, **fields: Any) -> bytes:
    """A citizen's report as ioc.located holds it: without its reporter."""
    report = {
        "stream": "report",
        "id": id,
        "category": "flooded-street",
        "text": text,
        "lon": 105.65,
        "lat": 10.05,
    }
    return located_record("citizen-app", at, **{**report, **fields})


def passed_record(at: datetime = NOON, source: str = "flood/0", run: str = "", appended_ms: int = 0) -> bytes:
    """A record of ioc.signals that says how far a raw partition has come."""
    passed = {"kind": "passed", "source": source, "time": _text(at), "config": "c", "run": run}
    return json.dumps({**passed, "appended_ms": appended_ms}).encode()


def incident_record(id: str = "i1", **fields: Any) -> bytes:
    """A record of ioc.incidents: an open flood in the first square with the alert a1, but for `fields`."""
    began, now = _text(NOON - timedelta(minutes=25)), _text(NOON - timedelta(minutes=15))
    peak = {
        "since": began,
        "alerts": ["a1"],
        "subject": "gauge-1",
        "severity": "severe",
        "value": 2.04,
        "time": now,
    }
    record = {
        "id": id,
        "sequence": 1,
        "state": "open",
        "grouping": "tide",
        "hazard": "flood",
        "title": {"vi": "Triều cường", "en": "Spring tide"},
        "where": {"lon": 105.55, "lat": 9.95, "commune": "90001", "commune_name": "Phường Thử 1"},
        "communes": ["90001"],
        "severity": "severe",
        "worst": "severe",
        "started": began,
        "time": now,
        "members": [
            {"alert": "a1", "rule": "water-level", "subject": "gauge-1", "severity": "severe", "worst": "severe",
             "since": began},
        ],
        "peaks": [peak],
        "evidence": {"flood": 3},
        "simulated": True,
    }  # fmt: skip
    return json.dumps({**record, **fields}).encode()


def unpacked(
    readings: dict[str, Any],
) -> tuple[list[tuple[int, float | None, int]], list[tuple[int, float, float]]]:
    """What `maps.readings` packed: (number, value, seconds since 1970), and (number, longitude, latitude) in degrees.

    Numbers are taken one by one here: neither numpy nor a browser has a part in it.
    """
    read, moved = (base64.b64decode(readings[name], validate=True) for name in ("read", "moved"))
    count = len(read) // 10
    column = struct.unpack(f"<{count}i{count}f{count}H", read)
    seconds, values, numbers = column[:count], column[count : 2 * count], column[2 * count :]
    spoke = [
        (number, None if math.isnan(value) else round(value, 3), second + readings["base"])
        for number, value, second in zip(numbers, values, seconds, strict=True)
    ]
    count = len(moved) // 10
    column = struct.unpack(f"<{count}I{count}I{count}H", moved)
    easts, souths, numbers = column[:count], column[count : 2 * count], column[2 * count :]
    places = [
        (
            number,
            (east / 2**32 - 0.5) * 360,
            math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * south / 2**32)))),
        )
        for number, east, south in zip(numbers, easts, souths, strict=True)
    ]
    return spoke, places


def listed(
    source: str, interval: float | None = 60.0, commune: str | None = "90001", **fields: Any
) -> Listed:
    """A source of the inventory, in the first square."""
    known = {"name": {"vi": source, "en": source}, "kind": "water_level", "lon": 105.55, "lat": 9.95}
    return Listed(Source(id=source, interval=interval, **{"stream": "flood", **known, **fields}), commune)


def outcome_record(command: Command, **fields: Any) -> bytes:
    """A record of ioc.audit: the command was done, unless `fields` say otherwise."""
    return msgspec.json.encode(
        CommandOutcome(**{"command": command, "outcome": "done", "alert": command.alert, **fields})
    )


#: The password of everybody in `operators_file`.
PASSWORD = "mật khẩu thử"


@functools.cache
def _password_hash() -> str:
    return hash_password(PASSWORD)


def operators_file(directory: Path) -> OperatorsFile:
    """A file with one operator of each role, whose id is the role's name."""
    roles: tuple[Role, ...] = ("viewer", "operator", "supervisor")
    entries = [
        OperatorEntry(Operator(id=role, name=f"Nguyễn Văn {role.title()}", role=role), _password_hash())
        for role in roles
    ]
    path = directory / "operators.yaml"
    write_operators(path, entries)
    return OperatorsFile(path)


class Outbox:
    """Takes commands in the place of the log, and keeps them; `failure` is raised instead."""

    def __init__(self) -> None:
        self.sent: list[tuple[Command, int]] = []
        self.failure: Exception | None = None

    async def send(self, command: Command, partition: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append((command, partition))


def somewhere(lon: float, lat: float, time: datetime) -> Where | None:
    """A map on which everything lies in the first square."""
    return Where(lon=lon, lat=lat, commune="90001", commune_name="Phường Thử 1", province="92")


def operating(operators: OperatorsFile | None, outbox: Outbox, to_see: bool = False) -> Operating:
    """What a wall needs for commands, which land in the outbox. Two provinces are served."""
    topics = Topics.of(load_settings(provinces=["92", "93"]))
    return Operating(Access(operators, to_see=to_see), Desk(outbox, topics, somewhere))


def small_shell(drawing: dict[str, Any] | None = None, note: BoundaryNote = NOTE) -> Shell:
    """A page for a drawing, by default the squares."""
    return build_shell(drawing or squares(), note, TITLE)


class WallThread:
    """A real wall on a free port, in a thread, with a picture that the test feeds. A context manager.

    `stop` and `start` end the server and bring it back on the same port, the picture kept. What operators send lands
    in `outbox`.
    """

    def __init__(
        self, shell: Shell, operators: OperatorsFile | None = None, feeds: Feeds | None = None
    ) -> None:
        self.shell = shell
        self._feeds = feeds
        self.outbox = Outbox()
        self._operators = operators
        self.picture = Picture()
        self.port = 0
        #: Whether one signs in to see; set before it starts.
        self.to_see = False
        #: What the wall knows of the past; set before it starts.
        self.past: Past | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ticking = True
        self.passed = NOON

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        listening = threading.Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(self._serve(listening))
            except BaseException as error:
                failed.append(error)
                listening.set()

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        assert listening.wait(10), "the wall did not listen"
        if failed:
            raise failed[0]

    async def _serve(self, listening: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.live = Live(self.shell.page.tag)
        self.live.replace(self.picture)
        self.live.set_state("live")

        def on_listen(host: str, port: int) -> None:
            self.port = port
            listening.set()

        settings = load_settings(wall_port=self.port, host="127.0.0.1")
        ticks = asyncio.create_task(self._clock())
        its = operating(self._operators, self.outbox, self.to_see)
        await serve_wall(settings, self.shell, self.live, self._stop, on_listen, its, self._feeds, self.past)
        ticks.cancel()

    async def _clock(self) -> None:
        """Clock records, as a live system has them every second."""
        while True:
            if self._ticking:
                self.picture.apply_passed(passed_record(self.passed), time.time_ns() // 1_000_000)
                self.live.touch([])
            await asyncio.sleep(0.5)

    def silence(self) -> None:
        """No more clock records from now on."""
        self._ticking = False

    def feed(self, apply: Callable[[Picture], object]) -> None:
        """Apply records to the picture on the wall's own loop, and push what changed."""
        done = threading.Event()

        def work() -> None:
            apply(self.picture)
            self.live.touch([])
            done.set()

        self._loop.call_soon_threadsafe(work)
        assert done.wait(5)

    def feed_located(self, records: Iterable[bytes]) -> None:
        """Records of ioc.located, as `feed` does."""

        def apply(picture: Picture) -> None:
            for record in records:
                picture.apply_located(record)

        self.feed(apply)

    def feed_later(self, apply: Callable[[Picture], object]) -> None:
        """Apply records while the server is stopped."""
        assert not self._thread.is_alive()
        apply(self.picture)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
            assert not self._thread.is_alive(), "the wall did not end"

    def __enter__(self) -> WallThread:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def screenshots() -> Path:
    """Where tests leave pictures of the wall."""
    path = Path(__file__).parent.parent / "build" / "screenshots"
    path.mkdir(parents=True, exist_ok=True)
    return path
