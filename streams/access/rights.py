"""What each party needs at Kafka, and no more: the rights that follow from what it does.

A right to write a topic includes seeing that it is there (Describe), and writing it without repetitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ioc.settings import Settings
from streams.topics import Topics

#: What a process, or a person with the command line, does: each needs rights of its own.
Task = Literal[
    "sense", "correlate", "clock", "replay", "wall",
    "command", "deadletters", "configure", "record", "inspect", "topics",
]  # fmt: skip

Resource = Literal["topic", "group", "transactional-id"]
Pattern = Literal["literal", "prefixed"]
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]


@dataclass(frozen=True, order=True)
class Right:
    """A user may do one thing to one resource, or to all whose name begins so."""

    user: str
    resource: Resource
    name: str
    pattern: Pattern
    operation: Operation

    def __str__(self) -> str:
        more = "..." if self.pattern == "prefixed" else ""
        return f"{self.user} may {self.operation} {self.resource} {self.name}{more}"


class Rights:
    """The rights of an installation's parties; names carry its topic prefix."""

    def __init__(self, settings: Settings) -> None:
        self._topics = Topics.of(settings)
        self._prefix = settings.topic_prefix
        self._own = f"{self._prefix}ioc."
        self._agencies = self._topics.agency("").name

    def of_source(self, user: str, streams: Iterable[str]) -> Iterator[Right]:
        """A source system writes the raw topics of its streams and reads nothing."""
        for stream in streams:
            yield from _topics(user, "Write", self._topics.raw[stream].name)

    def of_agency(self, user: str, agency: str) -> Iterator[Right]:
        """An agency reads its own topic, in groups whose names begin with its own (see `ioc subscribe`)."""
        yield from _topics(user, "Read", self._topics.agency(agency).name)
        group = f"{self._prefix}ioc-subscribe-{agency}"
        yield Right(user, "group", group, "literal", "Read")
        # Other programs of the same agency: a dot, so that `fire` has no right to the groups of `fire-service`.
        yield Right(user, "group", f"{group}.", "prefixed", "Read")

    def of_task(self, user: str, task: Task) -> Iterator[Right]:
        """What a process of this program needs for one of its tasks."""
        # Each checks the table of topics before it begins.
        yield Right(user, "topic", self._own, "prefixed", "Describe")
        yield Right(user, "topic", self._own, "prefixed", "DescribeConfigs")
        topics = self._topics
        raw = [topic.name for topic in topics.raw.values()]
        raw_state = [topic.name for topic in topics.raw_state.values()]
        config = topics.config.name
        match task:
            case "sense":
                yield from _topics(user, "Read", *raw, *raw_state, config)
                yield from _topics(user, "Write", *raw_state, topics.located.name, topics.signals.name)
                yield from _topics(user, "Write", topics.picture.name, topics.dead_letters.name)
                yield from self._worker(user, "sense")
            case "correlate":
                yield from _topics(user, "Read", topics.signals.name, topics.signals_state.name, config)
                yield from _topics(user, "Write", topics.signals_state.name, topics.alert_changes.name)
                yield from _topics(user, "Write", topics.alerts.name, topics.incidents.name)
                yield from _topics(user, "Write", topics.audit.name, topics.picture.name)
                yield Right(user, "topic", self._agencies, "prefixed", "Write")
                yield from self._worker(user, "correlate")
            case "clock" | "replay":
                yield from _topics(user, "Read", *raw)
                yield from _topics(user, "Write", *raw)
                yield from self._configuring(user)
                writer, pattern = ("ioc-clock", "literal") if task == "clock" else ("ioc-replay-", "prefixed")
                yield Right(user, "transactional-id", f"{self._prefix}{writer}", pattern, "Write")  # type: ignore[arg-type]
            case "wall":
                yield from _topics(user, "Read", *self._shown(), topics.signals.name, config)
                yield Right(user, "topic", self._agencies, "prefixed", "Read")
                yield from _topics(user, "Write", topics.signals.name)
            case "command":
                yield from _topics(user, "Read", topics.alerts.name, topics.signals.name, topics.audit.name)
                yield from _topics(user, "Read", config)
                yield from _topics(user, "Write", topics.signals.name)
            case "deadletters":
                yield from _topics(user, "Read", *raw, topics.dead_letters.name)
                yield from _topics(user, "Write", *raw, topics.dead_letters.name)
                yield Right(user, "transactional-id", f"{self._prefix}ioc-deadletters", "literal", "Write")
            case "configure":
                yield from self._configuring(user)
            case "record":
                yield from _topics(user, "Read", *raw, config)
            case "inspect":
                yield from _topics(user, "Read", *self._shown(), *raw_state, config)
                yield Right(user, "topic", self._agencies, "prefixed", "Read")
            case "topics":
                yield Right(user, "topic", self._own, "prefixed", "Create")

    def _shown(self) -> list[str]:
        """What people look at: nothing of it says who sent a report."""
        topics = self._topics
        return [
            topic.name
            for topic in (
                topics.located, topics.alert_changes, topics.alerts, topics.incidents, topics.audit, topics.picture,
            )
        ]  # fmt: skip

    def _worker(self, user: str, name: str) -> Iterator[Right]:
        group = f"{self._prefix}ioc-{name}"
        yield Right(user, "group", group, "literal", "Read")
        yield Right(user, "transactional-id", f"{group}:", "prefixed", "Write")

    def _configuring(self, user: str) -> Iterator[Right]:
        """Publish a configuration, and make the topics of the agencies that it names."""
        yield from _topics(user, "Read", self._topics.config.name)
        yield from _topics(user, "Write", self._topics.config.name)
        yield Right(user, "topic", self._agencies, "prefixed", "Create")


def _topics(user: str, operation: Operation, *names: str) -> Iterator[Right]:
    for name in names:
        yield Right(user, "topic", name, "literal", operation)
