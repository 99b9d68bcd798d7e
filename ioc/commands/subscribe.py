"""A subscriber: hands over what stands on an agency's topic. The example for an agency's own client.

What matters in it: its place in the group is watched (`streams/membership.py`); only committed records are read; the
group's position is committed after a message has been handed over, so that none is lost when this program ends in
between (a last one may come twice); what is told again without a change (`standing`) is handed over only where it is
news here; and silence is noticed by the heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
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
    #: Of each alert that is open here, the identifiers of the messages that were shown.
    known: dict[str, set[str]] = {}
    #: When something came last, of each partition that is this reader's; and when any was.
    heard: dict[TopicPartition, float] = {}
    held = monotonic()
    dead = f"no heartbeat for {quiet:g} s: the channel may be dead"
    idle = f"nothing of {topic} was this reader's for {quiet:g} s: another reader of its group may have it"
    over = {dead: "heartbeats again", idle: f"{topic} is this reader's now"}
    told = ""
    handed = False
    while not stop.is_set():
        with suppress(RetriableError):  # the broker is away: the client looks for it, and tells the log
            place.keep()
            for partition, records in consumer.poll(timeout_ms=500).items():
                heard[partition] = monotonic()
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
        now = monotonic()
        heard = {one: heard.get(one, now) for one in consumer.assignment()}
        held = now if heard else held
        trouble = (
            dead if any(now - one > quiet for one in heard.values()) else idle if now - held > quiet else ""
        )
        if trouble != told:
            say(trouble or over[told])
            told = trouble


def is_news(message: AgencyAlert, known: dict[str, set[str]]) -> bool:
    """Whether a message tells something, after those before it, which `known` remembers by alert."""
    shown = known.setdefault(message.alert.id, set())
    if message.identifier in shown or (message.standing and shown):
        return False
    shown.add(message.identifier)
    if message.type == "cancel":
        del known[message.alert.id]
    return True
