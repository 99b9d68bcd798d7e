"""All that the log holds of one alert, looked up in its topics: for an explanation."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.structs import TopicPartition

from alerts.agencies.messages import AgencyAlert, Message
from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.conditions.subject import SourceState
from alerts.explain.facts import Facts, Reading
from alerts.model import Source
from alerts.rules.kinds import LadderRule, RateRule, Rule, SilenceRule
from ioc.errors import UserError
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.clients import client_arguments
from streams.configuration import CURRENT_KEY, ERROR_KEY, ConfigurationRecord, policy_of
from streams.inventory import parse_inventory
from streams.sensing import PARTITION_KEY, PartitionState
from streams.stopping import stop
from streams.topics import STREAMS, Topics

log = logging.getLogger(__name__)

_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_outcome = msgspec.json.Decoder(CommandOutcome).decode
_decode_message = msgspec.json.Decoder(Message).decode
_decode_configuration = msgspec.json.Decoder(ConfigurationRecord).decode


async def look_up(settings: Settings, name: str, reading: Callable[[str], None] | None = None) -> Facts:
    """The facts of the alert of this id, or of the only one whose id begins so.

    `reading` is called with each topic that is read. Raises `UserError` where there is no such alert, or more than
    one, and aiokafka's errors where Kafka does not answer.
    """
    topics = Topics.of(settings)
    async with _consumer(settings) as consumer:
        log_ = _Log(consumer, reading)
        changes = await _changes(log_, topics, name)
        alert = changes[-1]
        rules, sources = await _rules(log_, topics, changes)
        source, rule = sources.get(alert.subject), rules.get(alert.rule_version)
        state, now = await _state(log_, topics, alert, rule)
        return Facts(
            changes=changes,
            rules=rules,
            source=source,
            reading=_reading(state, rule) if alert.open else None,
            heard=state.time if state is not None else None,
            now=now,
            siblings=await _siblings(log_, topics, alert),
            outcomes=await _outcomes(log_, topics, alert.id),
            messages=await _messages(log_, topics, alert.id),
        )


class _Log:
    """Reads the committed records of topics, from the beginning to what is there now."""

    def __init__(self, consumer: AIOKafkaConsumer, reading: Callable[[str], None] | None) -> None:
        self._consumer, self._reading = consumer, reading

    async def names(self) -> set[str]:
        """The names of all topics."""
        return set(await self._consumer.topics())

    async def read(self, topic: str, partitions: int) -> AsyncIterator[ConsumerRecord]:
        """The records of a topic, partition by partition in their order."""
        if self._reading is not None:
            self._reading(topic)
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer.assign(tps)
        ends = await self._consumer.end_offsets(tps)
        for tp in tps:
            # The last offsets may be markers of transactions, which nobody is given: the position passes them.
            while await self._consumer.position(tp) < ends[tp]:
                for record in (await self._consumer.getmany(tp, timeout_ms=200)).get(tp, ()):
                    yield record


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await stop(consumer)


async def _changes(log_: _Log, topics: Topics, name: str) -> list[Alert]:
    topic = topics.alert_changes
    found: dict[str, list[Alert]] = {}
    async for record in log_.read(topic.name, topic.partitions):
        id_ = (record.key or b"").decode(errors="replace")
        if id_.startswith(name) and record.value is not None:
            with suppress(*UNDECODABLE):  # what no version of this program wrote is nobody's change
                change = _decode_alert(record.value)
                found.setdefault(id_, []).append(change)
    if not found:
        raise UserError(
            f"no alert is called {name}",
            topic.name,
            "see its id on the wall or in ioc.alerts; it may be under another IOC_TOPIC_PREFIX, or older than a year",
        )
    if name not in found and len(found) > 1:
        some = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")
        raise UserError(f"{len(found)} alerts are called {name}...", some, "give more of the id")
    return sorted(found.get(name) or next(iter(found.values())), key=lambda alert: alert.sequence)


async def _rules(
    log_: _Log, topics: Topics, changes: Iterable[Alert]
) -> tuple[dict[str, Rule], dict[str, Source]]:
    """The alert's rule by its versions; and the inventory of the last configuration with its latest version, else of
    the current one."""
    wanted = {(alert.rule, alert.rule_version): None for alert in changes}
    rules: dict[str, Rule] = {}
    inventory, latest = "", list(wanted)[-1]
    records: dict[bytes, bytes] = {}
    async for record in log_.read(topics.config.name, topics.config.partitions):
        if record.value is not None:
            records[record.key] = record.value
    records.pop(ERROR_KEY, None)
    current = records.pop(CURRENT_KEY, b"")
    # The current one last, for an inventory that goes on with the same rule is the better one.
    for hash_ in sorted(records, key=lambda key: key == current):
        configuration, found = _configuration(hash_, records[hash_])
        for rule in found:
            if (rule.id, rule.version) in wanted:
                rules[rule.version] = rule
                if (rule.id, rule.version) == latest and configuration is not None:
                    inventory = configuration.inventory
        if hash_ == current and not inventory and configuration is not None:
            inventory = configuration.inventory
    return rules, parse_inventory(inventory, "inventory") if inventory else {}


def _configuration(hash_: bytes, content: bytes) -> tuple[ConfigurationRecord | None, tuple[Rule, ...]]:
    """A configuration and its rules; none where another version of this program wrote it."""
    name = hash_.decode(errors="replace")
    try:
        configuration = _decode_configuration(content)
        return configuration, policy_of(configuration, f"rules of {name}").ruleset.rules
    except (*UNDECODABLE, UserError) as error:
        log.warning("configuration %s is not read: %s", name, error)
        return None, ()


async def _state(
    log_: _Log, topics: Topics, alert: Alert, rule: Rule | None
) -> tuple[SourceState | None, datetime | None]:
    """What sense keeps of the alert's source, and the time that its partition has come to."""
    stream = rule.stream if isinstance(rule, LadderRule | RateRule | SilenceRule) else None
    if rule is None and alert.evidence and alert.evidence[0].source == alert.subject:
        stream = alert.evidence[0].stream
    if stream not in STREAMS:
        return None, None
    topic, key = topics.raw_state[stream], alert.subject.encode()
    states: dict[int, bytes | None] = {}
    clocks: dict[int, datetime | None] = {}
    async for record in log_.read(topic.name, topic.partitions):
        if record.key == key:
            states[record.partition] = record.value
        elif record.key == PARTITION_KEY and record.value is not None:
            clocks[record.partition] = msgspec.json.decode(record.value, type=PartitionState).clock
    for partition, value in states.items():
        if value is not None:
            return msgspec.json.decode(value, type=SourceState), clocks.get(partition)
    return None, min((clock for clock in clocks.values() if clock is not None), default=None)


def _reading(state: SourceState | None, rule: Rule | None) -> Reading | None:
    """The last observation that the rule judged, as long as something of it stands."""
    if state is None:
        return None
    held = None
    if isinstance(rule, LadderRule):
        held = state.ladders.get(rule.id)
    elif isinstance(rule, RateRule) and rule.id in state.rates:
        held = state.rates[rule.id].ladder
    if held is None:
        return None
    return Reading(value=held.value, observed=held.observed, doubts=held.doubts)


async def _siblings(log_: _Log, topics: Topics, alert: Alert) -> list[Alert]:
    """Open alerts of the same incident, or in one of its communes, that are suppressed."""
    latest: dict[bytes, bytes | None] = {}
    async for record in log_.read(topics.alerts.name, topics.alerts.partitions):
        latest[record.key] = record.value
    found = []
    for value in latest.values():
        with suppress(*UNDECODABLE):
            found.append(_decode_alert(value or b""))
    area = set(alert.area)
    return sorted(
        (
            other
            for other in found
            if other.id != alert.id
            and other.open
            and other.suppressed
            and ((alert.incident and other.incident == alert.incident) or area & set(other.area))
        ),
        key=lambda other: (other.started, other.id),
    )


async def _outcomes(log_: _Log, topics: Topics, id_: str) -> list[CommandOutcome]:
    found = []
    async for record in log_.read(topics.audit.name, topics.audit.partitions):
        with suppress(*UNDECODABLE):
            outcome = _decode_outcome(record.value or b"")
            if id_ in (outcome.alert, outcome.command.alert):
                found.append(outcome)
    return found


async def _messages(log_: _Log, topics: Topics, id_: str) -> list[AgencyAlert]:
    """What was said on the topics of all agencies that there are, in the order of time."""
    prefix, found = topics.agency("").name, list[AgencyAlert]()
    for name in sorted(name for name in await log_.names() if name.startswith(prefix)):
        topic = topics.agency(name.removeprefix(prefix))
        async for record in log_.read(topic.name, topic.partitions):
            if record.key == id_.encode() and record.value is not None:
                with suppress(*UNDECODABLE):
                    message = _decode_message(record.value)
                    if isinstance(message, AgencyAlert):
                        found.append(message)
    return sorted(found, key=lambda message: message.sent)
