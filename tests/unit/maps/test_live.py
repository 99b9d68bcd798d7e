"""What newcomers are told: one snapshot for all who come at once, and then what those are told who came before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from maps import live as module
from maps.live import Live, Viewer
from maps.picture import Picture
from tests import wallkit as kit


def waiting(viewer: Viewer) -> list[bytes]:
    """What a viewer has not taken yet."""
    messages = []
    while not viewer._queue.empty():
        message = viewer._queue.get_nowait()
        assert message is not None
        messages.append(message)
    return messages


def read(message: bytes) -> tuple[str, Any]:
    event, data = message.decode().strip().split("\n")
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def shown(messages: list[bytes]) -> set[str]:
    """The ids of the alerts that a page shows after these messages."""
    alerts: set[str] = set()
    for event, data in map(read, messages):
        if event == "snapshot":
            alerts = {alert["id"] for alert in data["alerts"]}
        elif event == "changes":
            alerts |= {alert["id"] for alert in data["alerts"] if alert["state"] == "open"}
            alerts -= {alert["id"] for alert in data["alerts"] if alert["state"] != "open"}
    return alerts


@pytest.fixture
async def live() -> Live:
    made = Live("tag")
    made.replace(Picture())
    made.set_state("live")
    made.picture.apply_alert(kit.alert_record("a1"), "a1")
    return made


async def test_two_hundred_that_come_at_once_cost_one_snapshot(live: Live) -> None:
    """After a restart all browsers come back in the same second: the picture is encoded once."""
    first = [waiting(live.join()) for _ in range(200)]
    assert len({id(messages[0]) for messages in first}) == 1
    assert all(read(messages[-1])[0] == "beat" for messages in first)


async def test_who_comes_a_little_later_knows_the_same(live: Live) -> None:
    """What happened since the shared snapshot is told behind it, in order."""
    early = live.join()
    live._flush()
    live.picture.apply_alert(kit.alert_record("a2"), "a2")
    live._flush()
    live.picture.apply_alert(kit.alert_record("a1", sequence=2, state="cleared", change="cleared"), "a1")
    live._flush()
    live._beat()
    late = live.join()
    told, later = waiting(early), waiting(late)
    assert shown(told) == shown(later) == {"a2"}
    assert later[0] is told[0]
    assert [read(message)[0] for message in later].count("beat") == 1


async def test_a_snapshot_grows_old(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two seconds the next newcomer gets one of its own, instead of ever more that was since."""
    early = live.join()
    live._flush()
    monkeypatch.setattr(module.time, "monotonic", lambda now=module.time.monotonic: now() + 2.1)
    live.picture.apply_alert(kit.alert_record("a2"), "a2")
    live._flush()
    late = live.join()
    messages = waiting(late)
    assert messages[0] is not waiting(early)[0]
    assert [read(message)[0] for message in messages] == ["snapshot", "beat"]
    assert shown(messages) == {"a1", "a2"}


async def test_nothing_is_missed_while_nobody_watches(live: Live) -> None:
    """Changes that were told to nobody are in the snapshot of the next who comes, however soon that is."""
    alone = live.join()
    live._flush()
    live.leave(alone)
    live.picture.apply_alert(kit.alert_record("a2"), "a2")
    live._flush()
    assert shown(waiting(live.join())) == {"a1", "a2"}


async def test_another_picture_is_shared_too(live: Live) -> None:
    """A feed that starts afresh shows its own to those who are there and to those who come."""
    early = live.join()
    other = Picture()
    other.apply_alert(kit.alert_record("b1"), "b1")
    live.replace(other)
    late = live.join()
    assert shown(waiting(early)) == shown(waiting(late)) == {"b1"}


async def test_a_report_from_outside_every_commune_is_shown(live: Live) -> None:
    """It lies in none, and whoever opens the wall sees it; once nobody could open the wall any more."""
    place = {"outcome": "outside", "boundaries": "squares@1"}
    viewer = live.join()
    waiting(viewer)
    live.picture.apply_located(kit.report_record("r1", "Ngập", place=place))
    live._flush()
    [report] = json.loads(live.snapshot())["reports"]
    assert (report["id"], report["commune"]) == ("citizen-app/r1", None)
    assert b"citizen-app/r1" in b"".join(waiting(viewer))
