"""A subscriber: hands over what stands on an agency's topic. The example for an agency's own client.

What matters in it: only committed records are read; the group's position is committed after a message has been
handed over, so that none is lost when this program ends in between (a last one may come twice); what is told again
without a change (`standing`) is handed over only where it is news here; and silence is noticed by the heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event
from time import monotonic

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError

from alerts.agencies.messages import AgencyAlert, Message
from alerts.believable import believed
from ioc.undecodable import UNDECODABLE

_decode = msgspec.json.Decoder(Message).decode


def follow(
    consumer: KafkaConsumer,
    show: Callable[[AgencyAlert], None],
    say: Callable[[str], None],
    stop: Event,
    quiet: float = 180.0,
) -> None:
    """Show each message of the topics that `consumer` has subscribed to, until `stop` is set.

    `say` is told when nothing, not even a heartbeat, has come for `quiet` seconds, and when something does again.
    """
    #: Of each alert that is open here, the identifiers of the messages that were shown.
    known: dict[str, set[str]] = {}
    heard: dict[TopicPartition, float] = {}
    dead = False
    while not stop.is_set():
        for partition, records in consumer.poll(timeout_ms=500).items():
            heard[partition] = monotonic()
            for record in records:
                try:
                    message = believed(_decode(record.value or b""))
                except UNDECODABLE as error:
                    say(f"{record.topic}/{record.partition}/{record.offset} is no message: {error}")
                    continue
                if isinstance(message, AgencyAlert) and is_news(message, known):
                    show(message)
            # Where the group gave the partition to another member meanwhile, that one reads them too.
            with suppress(CommitFailedError):
                consumer.commit()
        now = monotonic()
        silent = any(now - heard.setdefault(one, now) > quiet for one in consumer.assignment())
        if silent != dead:
            dead = silent
            say(f"no heartbeat for {quiet:g} s: the channel may be dead" if dead else "heartbeats again")


def is_news(message: AgencyAlert, known: dict[str, set[str]]) -> bool:
    """Whether a message tells something, after those before it, which `known` remembers by alert."""
    shown = known.setdefault(message.alert.id, set())
    if message.identifier in shown or (message.standing and shown):
        return False
    shown.add(message.identifier)
    if message.type == "cancel":
        del known[message.alert.id]
    return True
