"""From a raw event in Kafka to the page of a real browser, through every process."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer
from playwright.sync_api import expect

from geo.approximate import approximate_set
from streams.topics import Topics
from tests import wallkit as kit
from tests.browserkit import Browsing
from tests.conftest import Kafka
from tests.system import System, running

RULES = """\
version: 1
rules:
  - id: street-water
    title: {vi: Ngập đường, en: Water on the street}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: m
    direction: above
    levels:
      - {severity: severe, raise: 0.30, clear: 0.25}
"""

#: Seconds from the raw event to the page.
ALLOWED = 2.0


def wall_address(system: System) -> str:
    """The address as the wall prints it, once it does."""
    deadline = time.monotonic() + 30
    while (
        found := re.search(r"^wall: (http://127\.0\.0\.1:\d+/)$", system.log("wall"), re.MULTILINE)
    ) is None:
        assert time.monotonic() < deadline, system.tails()
        assert system.processes["wall"].poll() is None, system.tails()
        time.sleep(0.1)
    return found[1]


@pytest.mark.timeout(180)
def test_a_raw_event_is_on_the_page_within_two_seconds(
    kafka: Kafka, browsing: Browsing, tmp_path: Path
) -> None:
    """Five streets are flooded one after the other: each is in the list and on the map within two seconds.

    Under the live clock, and with no request to any other host.
    """
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    settings = kafka.settings(rules_file=rules)
    communes = approximate_set(["92"])
    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate", "wall"):
            system.start(name)
        page = browsing.page
        page.goto(wall_address(system))
        page.wait_for_selector("body.ready")
        expect(page.locator("#calm")).to_be_visible()
        # The clock on the page moves once every process passes the time on.
        expect(page.locator("#clock")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"), timeout=30_000)
        producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
        took = []
        for number in range(5):
            commune, shape = communes.communes[number * 20], communes.geometries[number * 20]
            point = shape.representative_point()
            event = {
                "id": f"e{number}",
                "source": f"street-{number}",
                "time": datetime.now(UTC).isoformat(),
                "lon": point.x,
                "lat": point.y,
                "road_depth_m": 0.4,
            }
            topic = Topics.of(settings).raw["flood"].name
            producer.send(topic, key=event["source"].encode(), value=json.dumps(event).encode()).get(10)
            sent = time.monotonic()
            row = page.locator("#alerts .alert.severe").filter(has_text=commune.name)
            expect(row).to_be_visible(timeout=20_000)
            took.append(time.monotonic() - sent)
            assert page.evaluate("window.wall.drawn().communes")[commune.code] == "severe"
        producer.close()
        page.screenshot(path=kit.screenshots() / "whole-path.png")
    assert max(took) < ALLOWED, f"seconds from raw event to page: {[round(seconds, 2) for seconds in took]}"
    assert browsing.errors == []
