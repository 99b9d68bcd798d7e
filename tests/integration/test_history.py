"""ioc.picture on a real broker: what it restores, what it costs to read, and the pages made from it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import pytest

from ioc.ports import free_port
from ioc.settings import Settings
from maps.history_feed import HistoryFeed, latest_events
from maps.picture import LOCAL
from streams.picturing import FRAME_PREFIX, decode_frame
from streams.topics import Topics
from tests.conftest import Kafka
from tests.planned import END, SCENARIO
from tests.system import ioc, read_all, running, until, wait_until_judged


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    return kafka.settings(
        inventory_file=SCENARIO / "inventory.yaml", state_dir=tmp_path / "state", wall_port=free_port()
    )


async def test_the_scenarios_day_can_be_seen_again(settings: Settings, tmp_path: Path) -> None:
    """After a day at full speed: the wall starts with every source, knows the day's minutes, and makes its pages."""
    topics = Topics.of(settings)
    with running(settings, tmp_path / "logs") as system:
        system.start("sense")
        system.start("correlate")
        system.start("replay", "replay", "can-tho-spring-tide", "--speed", "max", "--run", "r")
        wait_until_judged(system, END, 150)

        latest: dict[tuple[str, str], dict] = {}
        for record in read_all(settings, topics.located.name):
            event = json.loads(record.value)
            key = event["stream"], event["source"]
            if event["stream"] != "report" and (key not in latest or latest[key]["time"] <= event["time"]):
                latest[key] = event
        restored = {
            (event["stream"], event["source"]): event
            for event in map(json.loads, await latest_events(settings))
            if event["stream"] != "report"
        }
        assert restored.keys() == latest.keys()
        judged_later = [key for key in latest if restored[key]["time"] > latest[key]["time"]]
        assert judged_later == []

        frames = [
            decode_frame(record.value)
            for record in read_all(settings, topics.picture.name)
            if record.key.startswith(FRAME_PREFIX)
        ]
        minutes = [frame.time for frame in frames]
        assert minutes == sorted(set(minutes)), "each minute once, in order"
        assert len(minutes) >= 23 * 60

        feed = HistoryFeed(settings)
        await feed.fill()
        evening = datetime(2025, 10, 8, 18, 30, tzinfo=LOCAL)
        moment = feed.history.at(round(evening.timestamp() * 1000))
        assert moment is not None
        frame = next(frame for frame in frames if frame.time == evening)
        assert [(alert.id, alert.sequence) for alert in moment.alerts] == [
            (row.id, row.sequence) for row in frame.alerts
        ]
        assert all(alert.open for alert in moment.alerts)
        assert len(moment.alerts) > 5

        system.start("wall")
        base = f"http://127.0.0.1:{settings.wall_port}/api"

        def asked(path: str) -> dict | None:
            try:
                with urlopen(base + path, timeout=15) as answer:
                    return json.loads(answer.read())
            except OSError:
                return None

        at = f"/history/at?t={round(evening.timestamp() * 1000)}"
        then = until(lambda: asked(at), 40, system.tails)
        assert {alert["id"] for alert in then["alerts"]} == {alert.id for alert in moment.alerts}
        assert then["reports"], "citizens' reports of the half hour before"
        timeline = asked("/history")
        assert timeline is not None
        assert len(timeline["frames"]) == len(minutes)

        page, report = tmp_path / "page.html", tmp_path / "report.html"
        made = ioc(settings, "map", "snapshot", "--at", "2025-10-08T18:30", "-o", str(page))
        assert made.returncode == 0, made.stderr
        assert "18:30 08/10/2025" in page.read_text(encoding="utf-8")
        made = ioc(
            settings, "map", "report", "--shift", "2025-10-08T14:00..2025-10-08T22:00", "-o", str(report)
        )
        assert made.returncode == 0, made.stderr
        assert "Báo cáo giao ca" in report.read_text(encoding="utf-8")
        wrong = ioc(settings, "map", "snapshot", "--at", "2024-01-01T00:00", "-o", str(page))
        assert wrong.returncode == 2
        assert "the history goes from" in wrong.stderr
