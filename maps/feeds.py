"""The agencies' messages over HTTP: an Atom feed for each agency, and each message's CAP document.

    GET /agencies/AGENCY/feed.atom
    GET /agencies/AGENCY/cap/IDENTIFIER.xml

They are read from the agencies' topics; the last `KEPT` of each are held. Until a topic has been read once its feed
answers 503: a feed that lacks alerts would say that there are none. Which agencies there are follows the
configuration in force. The header IOC-Heartbeat has the time of the latest heartbeat: when it stands still, no news
is not good news.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from alerts.agencies import atom, cap
from alerts.agencies.messages import AgencyAlert, Heartbeat, Message
from alerts.believable import believed
from alerts.rules.policy import Subscription
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.clients import client_arguments
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Messages of each agency that are held.
KEPT = 200
#: Records of each partition that are read again at the start: more than a day of heartbeats and their transactions'
#: markers, so with the last midnight's telling all that is open.
TAIL = 5_000
RETRY_SECONDS = 1.0
#: Seconds between looks for topics that are not there yet.
LOOK_SECONDS = 3.0
#: Times in HTTP are whole seconds: what is younger than this has none, so that a message of the same second is not
#: missed by who asks for what was modified since.
SETTLED_SECONDS = 5.0
#: Seconds that the broker may take for an answer, and a consumer to stop.
ANSWER_SECONDS, STOP_SECONDS = 10.0, 0.7

_decode = msgspec.json.Decoder(Message).decode


@dataclass
class Channel:
    """What is held of one agency's topic."""

    #: By identifier, in the order in which they were sent.
    messages: dict[str, AgencyAlert] = field(default_factory=dict)
    #: When the broker appended the last of them.
    appended: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    #: Event time of the latest heartbeat.
    heartbeat: datetime | None = None

    def take(self, value: bytes, appended_ms: int) -> None:
        """A record of the topic. One that cannot be read is passed over."""
        try:
            message = believed(_decode(value))
        except UNDECODABLE as error:
            log.warning("a record of an agency's topic cannot be read: %s", error)
            return
        if isinstance(message, Heartbeat):
            self.heartbeat = max(message.time, self.heartbeat or message.time)
            return
        self.messages[message.identifier] = message
        self.appended = max(self.appended, datetime.fromtimestamp(appended_ms // 1000, UTC))
        # Of several provinces' partitions one may be read before another.
        in_order = sorted(self.messages.values(), key=lambda one: one.sent)
        self.messages = {one.identifier: one for one in in_order[-KEPT:]}


class Feeds:
    """The messages of all agencies that `subscriptions` names now."""

    def __init__(self, settings: Settings, subscriptions: Callable[[], Sequence[Subscription]]) -> None:
        self._settings, self._topics = settings, Topics.of(settings)
        self._subscriptions = subscriptions
        #: By agency; one whose topic has not been read to its end yet is not here.
        self.channels: dict[str, Channel] = {}

    @property
    def sender(self) -> str:
        return self._settings.cap_sender

    def subscription(self, agency: str) -> Subscription | None:
        """An agency's subscription; None where there is none."""
        return next((one for one in self._subscriptions() if one.agency == agency), None)

    async def run(self) -> None:
        """Follow the topics until cancelled. Trouble with the broker is said, and tried again."""
        said = ""
        while True:
            try:
                await self._session()
            except (KafkaError, OSError, TimeoutError) as error:
                detail = str(error) or type(error).__name__
                if detail != said:
                    log.warning("agencies' topics cannot be read, trying again: %s", detail)
                    said = detail
            await asyncio.sleep(RETRY_SECONDS)

    def _agencies(self) -> list[str]:
        return sorted(one.agency for one in self._subscriptions())

    async def _session(self) -> None:
        agencies = self._agencies()
        self.channels = {agency: one for agency, one in self.channels.items() if agency in agencies}
        if not agencies:
            return
        consumer = AIOKafkaConsumer(
            **client_arguments(self._settings),
            client_id="ioc-wall-feeds",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
                present = await consumer.topics()
            there = [agency for agency in agencies if self._topics.agency(agency).name in present]
            if there:
                await self._follow(consumer, there, agencies)
        finally:
            stopping = asyncio.ensure_future(consumer.stop())
            stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.wait({stopping}, timeout=STOP_SECONDS)
            stopping.cancel()

    async def _follow(self, consumer: AIOKafkaConsumer, there: list[str], agencies: list[str]) -> None:
        """Read the topics that are there, until other agencies are named or a topic is missing that may have come."""
        of = {
            TopicPartition(topic.name, number): agency
            for agency in there
            for topic in [self._topics.agency(agency)]
            for number in range(topic.partitions)
        }
        consumer.assign(list(of))
        async with asyncio.timeout(ANSWER_SECONDS):
            first = await consumer.beginning_offsets(list(of))
            ends = await consumer.end_offsets(list(of))
        for partition in of:
            consumer.seek(partition, max(first[partition], ends[partition] - TAIL))
        channels = {agency: Channel() for agency in there}
        missing, looked = set(of), time.monotonic()
        while self._agencies() == agencies:
            for partition, records in (await consumer.getmany(timeout_ms=500, max_records=500)).items():
                _take(channels[of[partition]], records)
            missing = {one for one in missing if await consumer.position(one) < ends[one]}
            for agency in there:
                if not any(of[partition] == agency for partition in missing):
                    self.channels[agency] = channels[agency]
            if len(there) < len(agencies) and time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                present = await consumer.topics()
                if any(self._topics.agency(one).name in present for one in agencies if one not in there):
                    return
            await asyncio.sleep(0)


def _take(channel: Channel, records: Sequence[Any]) -> None:
    for record in records:
        if record.value is not None:
            channel.take(record.value, record.timestamp)


_FEEDS: web.AppKey[Feeds] = web.AppKey("feeds", Feeds)


def add_feeds(app: web.Application, feeds: Feeds) -> None:
    """Serve them, and follow the topics while the application runs."""
    app[_FEEDS] = feeds
    app.add_routes(
        [
            web.get("/agencies/{agency}/feed.atom", _feed),
            web.get("/agencies/{agency}/cap/{identifier}.xml", _document),
        ]
    )
    app.cleanup_ctx.append(_following)


async def _following(app: web.Application) -> Any:
    task = asyncio.create_task(app[_FEEDS].run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _feed(request: web.Request) -> web.StreamResponse:
    subscription, channel = _channel(request)
    body = atom.atom_xml(subscription, list(channel.messages.values()))
    return _answer(request, body, atom.CONTENT_TYPE, channel)


async def _document(request: web.Request) -> web.StreamResponse:
    _, channel = _channel(request)
    message = channel.messages.get(request.match_info["identifier"])
    if message is None:
        raise web.HTTPNotFound
    body = cap.cap_xml(message, sender=request.app[_FEEDS].sender)
    return _answer(request, body, cap.CONTENT_TYPE, channel)


def _channel(request: web.Request) -> tuple[Subscription, Channel]:
    feeds, agency = request.app[_FEEDS], request.match_info["agency"]
    subscription = feeds.subscription(agency)
    if subscription is None:
        raise web.HTTPNotFound
    channel = feeds.channels.get(agency)
    if channel is None:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
    return subscription, channel


def _answer(request: web.Request, body: bytes, kind: str, channel: Channel) -> web.Response:
    tag = hashlib.sha256(body).hexdigest()[:20]
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if channel.heartbeat is not None:
        headers["IOC-Heartbeat"] = cap.local_time(channel.heartbeat)
    asked = request.if_none_match
    since = request.if_modified_since
    unchanged = (
        any(one.value in (tag, "*") for one in asked)
        if asked is not None
        else since is not None and channel.appended <= since
    )
    answer = (
        web.Response(status=304) if unchanged else web.Response(body=body, headers={"Content-Type": kind})
    )
    answer.headers.update(headers)
    if time.time() - channel.appended.timestamp() > SETTLED_SECONDS:
        answer.last_modified = channel.appended
    return answer
