"""A subscriber: hands over what stands on an agency's topic. The example for an agency's own client.

What matters in it: its place in the group is watched (`streams/membership.py`); only committed records are read; the
group's position is committed after a message has been handed over, so that none is lost when this program ends in
between (a last one may come twice); what is told again without a change (`standing`) is handed over only where it is
news here; and silence is noticed by the heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from threading import Event
from time import monotonic

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError, RetriableError

from alerts.agencies.messages import AgencyAlert, Message
from alerts.believable import believed
from ioc.undecodable import UNDECODABLE
from streams.membership import Membership

#: How long a commit of the position may take before the topic is looked at again.
COMMIT_MILLISECONDS = 5_000
#: Seconds before a broker that was away is asked again.
AGAIN_SECONDS = 0.5

_decode = msgspec.json.Decoder(Message).decode


def follow(
    consumer: KafkaConsumer,
    topic: str,
    show: Callable[[AgencyAlert], None],
    say: Callable[[str], None],
    stop: Event,
    quiet: float = 180.0,
) -> None:
    """Show each message of a topic, in the group of `consumer`, until `stop` is set.

    `say` is told when nothing, not even a heartbeat, has come for `quiet` seconds, and when something does again; and
    when for so long no part of the topic was this reader's.
    """
    place = Membership(consumer, topic)
    channel = Channel(topic, quiet, monotonic())
    #: Of each alert that is open here, the identifiers of the messages that were shown.
    known: dict[str, set[str]] = {}
    handed = False
    while not stop.is_set():
        try:
            place.keep()
            for partition, records in consumer.poll(timeout_ms=500).items():
                channel.heard(partition, monotonic())
                handed = True
                for record in records:
                    try:
                        message = believed(_decode(record.value or b""))
                    except UNDECODABLE as error:
                        say(f"{record.topic}/{record.partition}/{record.offset} is no message: {error}")
                        continue
                    if isinstance(message, AgencyAlert) and is_news(message, known):
                        show(message)
            if handed:
                # Where the group gave the partition to another member meanwhile, that one reads them too.
                with suppress(CommitFailedError):
                    consumer.commit(timeout_ms=COMMIT_MILLISECONDS)
                handed = False
        except RetriableError:
            stop.wait(AGAIN_SECONDS)  # the broker is away: the client looks for it, and tells the log
        if changed := channel.changed(consumer.assignment(), monotonic()):
            say(changed)


class Channel:
    """Whether a topic is alive for a reader, told once whenever that changes. All times in seconds, monotonic."""

    def __init__(self, topic: str, quiet: float, now: float) -> None:
        self._quiet = quiet
        #: When something came last, of each partition that is the reader's; and when any was.
        self._heard: dict[TopicPartition, float] = {}
        self._held = now
        self._dead = f"no heartbeat for {quiet:g} s: the channel may be dead"
        self._idle = (
            f"nothing of {topic} was this reader's for {quiet:g} s: another reader of its group may have it"
        )
        self._over = {self._dead: "heartbeats again", self._idle: f"{topic} is this reader's now"}
        self._told = ""

    def heard(self, partition: TopicPartition, now: float) -> None:
        """Something came, if only a heartbeat."""
        self._heard[partition] = now

    def changed(self, mine: Collection[TopicPartition], now: float) -> str:
        """What to say of it, with `mine` the partitions that are the reader's; empty where nothing has changed."""
        self._heard = {one: self._heard.get(one, now) for one in mine}
        if mine:
            self._held = now
        trouble = ""
        if any(now - heard > self._quiet for heard in self._heard.values()):
            trouble = self._dead
        elif now - self._held > self._quiet:
            trouble = self._idle
        if trouble == self._told:
            return ""
        before, self._told = self._told, trouble
        return trouble or self._over[before]


def is_news(message: AgencyAlert, known: dict[str, set[str]]) -> bool:
    """Whether a message tells something, after those before it, which `known` remembers by alert."""
    shown = known.setdefault(message.alert.id, set())
    if message.identifier in shown or (message.standing and shown):
        return False
    shown.add(message.identifier)
    if message.type == "cancel":
        del known[message.alert.id]
    return True
