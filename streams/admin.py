"""The table of topics against a real cluster: make what is missing, name what differs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, for_code
from kafka.errors import TopicAlreadyExistsError as TopicExists

from ioc.errors import UserError
from ioc.settings import Settings
from streams.clients import client_arguments
from streams.reaching import refusal, unreachable
from streams.topics import Topic, Topics

log = logging.getLogger(__name__)

#: Seconds to go on trying a cluster that does not answer.
REACH_SECONDS = 15.0

#: The settings that decide what a topic keeps and how; others are the operator's own business.
_VERIFIED = ("cleanup.policy", "retention.ms", "message.timestamp.type")

#: Seconds in which every broker of a cluster must know of a new topic. What is said of one that is not there, and of
#: one whose settings a broker does not tell: it has not heard of it yet, or this user may not ask.
KNOWN_SECONDS, MISSING, UNTOLD = 30.0, ": missing", ": the broker does not tell its settings"

_OK, _EXISTS = 0, TopicExists.errno


def ensure_topics(settings: Settings) -> None:
    """Create the missing topics of the table, then verify all.

    Raises `UserError` where the cluster cannot be reached, refuses a topic, or has one that differs.
    """
    _ensure(settings, list(Topics.of(settings)))


def ensure_agencies(settings: Settings, agencies: Iterable[str]) -> None:
    """The same for the topics of these agencies. Raises what `ensure_topics` does."""
    topics = Topics.of(settings)
    table = [topics.agency(agency) for agency in agencies]
    if table:
        _ensure(settings, table)


def _ensure(settings: Settings, table: list[Topic]) -> None:
    with admin_client(settings) as admin:
        present = set(admin.list_topics())
        missing = [topic for topic in table if topic.name not in present]
        if missing:
            _create(admin, missing, settings)
        _require(_once_known(admin, table, settings, (MISSING, UNTOLD) if missing else (UNTOLD,)), settings)


def _once_known(
    admin: KafkaAdminClient, table: list[Topic], settings: Settings, passing: tuple[str, ...]
) -> list[str]:
    """What differs, once nothing does for a reason that passes: each broker of a cluster hears of a new topic a
    little later, and any of them may be asked."""
    until = time.monotonic() + KNOWN_SECONDS
    while True:
        lines = _mismatches(admin, table, settings)
        if time.monotonic() >= until or not any(line.endswith(passing) for line in lines):
            return lines
        Event().wait(0.2)


def verify_topics(settings: Settings) -> list[str]:
    """One line for each difference between the table and the cluster, naming topic, found and expected."""
    with admin_client(settings) as admin:
        return _once_known(admin, list(Topics.of(settings)), settings, (UNTOLD,))


def is_running(settings: Settings) -> bool:
    """Whether there is a cluster with this installation's topics; asks for a moment only."""
    try:
        admin = KafkaAdminClient(
            **client_arguments(settings), client_id="ioc-admin", bootstrap_timeout_ms=2000
        )
    except (KafkaError, OSError):
        return False
    try:
        return Topics.of(settings).config.name in admin.list_topics()
    finally:
        admin.close()


def require_topics(settings: Settings) -> None:
    """What a worker calls before it reads anything. Raises `UserError` that lists every difference."""
    _require(verify_topics(settings), settings)


def _create(admin: KafkaAdminClient, missing: list[Topic], settings: Settings) -> None:
    response = admin.create_topics(
        {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": settings.replication_factor,
                "configs": topic.settings(),
            }
            for topic in missing
        },
        raise_errors=False,
    )
    refused = [
        f"{result['name']}: {result.get('error_message') or for_code(result['error_code']).__name__}"
        for result in response["topics"]
        if result["error_code"] not in (_OK, _EXISTS)  # another process may have been quicker
    ]
    if refused:
        raise UserError(
            "the cluster refused to create topics",
            "; ".join(refused),
            "see IOC_REPLICATION_FACTOR, IOC_TOPIC_PREFIX and the rights of this user",
        )
    admin.wait_for_topics([topic.name for topic in missing])


def _mismatches(admin: KafkaAdminClient, table: list[Topic], settings: Settings) -> list[str]:
    # All topics are listed, since asking for one that is missing is an error (or would make it).
    present = {found["name"]: found for found in admin.describe_topics()}
    names = [topic.name for topic in table if topic.name in present]
    configs = _configs(admin, names)
    lines: list[str] = []
    for topic in table:
        if topic.name not in present:
            lines.append(f"{topic.name}{MISSING}")
            continue
        partitions = present[topic.name]["partitions"]
        copies = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
        if len(partitions) != topic.partitions:
            lines.append(_line(topic, "partitions", len(partitions), topic.partitions))
        if copies < settings.replication_factor:
            lines.append(_line(topic, "copies", copies, f"{settings.replication_factor} or more"))
        if not configs[topic.name]:
            lines.append(f"{topic.name}{UNTOLD}")
            continue
        expected = topic.settings()
        lines += [
            _line(topic, key, configs[topic.name].get(key), expected[key])
            for key in _VERIFIED
            if key in expected and configs[topic.name].get(key) != expected[key]
        ]
    return lines


def _configs(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    wanted = dict.fromkeys(_VERIFIED)
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, wanted) for name in names]
    if not resources:
        return {}
    found = admin.describe_configs(resources, config_filter="all")["topic"]
    return {name: {key: entry["value"] for key, entry in entries.items()} for name, entries in found.items()}


def _line(topic: Topic, what: str, found: object, expected: object) -> str:
    return f"{topic.name}: {what} is {found}, expected {expected}"


def _require(mismatches: list[str], settings: Settings) -> None:
    if mismatches:
        raise UserError(
            f"the topics on {settings.bootstrap} are not those of this installation",
            "\n".join(mismatches),
            "missing ones: ioc topics --create; settings that are not told: give this user the right to ask for "
            "them; others: restore the settings with which they were made, or take another IOC_TOPIC_PREFIX",
        )


@contextmanager
def admin_client(settings: Settings) -> Iterator[KafkaAdminClient]:
    """A connected client. Raises `UserError` where the cluster does not answer, for the block's requests too."""
    admin = _connect(settings)
    try:
        yield admin
    except KafkaError as error:
        raise unreachable(settings, error) from None
    finally:
        admin.close()


def _connect(settings: Settings) -> KafkaAdminClient:
    """A connected client, tried for `REACH_SECONDS`: a worker may start a moment before its broker."""
    until = time.monotonic() + REACH_SECONDS
    told = False
    while True:
        try:
            return KafkaAdminClient(
                **client_arguments(settings),
                client_id="ioc-admin",
                bootstrap_timeout_ms=max(500, int(1000 * min(3.0, until - time.monotonic()))),
                reconnect_backoff_max_ms=500,
            )
        except (KafkaError, OSError, ValueError) as error:
            if time.monotonic() >= until - 0.5 or isinstance(error, ValueError):
                raise unreachable(settings, error) from None
            if not told and settings.bootstrap_servers and (reason := refusal(settings)) is not None:
                raise reason from None
            if not told:
                log.info("no Kafka answers at %s yet; trying for %.0f s", settings.bootstrap, REACH_SECONDS)
                told = True
        Event().wait(0.2)
