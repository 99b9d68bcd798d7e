"""The configuration that judges: rules, inventory and boundary set, under the hash of their content.

It is kept in ioc.config; a clock record names the one that holds from there on. So every worker judges a record
by the same configuration, however late it reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiokafka.structs import TopicPartition
from kafka import KafkaProducer
from msgspec import Struct

import alerts
from alerts.model import LadderRule, Source
from alerts.rules import parse_rules
from geo.boundaries import BoundarySet
from geo.cache import load_boundaries
from ioc.errors import UserError
from ioc.settings import Settings
from streams.inventory import parse_inventory
from streams.schemas import MEASURES
from streams.topics import Topics
from streams.transactions import read_latest, reader

log = logging.getLogger(__name__)

#: Key in ioc.config of the hash that clock records are to name from now on.
CURRENT_KEY = b"current"

DEFAULT_RULES = Path(alerts.__file__).parent / "rules" / "default.yaml"
EMPTY_INVENTORY = "version: 1\nsources: []\n"


class ConfigurationRecord(Struct, kw_only=True):
    """The record of ioc.config."""

    rules: str
    inventory: str
    #: `id@version` of the boundary set.
    boundaries: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


@dataclass(frozen=True)
class Configuration:
    """A configuration, checked and ready to judge by."""

    hash: str
    rules: tuple[LadderRule, ...]
    sources: dict[str, Source]
    #: `id@version` of the boundary set.
    boundaries: str

    @classmethod
    def of(cls, record: ConfigurationRecord, *, rules_name: str, inventory_name: str) -> Configuration:
        """Check a record. Raises `UserError` naming the file, line and reason; the names are for messages."""
        return cls(
            hash=record.hash,
            rules=parse_rules(record.rules, rules_name, MEASURES),
            sources=parse_inventory(record.inventory, inventory_name),
            boundaries=record.boundaries,
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot read a configuration file", f"{path}: {error}", "check the path") from None


def local_record(settings: Settings, boundaries: BoundarySet) -> ConfigurationRecord:
    """What this installation's files say. Raises `UserError` where one is missing or wrong."""
    rules = settings.rules_file or DEFAULT_RULES
    inventory = settings.inventory_file
    record = ConfigurationRecord(
        rules=_read(rules),
        inventory=_read(inventory) if inventory else EMPTY_INVENTORY,
        boundaries=boundaries.ref,
    )
    Configuration.of(record, rules_name=str(rules), inventory_name=str(inventory or "inventory"))
    return record


@dataclass(frozen=True)
class Published:
    """A configuration in ioc.config that was made the current one."""

    hash: str
    #: Offset of the record that made it so.
    offset: int


def publish_configuration(settings: Settings) -> Published:
    """Put this installation's configuration into ioc.config and make it the current one.

    Writing the same one again changes nothing: the topic is compacted and the key is the content's hash. Whoever
    writes clock records names it from its next one on. Not to be called on a running event loop.

    Raises `UserError` where a file is wrong, or where this log was begun with another boundary set: workers have
    one set at a time, so they could not judge what is in the log already.
    """
    boundaries = load_boundaries(settings.boundaries_file, settings.provinces, settings.cache_dir)
    record = local_record(settings, boundaries)
    others = asyncio.run(_boundaries_in_use(settings)) - {record.boundaries}
    if others:
        raise UserError(
            "this log was begun with another boundary set",
            f"prefix {settings.topic_prefix!r}: {', '.join(sorted(others))}; now {record.boundaries}",
            "take another IOC_TOPIC_PREFIX, or the former IOC_BOUNDARIES_FILE",
        )
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    try:
        topic, hash_ = Topics.of(settings).config.name, record.hash.encode()
        # First the content, then its name: who reads the one can read the other.
        producer.send(topic, key=hash_, value=msgspec.json.encode(record)).get(timeout=30)
        sent = producer.send(topic, key=CURRENT_KEY, value=hash_).get(timeout=30)
        return Published(record.hash, sent.offset)
    finally:
        producer.close()


async def _boundaries_in_use(settings: Settings) -> set[str]:
    """The boundary sets that the configurations in ioc.config name."""
    tp = TopicPartition(Topics.of(settings).config.name, 0)
    async with reader(settings.bootstrap, tp) as consumer:
        records = await read_latest(consumer, tp)
    return {
        msgspec.json.decode(value, type=ConfigurationRecord).boundaries
        for key, value in records.items()
        if key != CURRENT_KEY
    }


class Configurations:
    """The configurations that clock records name, read from ioc.config when first needed."""

    def __init__(self, settings: Settings, boundaries: BoundarySet) -> None:
        self._settings = settings
        self._boundaries = boundaries
        #: Those that were fetched, by hash.
        self.known: dict[str, Configuration] = {}
        # All partitions come upon a new one at about the same time: one of them reads it.
        self._fetching = asyncio.Lock()

    async def fetch(self, hash_: str) -> bool:
        """Make a configuration known; False where ioc.config does not hold it (yet).

        Raises `UserError` where it needs a boundary set that this worker does not have.
        """
        async with self._fetching:
            return hash_ in self.known or await self._fetch(hash_)

    async def _fetch(self, hash_: str) -> bool:
        tp = TopicPartition(Topics.of(self._settings).config.name, 0)
        async with reader(self._settings.bootstrap, tp) as consumer:
            value = (await read_latest(consumer, tp)).get(hash_.encode())
        if value is None:
            return False
        record = msgspec.json.decode(value, type=ConfigurationRecord)
        if record.boundaries != self._boundaries.ref:
            raise UserError(
                "another boundary set is in force",
                f"configuration {hash_} names {record.boundaries}, this worker has {self._boundaries.ref}",
                "start all processes with the same IOC_BOUNDARIES_FILE and IOC_PROVINCES",
            )
        # Parsing a large inventory takes a while: not on the loop that answers the broker.
        self.known[hash_] = await asyncio.to_thread(
            Configuration.of, record, rules_name=f"rules of {hash_}", inventory_name=f"inventory of {hash_}"
        )
        log.info(
            "configuration %s: %d rules, %d sources",
            hash_,
            len(self.known[hash_].rules),
            len(self.known[hash_].sources),
        )
        return True
