"""The wall as it was: frames, the records that they name, and what sources had said by then."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.errors import KafkaConnectionError

from maps import history as module
from maps.history import GAP_MS, History, past_picture
from maps.live import Live
from maps.web import wall_app
from streams.picturing import Frame, FrameAlert
from tests import wallkit as kit

HOURS = 2


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def at(minute: float) -> datetime:
    return kit.NOON + timedelta(minutes=minute)


def frame(minute: int, *alerts: FrameAlert, province: str = "92", **more: Any) -> bytes:
    communes = {"90001": alerts[0].severity} if alerts else {}
    counts: dict[str, int] = {}
    for alert in alerts:
        counts[alert.severity] = counts.get(alert.severity, 0) + 1
    fields = {"communes": communes, "counts": counts, "alerts": list(alerts), **more}
    return msgspec.json.encode(Frame(time=at(minute), province=province, **fields))


def filled(*values: bytes) -> History:
    history = History(HOURS)
    for value in values:
        history.take_frame(value)
    return history


def test_a_moment_is_the_minute_before_it() -> None:
    """Between two minutes the former holds; before the first, and long after the last, nothing is known."""
    history = filled(frame(0), frame(1, FrameAlert("a1", 1, "severe")), frame(2))
    history.take_alert(kit.alert_record("a1"))
    for minute, alerts in ((0.5, []), (1, ["a1"]), (1.99, ["a1"]), (2, [])):
        moment = history.at(ms(at(minute)))
        assert moment is not None
        assert [alert.id for alert in moment.alerts] == alerts
    assert history.at(ms(at(-0.01))) is None
    assert history.at(ms(at(2)) + GAP_MS) is not None
    assert history.at(ms(at(2)) + GAP_MS + 1) is None


def test_an_alert_is_shown_as_it_stood() -> None:
    """The frame names the record: what came later is not in it."""
    history = filled(frame(0, FrameAlert("a1", 1, "minor")), frame(1, FrameAlert("a1", 2, "severe")))
    history.take_alert(kit.alert_record("a1", severity="minor", value=1.8))
    history.take_alert(kit.alert_record("a1", sequence=2, change="escalated", value=2.1))
    history.take_alert(kit.alert_record("a1", sequence=3, change="cleared", state="cleared"))
    stood = [history.at(ms(at(minute))).alerts[0] for minute in (0, 1)]  # type: ignore[union-attr]
    assert [(alert.severity, alert.value, alert.state) for alert in stood] == [
        ("minor", 1.8, "open"),
        ("severe", 2.1, "open"),
    ]


def test_where_the_record_is_gone_the_frame_says_what_it_knows() -> None:
    """Of an alert that changed before the records begin a later one is shown, open and with the severity of then."""
    history = filled(frame(0, FrameAlert("a1", 2, "minor")))
    history.take_alert(kit.alert_record("a1", sequence=5, change="cleared", state="cleared"))
    (alert,) = history.at(ms(at(0))).alerts  # type: ignore[union-attr]
    assert (alert.state, alert.severity) == ("open", "minor")
    assert filled(frame(0, FrameAlert("a9", 1, "minor"))).at(ms(at(0))).alerts == ()  # type: ignore[union-attr]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames by the hours, records by their number; a ring's old frame read late does not come back."""
    history = filled(*(frame(minute) for minute in range(HOURS * 60 + 30)))
    assert len(history) == HOURS * 60
    assert history.span == (ms(at(30)), ms(at(HOURS * 60 + 29)))
    history.take_frame(frame(3))
    assert history.span == (ms(at(30)), ms(at(HOURS * 60 + 29)))
    monkeypatch.setattr(module, "RECORDS_MAX", 10)
    for number in range(50):
        history.take_alert(kit.alert_record(f"a{number}"))
    assert history.alert("a49") is not None
    assert history.alert("a30") is None


def test_provinces_are_seen_together() -> None:
    """A minute has the alerts of all provinces; its row their sum."""
    history = filled(
        frame(0, FrameAlert("a1", 1, "severe"), alarms_10m=2),
        frame(0, FrameAlert("b1", 1, "severe"), province="93", alarms_10m=3),
    )
    for name in ("a1", "b1"):
        history.take_alert(kit.alert_record(name))
    assert {alert.id for alert in history.at(ms(at(0))).alerts} == {"a1", "b1"}  # type: ignore[union-attr]
    (row,) = history.timeline()["frames"]
    assert row[:6] == [ms(at(0)) // 60_000, 0, 2, 0, 0, 5]


def test_the_timeline_is_cut_by_its_ends() -> None:
    history = filled(*(frame(minute) for minute in range(10)))
    rows = history.timeline(ms(at(2)), ms(at(5)))["frames"]
    assert [row[0] - ms(at(0)) // 60_000 for row in rows] == [2, 3, 4, 5]
    assert History(HOURS).timeline() == {"first": None, "last": None, "communes": [], "frames": []}


def test_of_sources_and_reports_nothing_later_is_shown() -> None:
    """The latest reading up to the time, in whatever order they come; reports of half an hour."""
    moment = filled(frame(0)).at(ms(at(0)))
    assert moment is not None
    located = [
        kit.located_record("gauge-1", at(1), level_m=9.0),
        kit.located_record("gauge-1", at(-1), level_m=1.2),
        kit.located_record("gauge-1", at(-3), level_m=1.1),
        kit.located_record("gauge-2", at(5)),
        kit.report_record("old", "old", at(-31)),
        kit.report_record("new", "new", at(-29)),
        b"nonsense",
    ]
    picture = past_picture(moment, located)
    assert picture.event_ms == ms(at(0))
    assert [(sensor.id, sensor.value) for sensor in picture.sensors] == [("gauge-1", 1.2)]
    assert [report["text"] for report in picture.snapshot()["reports"]] == ["new"]


# Over HTTP


class Shelf:
    """A past in memory."""

    def __init__(self, history: History, *located: bytes) -> None:
        self.history, self._located = history, list(located)
        self.failure: Exception | None = None

    async def located(self, appended_ms: int) -> list[bytes]:
        if self.failure is not None:
            raise self.failure
        return self._located


@pytest.fixture
def past() -> Shelf:
    history = filled(frame(0), frame(1, FrameAlert("a1", 1, "severe")))
    history.take_alert(kit.alert_record("a1"))
    return Shelf(history, kit.located_record("gauge-1", at(0)))


@pytest.fixture
def app(past: Shelf) -> web.Application:
    return wall_app(kit.small_shell(), Live("tag"), past=past)


async def test_the_past_is_served_as_the_present_is(app: web.Application) -> None:
    """The same shape as the snapshot of now, so the page shows it by the same way; compressed where that is liked."""
    async with TestClient(TestServer(app)) as client:
        then = await (await client.get(f"/api/history/at?t={ms(at(1))}")).json()
        present = await (await client.get("/api/snapshot")).json()
        assert [alert["id"] for alert in then["alerts"]] == ["a1"]
        assert then["event_ms"] == ms(at(1))
        assert then["page"] == present["page"] == "tag"
        assert set(present) - set(then) <= {"server_ms", "silence_s", "state"}
        answer = await client.get("/api/history", headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
        assert answer.headers["Content-Encoding"] == "gzip"
        content = json.loads(gzip.decompress(await answer.read()))
        assert [row[1:6] for row in content["frames"]] == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]
        assert content["communes"] == ["90001"]
        assert content["frames"][1][6] == [0, 2]


async def test_details_of_the_past_are_of_the_past(app: web.Application, past: Shelf) -> None:
    """An alert and a source as they stood then, from one look at the log; what was not there yet is not found."""
    past.history.take_alert(kit.alert_record("a1", sequence=2, value=9.9))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get(f"/api/history/at?t={ms(at(1))}")).status == 200
        past.failure = KafkaConnectionError()  # whatever is asked for now is known already
        alert = await (await client.get(f"/api/history/alert?t={ms(at(1))}&id=a1")).json()
        assert (alert["sequence"], alert["value"]) == (1, 2.04)
        assert "said" not in alert
        source = await (await client.get(f"/api/history/source?t={ms(at(1))}&id=gauge-1")).json()
        assert source["event"]["level_m"] == 1.5
        for query in ("alert?t={t}&id=a2", "source?t={t}&id=x", "alert?t=1&id=a1", "alert?id=a1"):
            assert (await client.get(f"/api/history/{query.format(t=ms(at(1)))}")).status == 404, query


async def test_what_is_not_known_is_said(app: web.Application, past: Shelf) -> None:
    """404 for a time of which nothing is known, 400 for what is no time, 503 while the log does not answer."""
    async with TestClient(TestServer(app)) as client:
        for query, status in (
            ("", 404),
            ("?t=1", 404),
            ("?t=x", 400),
            (f"?t={'9' * 40}", 400),
            ("?t=-5", 400),
        ):
            assert (await client.get(f"/api/history/at{query}")).status == status, query
        past.failure = KafkaConnectionError()
        assert (await client.get(f"/api/history/at?t={ms(at(1))}")).status == 503


def test_the_timeline_of_two_days_is_small() -> None:
    """Two days of a busy city are some tens of kilobytes for the browser."""
    history = History(48)
    rows = [FrameAlert(f"alert-{n:032}", 3, "minor") for n in range(30)]
    for minute in range(48 * 60):
        history.take_frame(frame(minute, *rows))
    packed = gzip.compress(msgspec.json.encode(history.timeline()), 3)
    assert len(packed) < 60_000


def incident(minute: int, **fields: Any) -> bytes:
    """The last record of an incident: a1 from minute 0 on, a2 from minute 5, a high water that came in minute 8."""
    member = {"rule": "water-level", "subject": "gauge-1", "severity": "extreme", "worst": "extreme"}
    return kit.incident_record(
        "i1",
        severity="extreme",
        worst="extreme",
        state="closed",
        ended=at(20).isoformat(),
        time=at(minute).isoformat(),
        communes=["90001", "90002"],
        members=[
            {**member, "alert": "a1", "since": at(0).isoformat(), "until": at(20).isoformat()},
            {**member, "alert": "a2", "since": at(5).isoformat(), "until": at(20).isoformat()},
        ],
        peaks=[{"since": at(0).isoformat(), "until": at(20).isoformat(), "alerts": ["a1"], "subject": "gauge-1",
                "severity": "extreme", "value": 2.4, "time": at(8).isoformat()}],
        **fields,
    )  # fmt: skip


def test_an_incident_is_shown_as_it_stood() -> None:
    """Nothing that came later: neither members, nor the end, nor how high the water rose; the severity is of then."""
    first = frame(2, FrameAlert("a1", 1, "minor"))
    second = frame(9, FrameAlert("a1", 1, "minor"), FrameAlert("a2", 1, "severe"))
    history = filled(first, second)
    history.take_alert(kit.alert_record("a1", incident="i1", severity="minor", worst="minor"))
    where = {"lon": 105.65, "lat": 9.95, "commune": "90002", "commune_name": "Phường Thử 2", "province": "92"}
    history.take_alert(kit.alert_record("a2", incident="i1", where=where))
    assert history.at(ms(at(2))).incidents == (), "one that nothing is known of"  # type: ignore[union-attr]
    history.take_incident(incident(20))
    (early,), (late,) = (history.at(ms(at(minute))).incidents for minute in (2, 9))  # type: ignore[union-attr]
    assert (early.state, early.severity, early.ended) == ("open", "minor", None)
    assert [member.alert for member in early.members] == ["a1"]
    assert early.communes == ["90001"]
    assert [(peak.value, peak.until) for peak in early.peaks] == [(None, None)]
    assert (late.severity, late.communes) == ("severe", ["90001", "90002"])
    assert [(member.alert, member.severity, member.until) for member in late.members] == [
        ("a1", "minor", None),
        ("a2", "severe", None),
    ]
    assert [peak.value for peak in late.peaks] == [2.4]
    picture = past_picture(history.at(ms(at(9))), []).snapshot()  # type: ignore[arg-type]
    assert [one["id"] for one in picture["incidents"]] == ["i1"]


def test_incidents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that changed last stay, and one that cannot be read is counted."""
    monkeypatch.setattr(module, "INCIDENTS_MAX", 2)
    history = filled(frame(1, *(FrameAlert(f"a{n}", 1, "severe") for n in range(3))))
    for number in range(3):
        history.take_alert(kit.alert_record(f"a{number}", incident=f"i{number}"))
        history.take_incident(kit.incident_record(f"i{number}"))
    history.take_incident(b"{}")
    assert [one.id for one in history.at(ms(at(1))).incidents] == ["i1", "i2"]  # type: ignore[union-attr]
    assert history.bad == 1
