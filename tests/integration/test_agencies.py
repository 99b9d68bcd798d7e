"""An agency's topic on a real broker: the subscriber, its commands, and the feeds over HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer

from alerts.agencies.messages import AgencyAlert, Heartbeat, Message
from alerts.rules.policy import Subscription
from ioc.commands.subscribe import follow
from ioc.settings import Settings
from maps.feeds import Feeds
from maps.live import Live
from maps.web import serve_wall
from streams.admin import ensure_agencies
from streams.topics import Topics
from tests import system
from tests import wallkit as kit
from tests.agencykit import START, alert, at, moved, subscription
from tests.conftest import Kafka
from tests.unit.alerts.test_addressing import Driver

ATOM = "{http://www.w3.org/2005/Atom}"


def write(settings: Settings, messages: Iterable[Message], commit: bool = True) -> None:
    """Messages into their agencies' topics, in one transaction as correlate does."""
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap, acks="all", transactional_id=f"{settings.topic_prefix}test"
    )
    producer.init_transactions()
    producer.begin_transaction()
    for message in messages:
        key = message.alert.id.encode() if isinstance(message, AgencyAlert) else None
        topic = Topics.of(settings).agency(message.agency).name
        producer.send(topic, key=key, value=msgspec.json.encode(message), partition=0)
    producer.flush()
    (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()


def story() -> list[Message]:
    """What an agency is told of two alerts, over a midnight: alert, alert, update, standing, cancel, heartbeats."""
    driver = Driver(subscription(heartbeat=timedelta(hours=1)))
    driver.change(one := alert("a"), at(0))
    driver.change(alert("b"), at(1))
    driver.change(one := moved(one, "escalated", severity="extreme"), at(2))
    driver.pass_to(at(60 * 8))
    driver.change(moved(one, "cleared"), at(60 * 8))
    return driver.messages


class Reading:
    """The subscriber in a thread: what it showed and said."""

    def __init__(
        self,
        settings: Settings,
        group: str,
        quiet: float = 60.0,
        then: Callable[[str], None] = lambda identifier: None,
    ) -> None:
        self.shown: list[str] = []
        self._then = then
        self.said: list[str] = []
        self._stop = threading.Event()
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            group_id=f"{settings.topic_prefix}{group}",
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._thread = threading.Thread(
            target=follow,
            args=(
                self._consumer,
                Topics.of(settings).agency("fire").name,
                self._show,
                self.said.append,
                self._stop,
                quiet,
            ),
            daemon=True,
        )

    def _show(self, message: AgencyAlert) -> None:
        self.shown.append(message.identifier)
        self._then(message.identifier)

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self._consumer.close()


def until(condition: Callable[[], bool], what: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@pytest.fixture
def agency(kafka: Any) -> Settings:
    """Settings under a prefix of their own, with the topic of one agency."""
    settings = kafka.settings()
    ensure_agencies(settings, ["fire"])
    return settings


def test_a_subscriber_sees_each_message_once_and_goes_on_where_it_stopped(agency: Settings) -> None:
    """Standing messages of what it knows, and what was never committed, are not shown; another group gets it all."""
    messages = story()
    write(agency, [AgencyAlert(**{**_fields(messages[0]), "identifier": "fire.never.1"})], commit=False)
    write(agency, messages)
    expected = ["fire.a.1", "fire.b.1", "fire.a.2", "fire.a.4"]
    with Reading(agency, "one") as reading:
        until(lambda: len(reading.shown) >= 4, lambda: reading.shown)
    assert reading.shown == expected
    late = [alert("c")]
    write(agency, Driver(subscription()).change(late[0], at(1000)))
    with Reading(agency, "one") as reading:
        until(lambda: bool(reading.shown), lambda: reading.shown)
    assert reading.shown == ["fire.c.1"]
    with Reading(agency, "two") as reading:
        until(lambda: len(reading.shown) >= 5, lambda: reading.shown)
    assert reading.shown == [*expected, "fire.c.1"]


def test_a_subscriber_says_when_the_heartbeats_stop(agency: Settings) -> None:
    """Once, and again when they come back."""
    write(agency, [Heartbeat(agency="fire", time=START)])
    with Reading(agency, "one", quiet=1.0) as reading:
        until(lambda: bool(reading.said), lambda: reading.said)
        assert "the channel may be dead" in reading.said[0]
        write(agency, [Heartbeat(agency="fire", time=at(1))])
        until(lambda: len(reading.said) > 1, lambda: reading.said)
        assert reading.said[1] == "heartbeats again"
    assert reading.shown == []


@pytest.mark.timeout(180)
def test_a_subscriber_outlives_the_broker(kafka: Kafka, agency: Settings) -> None:
    """The broker is killed before the position of what was shown is kept: the subscriber goes on when it is back."""
    sent = iter([alert("a"), alert("b"), alert("c")])
    killed = threading.Event()

    def tell() -> str:
        (message,) = Driver(subscription()).change(next(sent), START)
        write(agency, [message])
        return message.identifier

    def kill(identifier: str) -> None:
        if identifier == first:
            kafka.broker.kill()
            killed.set()

    first = tell()
    with Reading(agency, "one", then=kill) as reading:
        assert killed.wait(30), reading.said
        kafka.broker.start()
        kafka.broker.wait_ready()
        second = tell()
        until(lambda: second in reading.shown, lambda: (reading.shown, reading.said), 90)
    assert reading.shown == [first, second]
    third = tell()
    with Reading(agency, "one") as reading:
        until(lambda: bool(reading.shown), lambda: reading.said, 90)
    assert reading.shown == [third], "the position was kept"


def test_a_subscriber_says_that_another_has_the_topic(agency: Settings) -> None:
    """The second of a group reads nothing: it says so, and says when it has the topic after the first has gone."""
    topic = Topics.of(agency).agency("fire").name
    idle = f"nothing of {topic} was this reader's for 1 s: another reader of its group may have it"
    readings = [Reading(agency, "one", quiet=1.0) for _ in range(2)]
    with ExitStack() as leaving:
        leave = {one: leaving.enter_context(ExitStack()) for one in readings}
        for one in readings:
            leave[one].enter_context(one)
        until(lambda: any(idle in one.said for one in readings), lambda: [one.said for one in readings])
        spare, holder = sorted(readings, key=lambda one: idle not in one.said)
        leave[holder].close()
        until(lambda: f"{topic} is this reader's now" in spare.said, lambda: spare.said)


def ioc(
    settings: Settings, *arguments: str, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env=system.environment(settings),
        input=given,
        capture_output=True,
        timeout=60,
    )


def test_the_commands_print_what_the_agency_is_told(agency: Settings, tmp_path: Path) -> None:
    """`ioc subscribe`: a line or an object for each; `ioc cap`: the document, by identifier, alert or from a file."""
    write(agency, story())
    with system.running(agency, tmp_path) as processes:
        processes.start("lines", "subscribe", "fire", "--group", "lines")
        processes.start("json", "subscribe", "fire", "--group", "json", "--json")
        until(lambda: all(processes.log(one).count("\n") >= 4 for one in ("lines", "json")), processes.tails)
        lines, objects = processes.log("lines").splitlines(), processes.log("json").splitlines()
    assert lines[0].startswith("2026-10-28T16:20:00+07:00 alert fire.a.1 Mực nước")
    assert [json.loads(line)["identifier"] for line in objects] == [
        "fire.a.1",
        "fire.b.1",
        "fire.a.2",
        "fire.a.4",
    ]
    by_identifier = ioc(agency, "cap", "fire.a.4", "--agency", "fire")
    assert by_identifier.returncode == 0, by_identifier.stderr
    assert b"<msgType>Cancel</msgType>" in by_identifier.stdout
    assert b"ioc@localhost,fire.a.1,2026-10-28T16:20:00+07:00" in by_identifier.stdout
    assert ioc(agency, "cap", "a", "--agency", "fire").stdout == by_identifier.stdout
    assert ioc(agency, "cap", "--file", "-", given=objects[3].encode()).stdout == by_identifier.stdout


def test_a_wrong_name_says_what_there_is(agency: Settings) -> None:
    """An agency that is not there, or a message that was not sent, is told in two lines; nothing is created."""
    answer = ioc(agency, "subscribe", "police")
    assert answer.returncode == 2
    assert "there is no agency police here" in answer.stderr.decode()
    assert "known: fire" in answer.stderr.decode()
    answer = ioc(agency, "cap", "fire.x.1", "--agency", "fire")
    assert answer.returncode == 2
    assert "no message to fire is fire.x.1" in answer.stderr.decode()
    reader = KafkaConsumer(bootstrap_servers=agency.bootstrap)
    try:
        assert Topics.of(agency).agency("police").name not in reader.topics()
    finally:
        reader.close()


class Wall:
    """A wall with feeds, on a free port, in a thread."""

    def __init__(self, settings: Settings, subscriptions: list[Subscription]) -> None:
        self.subscriptions = subscriptions
        self._settings = settings
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        shell = kit.small_shell()

        def on_listen(host: str, port: int) -> None:
            self.url = f"http://{host}:{port}"
            self._ready.set()

        feeds = Feeds(self._settings, lambda: self.subscriptions)
        await serve_wall(self._settings, shell, Live(shell.page.tag), self._stop, on_listen, feeds=feeds)

    def __enter__(self) -> Wall:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


Answer = tuple[int, Mapping[str, str], bytes]


async def get(url: str, **headers: str) -> Answer:
    asked = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as client, client.get(url, headers=asked) as answer:
        return answer.status, answer.headers, await answer.read()


async def once(url: str, condition: Callable[[Answer], bool], seconds: float = 30) -> Answer:
    deadline = time.monotonic() + seconds
    while not condition(answer := await get(url)):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.1)
    return answer


async def test_feeds_and_documents_over_http(agency: Settings) -> None:
    """The feed has all messages with links that lead somewhere; ETags spare what is known; a new message comes in."""
    messages = story()
    write(agency, messages)
    with Wall(agency, [subscription()]) as wall:
        feed_url = f"{wall.url}/agencies/fire/feed.atom"
        status, headers, body = await once(feed_url, lambda answer: answer[0] == 200)
        assert headers["Content-Type"].startswith("application/atom+xml")
        assert headers["IOC-Heartbeat"] == "2026-10-29T00:00:00+07:00"
        entries = ET.fromstring(body).findall(f"{ATOM}entry")
        told = [one for one in messages if isinstance(one, AgencyAlert)]
        assert [entry.findtext(f"{ATOM}id") for entry in entries] == [
            f"urn:ioc:cap:{one.identifier}" for one in reversed(told)
        ]
        for entry in entries:
            link = entry.find(f"{ATOM}link")
            assert link is not None
            status, document_headers, document = await get(f"{wall.url}/agencies/fire/{link.get('href')}")
            assert status == 200
            assert document_headers["Content-Type"].startswith("application/cap+xml")
            assert ET.fromstring(document).tag.endswith("}alert")
        status, _, nothing = await get(feed_url, If_None_Match=headers["ETag"])
        assert (status, nothing) == (304, b"")
        write(agency, Driver(subscription()).change(alert("c"), at(1000)))
        status, newer, body = await once(feed_url, lambda answer: b"fire.c.1" in answer[2])
        assert newer["ETag"] != headers["ETag"]
        for path in ("police/feed.atom", "fire/cap/fire.x.1.xml", "fire/cap/..%2fx.xml"):
            assert (await get(f"{wall.url}/agencies/{path}"))[0] == 404


async def test_an_unread_topic_is_no_empty_feed(agency: Settings) -> None:
    """While a topic is not there yet its feed says that it cannot tell; it follows once the topic has been made."""
    with Wall(agency, [subscription(), subscription("army")]) as wall:
        await once(f"{wall.url}/agencies/fire/feed.atom", lambda answer: answer[0] == 200)
        status, headers, _ = await get(f"{wall.url}/agencies/army/feed.atom")
        assert (status, headers["Retry-After"]) == (503, "2")
        await asyncio.to_thread(ensure_agencies, agency, ["army"])
        await once(f"{wall.url}/agencies/army/feed.atom", lambda answer: answer[0] == 200)
        wall.subscriptions = [subscription("army")]
        await once(f"{wall.url}/agencies/fire/feed.atom", lambda answer: answer[0] == 404)
        await once(f"{wall.url}/agencies/army/feed.atom", lambda answer: answer[0] == 200)


def _fields(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__struct_fields__}
