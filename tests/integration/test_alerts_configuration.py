"""Configurations on a running system: an error changes nothing and is told, and what goes ends its alerts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from alerts.alert import Alert
from geo.boundaries import boundary_set
from geo.cache import present_set
from geo.files import write_boundaries
from geo.locate import Locator
from ioc.ports import free_port
from ioc.settings import Settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.conftest import Kafka
from tests.system import (
    Sources,
    System,
    alert_changes,
    ioc,
    read_all,
    running,
    told,
    until,
    wait_until_live,
)

RULE = """\
  - id: {id}
    title: {{vi: Ngập đường, en: Water on the street}}
    hazard: flood
    stream: flood
    measure: {measure}
    unit: m
    direction: above
    levels:
      - {{severity: minor, raise: {bound}, clear: 0.05}}
"""
SOURCE = """\
  - id: {id}
    stream: flood
    name: {{vi: Trạm thử, en: Test gauge}}
    kind: street_water
    lon: {lon}
    lat: {lat}
"""
#: Where the sources of these tests stand.
LON, LAT = 105.78, 10.03


def rule(id: str = "street-water", bound: float = 0.3, measure: str = "road_depth_m") -> str:
    return RULE.format(id=id, bound=bound, measure=measure)


def source(id: str, lon: float = LON, lat: float = LAT) -> str:
    return SOURCE.format(id=id, lon=lon, lat=lat)


class Files:
    """The installation's files, as an engineer edits them."""

    def __init__(self, directory: Path) -> None:
        self.rules, self.inventory = directory / "rules.yaml", directory / "inventory.yaml"
        self.subscriptions = directory / "subscriptions.yaml"

    def write_rules(self, *rules: str) -> None:
        self.rules.write_text("version: 1\nrules:\n" + "".join(rules), encoding="utf-8")

    def write_inventory(self, *sources: str) -> None:
        listed = "sources:\n" + "".join(sources) if sources else "sources: []\n"
        self.inventory.write_text(f"version: 1\n{listed}", encoding="utf-8")

    def write_subscriptions(self, **communes: str) -> None:
        """A subscription for each agency, to all communes or to one."""
        text = "version: 1\nagencies:\n"
        for agency, commune in communes.items():
            text += f"  - id: {agency}\n    name: {{vi: Cơ quan, en: Agency}}\n"
            text += f'    communes: ["{commune}"]\n' if commune else ""
        self.subscriptions.write_text(text, encoding="utf-8")


@pytest.fixture
def written(tmp_path: Path) -> Files:
    """One rule, no source, one agency."""
    written = Files(tmp_path)
    written.write_rules(rule())
    written.write_inventory()
    written.write_subscriptions(fire="")
    return written


@pytest.fixture
def settings(kafka: Kafka, written: Files, tmp_path: Path) -> Settings:
    return kafka.settings(
        state_dir=tmp_path / "state",
        wall_port=free_port(),
        clock_health_port=free_port(),
        rules_file=written.rules,
        inventory_file=written.inventory,
        subscriptions_file=written.subscriptions,
    )


def get(url: str) -> str:
    """What an address answers; empty while it does not."""
    try:
        with urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def error_metric(settings: Settings) -> str:
    """The clock's ioc_configuration_error, as it stands in its metrics."""
    answer = get(f"http://127.0.0.1:{settings.clock_health_port}/metrics")
    return "".join(line for line in answer.splitlines() if line.startswith("ioc_configuration_error "))


def shown_error(settings: Settings) -> Any:
    """What the wall's snapshot says of an error in the configuration; "" while the wall does not answer."""
    answer = get(f"http://127.0.0.1:{settings.wall_port}/api/snapshot")
    return json.loads(answer)["configuration_error"] if answer else ""


def start(system: System) -> None:
    for name in ("clock", "sense", "correlate", "wall"):
        system.start(name)
    wait_until_live(system)
    until(lambda: shown_error(system.settings) is None, 30, system.tails)


def changes_of(system: System, subject: str, number: int) -> list[Alert]:
    """Wait until there are so many changes of a subject's alerts; all of them."""

    def found() -> list[Alert] | None:
        changes = [alert for alert in alert_changes(system.settings) if alert.subject == subject]
        return changes if len(changes) >= number else None

    return until(found, 20, lambda: f"{alert_changes(system.settings)}\n{system.tails()}")


def wait_for_types(system: System, agency: str, types: list[str]) -> None:
    """Wait until an agency has been told so many messages, which must be of these types."""
    settings = system.settings
    until(lambda: len(told(settings, agency)) >= len(types), 20, system.tails)
    assert [message.type for message in told(settings, agency)] == types


def test_an_error_in_a_file_changes_nothing_until_it_is_mended(
    settings: Settings, written: Files, tmp_path: Path
) -> None:
    """The former rules judge on; log, metric and wall say what is wrong; mended, it holds from one clock record."""
    with running(settings, tmp_path / "logs") as system:
        start(system)
        sources = Sources(settings)
        assert error_metric(settings) == "ioc_configuration_error 0.0"
        [before] = {
            json.loads(record.value)["config"]
            for record in read_all(settings, raw(settings))
            if is_clock(record)
        }

        written.write_rules(rule(bound=0.1).replace("raise:", "rise:"))
        until(lambda: error_metric(settings) == "ioc_configuration_error 1.0", 20, system.tails)
        where = f"{written.rules}:11:"
        assert where in system.log("clock"), system.log("clock")
        fault = until(lambda: shown_error(settings), 20, system.tails)
        assert fault["where"].startswith(where)
        assert "`raise`" in fault["what"], fault

        # 0.2 m is nothing by the former bound; that 0.4 m raises shows that both were judged.
        sources.say("street-1", 0.2)
        sources.say("street-2", 0.4)
        [raised] = changes_of(system, "street-2", 1)
        assert (raised.change, raised.bound) == ("raised", 0.3)
        assert [alert.subject for alert in alert_changes(settings)] == ["street-2"]

        written.write_rules(rule(bound=0.1))
        until(lambda: error_metric(settings) == "ioc_configuration_error 0.0", 20, system.tails)
        until(lambda: shown_error(settings) is None, 20, system.tails)
        configs = until(lambda: switched(settings, before), 20, system.tails)
        assert len(configs) == 16
        assert len(set(configs.values())) == 1, "the same clock record in every raw partition"
        sources.say("street-1", 0.2)
        [raised] = changes_of(system, "street-1", 1)
        assert (raised.change, raised.bound) == ("raised", 0.1)
        sources.close()
        assert all(process.poll() is None for process in system.processes.values()), system.tails()


def raw(settings: Settings) -> str:
    return Topics.of(settings).raw["flood"].name


def is_clock(record: Any) -> bool:
    return bool(record.key == CLOCK_KEY)


def switched(settings: Settings, before: str) -> dict[tuple[str, int], tuple[str, str]] | None:
    """By raw partition the first clock record that names another configuration; None until all have one."""
    first: dict[tuple[str, int], tuple[str, str]] = {}
    for topic in Topics.of(settings).raw.values():
        for record in read_all(settings, topic.name):
            if is_clock(record) and (clock := json.loads(record.value))["config"] != before:
                first.setdefault((record.topic, record.partition), (clock["clock"], clock["config"]))
    return first if len(first) == 16 else None


def test_what_is_removed_ends_its_alerts(settings: Settings, written: Files, tmp_path: Path) -> None:
    """A rule, then a source is removed: each alert closes with its reason, and the agency gets a cancel."""
    written.write_rules(rule(), rule("salt", bound=1.0, measure="salinity_permille"))
    written.write_inventory(source("gauge-1"))
    with running(settings, tmp_path / "logs") as system:
        start(system)
        sources = Sources(settings)
        sources.say("gauge-1", 0.4)
        sources.say("street-1", 0.0, salinity_permille=2.0)
        changes_of(system, "gauge-1", 1)
        changes_of(system, "street-1", 1)
        wait_for_types(system, "fire", ["alert", "alert"])

        written.write_rules(rule())
        _, closed = changes_of(system, "street-1", 2)
        assert (closed.change, closed.reason) == ("closed", "rule-removed")
        wait_for_types(system, "fire", ["alert", "alert", "cancel"])
        assert told(settings, "fire")[-1].alert.id == closed.id

        written.write_inventory()
        _, closed = changes_of(system, "gauge-1", 2)
        assert (closed.change, closed.reason) == ("closed", "source-removed")
        wait_for_types(system, "fire", ["alert", "alert", "cancel", "cancel"])
        assert told(settings, "fire")[-1].alert.id == closed.id
        sources.close()
        assert all(process.poll() is None for process in system.processes.values()), system.tails()


def test_an_alert_follows_a_border_that_moves(settings: Settings, written: Files, tmp_path: Path) -> None:
    """It closes where the source was and names the commune where it goes on: each commune's agency hears its own."""
    present = present_set(["92"], settings.cache_dir)
    at = Locator(present).index(LON, LAT)
    here = present.communes[at]
    # Two communes change places: on the new map the same point lies in the other one.
    other = next(number for number in range(len(present.communes)) if number != at)
    there = present.communes[other]
    geometries = present.geometries.copy()
    geometries[[at, other]] = geometries[[other, at]]
    moved = boundary_set(
        id="moved",
        approximate=True,
        source="test",
        licence="none",
        communes=present.communes,
        geometries=list(geometries),
    )
    file = tmp_path / "moved.geojson"
    write_boundaries(moved, file)
    accept = [part for check in ("area", "displaced", "gap", "overlap") for part in ("--accept", check)]
    taken = ioc(settings, "boundaries", "import", str(file), "--id", "moved", "--approximate", *accept)
    assert taken.returncode == 0, taken.stdout + taken.stderr

    written.write_inventory(source("gauge-1"))
    written.write_subscriptions(all="", here=here.code, there=there.code)
    with running(settings, tmp_path / "logs") as system:
        start(system)
        sources = Sources(settings)
        sources.say("gauge-1", 0.4)
        [raised] = changes_of(system, "gauge-1", 1)
        assert raised.where.commune == here.code
        wait_for_types(system, "here", ["alert"])
        assert told(settings, "there") == []

        activated = ioc(settings, "boundaries", "activate", "moved")
        assert activated.returncode == 0, activated.stdout + activated.stderr
        _, closed, again = changes_of(system, "gauge-1", 3)
        assert (closed.id, closed.change, closed.reason) == (raised.id, "closed", "boundary-changed")
        assert closed.successor == there.code
        assert closed.where.commune == here.code, "it ends where it was"
        assert (again.change, again.where.commune, again.time) == ("raised", there.code, closed.time)
        assert again.id != raised.id
        assert again.where.boundaries.startswith("moved@")
        wait_for_types(system, "here", ["alert", "cancel"])
        wait_for_types(system, "there", ["alert"])
        wait_for_types(system, "all", ["alert", "cancel", "alert"])

        # Its end is told in the new commune alone.
        sources.say("gauge-1", 0.0)
        *_, cleared = changes_of(system, "gauge-1", 4)
        assert (cleared.id, cleared.change) == (again.id, "cleared")
        wait_for_types(system, "there", ["alert", "cancel"])
        wait_for_types(system, "here", ["alert", "cancel"])
        sources.close()
        assert all(process.poll() is None for process in system.processes.values()), system.tails()


def test_nothing_starts_under_a_wrong_file(settings: Settings, written: Files, tmp_path: Path) -> None:
    """With no configuration in force that could stay, the clock ends with the error, in two lines."""
    written.write_rules(rule().replace("severity: minor", "severity: mild"))
    answer = ioc(settings, "clock")
    assert answer.returncode == 2, answer.stderr
    said = answer.stderr.splitlines()
    assert len(said) == 2, answer.stderr
    assert f"{written.rules}:11:" in answer.stderr
    assert "mild" in answer.stderr
    clocks = [
        record for topic in Topics.of(settings).raw.values() for record in read_all(settings, topic.name)
    ]
    assert clocks == []
