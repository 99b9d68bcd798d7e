"""What correlate does with a chunk of ioc.signals: in the one order of time, to the alerts of its province.

Records of different raw partitions arrive in any order. They are held until the slowest raw partition has passed
their order time, then taken in the order of that time: so the outcome is the same however the partitions interleave
and wherever a chunk ends. What is held is part of the state, like all that `alerts.correlation` keeps.

A command that comes when its time has passed is taken where it stands in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from alerts.agencies.messages import AgencyAlert, Message
from alerts.alert import Alert
from alerts.believable import believed
from alerts.commands import Command, CommandOutcome
from alerts.correlation import Correlation
from alerts.incident import Incident
from alerts.model import AwareTime
from alerts.signals import Occurrence, Passed, Signal, Sums, Switch
from ioc.undecodable import UNDECODABLE
from streams.configuration import Configuration
from streams.decoding import RawRecord
from streams.picturing import MINUTE, Frame, frame_key, frame_of, minutes_between
from streams.topics import STREAMS, Topics
from streams.transactions import Effects

#: How long frames are kept unless a setting says otherwise, hours.
HISTORY_HOURS = 48

#: What a record of ioc.signals may have: what comes of it is several times as long, and no more than the broker takes
#: at once. Sense's and operators' records have a few thousand.
RECORD_BYTES = 100_000

FRONTIER_KEY = b"frontier"
CONFIG_KEY = b"config"
#: The last whole minute whose frame was written, or the one before the first.
FRAMED_KEY = b"framed"
_HELD = b"held|"
#: The order of a command that names no time: it is past, whatever time it is.
_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)

Record = Signal | Occurrence | Sums | Switch | Command
#: Order time, kind, and what makes it one of its kind.
Order = tuple[datetime, int, str]

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Record | Passed).decode
_decode_held = msgspec.json.Decoder(Record).decode


class InForce(Struct, frozen=True):
    """Which configuration and which run hold."""

    config: str
    run: str = ""


@dataclass
class Outcome:
    """What a chunk leads to: effects to commit, and what of it is counted."""

    effects: Effects = field(default_factory=Effects)
    #: Changes with the append time of the raw record that caused it, ms; None where no record did.
    changes: list[tuple[Alert, int | None]] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    unreadable: int = 0


class Correlating:
    """The alerts of one province: one partition of ioc.signals. `run` takes its chunks one after the other."""

    def __init__(
        self,
        partition: int,
        topics: Topics,
        restored: Mapping[bytes, bytes],
        *,
        history_hours: int = HISTORY_HOURS,
    ) -> None:
        """`restored` is the partition's state as earlier chunks wrote it; frames are kept for `history_hours`."""
        self.partition = partition
        self._topics, self._history_hours = topics, history_hours
        self._framed: datetime | None = None
        self._frames: list[Frame] = []
        #: Last time that each raw partition has passed, by `stream/number`.
        self.frontier: dict[str, datetime] = {}
        #: Records that some raw partition may still precede.
        self._held: dict[Order, Record] = {}
        self._expected = [f"{stream}/{n}" for stream in STREAMS for n in range(topics.raw[stream].partitions)]
        self.correlation = Correlation()
        self.in_force: InForce | None = None
        for key, value in restored.items():
            if key == FRONTIER_KEY:
                self.frontier = msgspec.json.decode(value, type=dict[str, AwareTime])
            elif key == CONFIG_KEY:
                self.in_force = msgspec.json.decode(value, type=InForce)
            elif key == FRAMED_KEY:
                self._framed = msgspec.json.decode(value, type=AwareTime)
            elif key.startswith(_HELD):
                record = _decode_held(value)
                self._held[_order(record)] = record
        #: Those of them that the state's log has.
        self._held_written = set(self._held)
        #: The rest of the state, until the configuration is at hand that it was made under.
        self._restored: Mapping[bytes, bytes] | None = restored

    @property
    def passed(self) -> datetime | None:
        """The time that every raw partition has passed; None until each has passed one."""
        if any(source not in self.frontier for source in self._expected):
            return None
        return min(self.frontier[source] for source in self._expected)

    def configurations_needed(self, records: Iterable[RawRecord]) -> list[str]:
        """Hashes of the configurations that these records need, in order."""
        needed = [self.in_force.config] if self.in_force else []
        switches = [record for record in self._held.values() if isinstance(record, Switch)]
        switches += [switch for record in records if (switch := _switch(record)) is not None]
        return list(dict.fromkeys([*needed, *(switch.config for switch in switches)]))

    def run(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> Outcome:
        """Process one chunk, with the state that it leads to: `work`, and what `write_state` adds."""
        out = self.work(records, configurations)
        self.write_state(out.effects)
        return out

    def work(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> Outcome:
        """Process one chunk. `configurations` holds those that `configurations_needed` named.

        Never raises for what a record holds: an unreadable one is counted. The state that it leads to is not among
        the effects: whoever commits some chunks together writes it once for all.
        """
        self._begin(configurations)
        out = Outcome()
        for record in records:
            try:
                message = _read(record)
            except UNDECODABLE:
                out.unreadable += 1
                continue
            if isinstance(message, Passed):
                before = self.frontier.get(message.source)
                self.frontier[message.source] = max(message.time, before) if before else message.time
                continue
            order, passed = _order(message), self.passed
            if isinstance(message, Command) and passed is not None and order[0] < passed:
                # It stands here in the log: what is complete up to here comes first.
                self._take_passed(passed, configurations)
                self.correlation.take(message, passed)
            else:
                self._held.setdefault(order, message)
        if (passed := self.passed) is not None:
            self._take_passed(passed, configurations)
        self._write(out)
        return out

    def _begin(self, configurations: Mapping[str, Configuration]) -> None:
        """Restore the alerts, once their configuration is at hand."""
        if self._restored is not None:
            policy = configurations[self.in_force.config].policy if self.in_force else None
            self.correlation.restore(self._restored, policy, self.in_force.run if self.in_force else "")
            self._restored = None

    def _take_passed(self, passed: datetime, configurations: Mapping[str, Configuration]) -> None:
        """Take what is held up to a time that every raw partition has passed."""
        at_once: list[Command] = []
        for order in sorted(order for order in self._held if order[0] < passed):
            record = self._held.pop(order)
            if not (isinstance(record, Command) and order[0] == _AT_ONCE):
                self._frame(order[0])
            if isinstance(record, Switch):
                self._switch(record, configurations)
            elif isinstance(record, Command) and order[0] == _AT_ONCE:
                at_once.append(record)  # it came before any time was known
            else:
                self.correlation.take(record, order[0])
        if self._framed is not None:
            self._frame(passed)
        self.correlation.pass_time(passed, beyond=False)
        for command in at_once:
            self.correlation.take(command, passed)

    def _frame(self, until: datetime) -> None:
        """The frames of the whole minutes up to a time: all that is before it was taken, nothing of it or after."""
        province, run = self._topics.provinces[self.partition], self.in_force.run if self.in_force else ""
        if self._framed is None:
            # Counted from the first record that is taken: what all partitions have passed depends on the chunks.
            self._framed = until
        if until - self._framed < MINUTE and until.minute == self._framed.minute:
            return  # most records: cheaper to see than to count minutes
        for minute in minutes_between(self._framed, until, self._history_hours):
            self.correlation.pass_time(minute, beyond=False)
            self._frames.append(frame_of(self.correlation, minute, province, run))
            self._framed = minute

    def _switch(self, switch: Switch, configurations: Mapping[str, Configuration]) -> None:
        in_force = InForce(switch.config, switch.run)
        if in_force != self.in_force:
            self.in_force = in_force
            configuration = configurations[switch.config]
            self.correlation.configure(configuration.policy, configuration.communes, switch.order, switch.run)

    # Writing

    def _write(self, out: Outcome) -> None:
        topics, effects = self._topics, self.correlation.take_effects()
        out.changes, out.incidents = effects.changes, effects.incidents
        out.messages, out.outcomes = effects.messages, effects.outcomes
        for alert, _ in effects.changes:
            key, value = alert.id.encode(), _encode(alert)
            self._add(out, topics.alert_changes.name, key, value)
            self._add(out, topics.alerts.name, key, value)
        for alert_id in effects.forgotten:
            self._add(out, topics.alerts.name, alert_id.encode(), None)
        for incident in effects.incidents:
            self._add(out, topics.incidents.name, incident.id.encode(), _encode(incident))
        for incident_id in effects.incidents_forgotten:
            self._add(out, topics.incidents.name, incident_id.encode(), None)
        for message in effects.messages:
            key_ = message.alert.id.encode() if isinstance(message, AgencyAlert) else None
            self._add(out, topics.agency(message.agency).name, key_, _encode(message))
        for outcome in effects.outcomes:
            self._add(out, topics.audit.name, outcome.command.id.encode(), _encode(outcome))
        frames, self._frames = self._frames, []
        for frame in frames:
            key, partition = frame_key(frame, self._history_hours), topics.frames_partition(self.partition)
            out.effects.add(topics.picture.name, partition, key, _encode(frame))

    def write_state(self, effects: Effects) -> None:
        """Add what has changed of the state since the last call, after the chunks that were worked on."""
        written = effects.records[self._topics.signals_state.name, self.partition]
        for order in sorted(self._held_written - self._held.keys()):
            written.append((_held_key(order), None))
        for order in sorted(self._held.keys() - self._held_written):
            written.append((_held_key(order), _encode(self._held[order])))
        self._held_written = set(self._held)
        written += self.correlation.tables.take_changes()
        if self.in_force is not None:
            written.append((CONFIG_KEY, _encode(self.in_force)))
        if self._framed is not None:
            written.append((FRAMED_KEY, _encode(self._framed)))
        # Always: a partition with a position but no state at all means that the state's log is gone.
        written.append((FRONTIER_KEY, _encode(self.frontier)))

    def _add(self, out: Outcome, topic: str, key: bytes | None, value: bytes | None) -> None:
        out.effects.add(topic, self.partition, key, value)


def _read(record: RawRecord) -> Record | Passed:
    """Raises what `UNDECODABLE` names."""
    value = record.value or b""
    if len(value) > RECORD_BYTES:
        raise msgspec.ValidationError(f"{len(value)} bytes are more than any record of ioc.signals has")
    return believed(_decode(value))


def _switch(record: RawRecord) -> Switch | None:
    # Most records are no switch: looking for the word is cheaper than decoding them twice.
    if b'"switch"' not in (record.value or b""):
        return None
    try:
        message = _read(record)
    except UNDECODABLE:
        return None
    return message if isinstance(message, Switch) else None


def _order(record: Record) -> Order:
    """Where a record stands among all: by time; a configuration before what it judges, commands last."""
    match record:
        case Switch():
            return record.order, 0, record.config
        case Signal():
            return record.order, 1, f"{record.rule}|{record.subject}|{record.number:012}"
        case Occurrence():
            time = f"{record.time.timestamp():017.6f}"
            return record.order, 2, f"{time}|{record.stream}|{record.source}|{record.event}"
        case Sums():
            minute = f"{record.minute.timestamp():012.0f}"
            return (
                record.order,
                3,
                f"{record.rule}|{minute}|{record.where.commune}|{record.partition}|{record.simulated}",
            )
        case Command():
            return record.time or _AT_ONCE, 4, record.id


def _held_key(order: Order) -> bytes:
    return _HELD + f"{order[0].timestamp():.6f}|{order[1]}|{order[2]}".encode()
