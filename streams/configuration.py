"""The configuration that judges: rules, inventory and maps, under the hash of their content.

It is kept in ioc.config; a clock record names the one that holds from there on. So every worker judges a record
by the same configuration, however late it reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from aiokafka.structs import TopicPartition
from kafka import KafkaProducer
from msgspec import Struct

import alerts
from alerts.agencies.subscriptions import parse_subscriptions
from alerts.model import AwareTime, Source
from alerts.rules.kinds import Rule
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.policy import Operator, Policy
from alerts.rules.written import parse_rules
from geo.registry import Registry
from ioc.errors import UserError
from ioc.operators import parse_operators
from ioc.settings import Settings
from ioc.textfile import read_text
from ioc.undecodable import UNDECODABLE
from streams.admin import ensure_agencies
from streams.atlas import Atlas
from streams.clients import client_arguments
from streams.inventory import parse_inventory
from streams.schemas import MEASURES
from streams.shelf import Shelf, installed_registry, keep_used
from streams.topics import Topics
from streams.transactions import read_latest, reader

log = logging.getLogger(__name__)

#: Key in ioc.config of the hash that clock records are to name from now on.
CURRENT_KEY = b"current"
#: Key of a `ConfigurationFault`: the installation's files have an error, and the configuration in force stays.
ERROR_KEY = b"error"

DEFAULT_RULES = Path(alerts.__file__).parent / "rules" / "default.yaml"
EMPTY_INVENTORY = "version: 1\nsources: []\n"
#: What stands for a file of maintenance windows or subscriptions that an installation does not have.
NOTHING = "version: 1\n"


class Sheet(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A boundary set for its days, as a configuration names it."""

    #: `id@version`.
    ref: str
    #: First instant it holds, and first instant it no longer holds; None: since ever, without end.
    since: AwareTime | None = None
    until: AwareTime | None = None


class ConfigurationRecord(Struct, kw_only=True):
    """The record of ioc.config."""

    rules: str
    inventory: str
    #: The maps in the order of their days.
    boundaries: list[Sheet]
    maintenance: str = ""
    subscriptions: str = ""
    #: Who may give commands. Their passwords stand nowhere in the log.
    operators: list[Operator] = []

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


class ConfigurationFault(Struct, kw_only=True, frozen=True):
    """What is wrong with the installation's files."""

    #: When it was found, by the machine's clock.
    time: AwareTime
    what: str
    where: str
    remedy: str


@dataclass(frozen=True)
class Configuration:
    """A configuration, checked and ready to judge by."""

    hash: str
    policy: Policy
    sources: dict[str, Source]
    atlas: Atlas
    #: Hash of the inventory's content, which stays where other files change; empty: not known.
    inventory: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.policy.ruleset.rules

    @property
    def communes(self) -> frozenset[str]:
        """Codes of the communes of all its maps."""
        return frozenset(commune.code for sheet in self.atlas.registry.sets for commune in sheet.communes)

    @classmethod
    def of(
        cls, record: ConfigurationRecord, atlas: Atlas, *, rules_name: str, inventory_name: str
    ) -> Configuration:
        """Check a record, whose maps are in `atlas`.

        Raises `UserError` naming the file, line and reason; the names are for messages.
        """
        return cls(
            hash=record.hash,
            policy=policy_of(record, rules_name),
            sources=parse_inventory(record.inventory, inventory_name),
            atlas=atlas,
            inventory=hashlib.sha256(record.inventory.encode()).hexdigest()[:16],
        )


class MapMissing(UserError):
    """This machine does not have a boundary set that a configuration names."""

    def __init__(self, ref: str, hash_: str) -> None:
        super().__init__(
            f"boundary set {ref}",
            f"configuration {hash_} names it, it is not here",
            "see ioc boundaries import",
        )


def with_maps(
    record: ConfigurationRecord, shelf: Shelf, *, rules_name: str, inventory_name: str
) -> Configuration:
    """A configuration with its maps, ready to judge by; the names are said in errors.

    Raises `MapMissing` where this machine lacks one of its maps, and what `Configuration.of` does.
    """
    sheets = []
    for sheet in record.boundaries:
        if any(bound is not None and not 1800 <= bound.year < 3000 for bound in (sheet.since, sheet.until)):
            raise UserError(
                f"the days of boundary set {sheet.ref} cannot be reckoned with",
                f"{sheet.since} to {sheet.until}",
                "correct its dates",
            )
        found = shelf.find(sheet.ref)
        if found is None:
            raise MapMissing(sheet.ref, record.hash)
        sheets.append(replace(found, valid_from=sheet.since, valid_until=sheet.until))
    return Configuration.of(
        record, shelf.atlas(Registry(sheets)), rules_name=rules_name, inventory_name=inventory_name
    )


def policy_of(record: ConfigurationRecord, rules_name: str, **names: str) -> Policy:
    """All of a record that judges but the inventory and the maps, checked.

    `rules_name`, and `maintenance` and `subscriptions` where they are given, are said in errors. Raises `UserError`
    naming file, line and reason.
    """
    return Policy(
        ruleset=parse_rules(record.rules, rules_name, MEASURES),
        maintenance=parse_maintenance(record.maintenance or NOTHING, names.get("maintenance", "maintenance")),
        subscriptions=parse_subscriptions(
            record.subscriptions or NOTHING, names.get("subscriptions", "subscriptions")
        ),
        operators=tuple(record.operators),
    )


def configuration_files(settings: Settings) -> tuple[Path, ...]:
    """The files that make this installation's configuration, but for the boundaries."""
    files = (
        settings.rules_file or DEFAULT_RULES,
        settings.inventory_file,
        settings.maintenance_file,
        settings.subscriptions_file,
        settings.operators_file,
    )
    return tuple(path for path in files if path is not None)


def _read(path: Path) -> str:
    return read_text(path, "a configuration file")


def _operators(path: Path | None) -> list[Operator]:
    return [entry.operator for entry in parse_operators(_read(path), str(path))] if path else []


def local_record(settings: Settings, registry: Registry) -> ConfigurationRecord:
    """What this installation's files say, with these maps. Raises `UserError` where one is missing or wrong."""
    rules = settings.rules_file or DEFAULT_RULES
    inventory = settings.inventory_file
    record = ConfigurationRecord(
        rules=_read(rules),
        inventory=_read(inventory) if inventory else EMPTY_INVENTORY,
        boundaries=[
            Sheet(ref=sheet.ref, since=sheet.valid_from, until=sheet.valid_until) for sheet in registry.sets
        ],
        maintenance=_read(settings.maintenance_file) if settings.maintenance_file else "",
        subscriptions=_read(settings.subscriptions_file) if settings.subscriptions_file else "",
        operators=_operators(settings.operators_file),
    )
    policy_of(
        record,
        str(rules),
        maintenance=str(settings.maintenance_file),
        subscriptions=str(settings.subscriptions_file),
    )
    parse_inventory(record.inventory, str(inventory or "inventory"))
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

    Raises `UserError` where a file is wrong.
    """
    registry = installed_registry(settings)
    record = local_record(settings, registry)
    keep_used(settings, registry)
    agencies = parse_subscriptions(record.subscriptions or NOTHING, "subscriptions")
    ensure_agencies(settings, [subscription.agency for subscription in agencies])
    producer = KafkaProducer(**client_arguments(settings), acks="all")
    try:
        topic, hash_ = Topics.of(settings).config.name, record.hash.encode()
        # First the content, then its name: who reads the one can read the other.
        producer.send(topic, key=hash_, value=msgspec.json.encode(record)).get(timeout=30)
        sent = producer.send(topic, key=CURRENT_KEY, value=hash_).get(timeout=30)
        return Published(record.hash, sent.offset)
    finally:
        producer.close()


class Configurations:
    """The configurations that clock records name, read from ioc.config when first needed."""

    def __init__(self, settings: Settings, shelf: Shelf) -> None:
        self._settings, self._shelf = settings, shelf
        #: Those that were fetched, by hash.
        self.known: dict[str, Configuration] = {}
        # All partitions come upon a new one at about the same time: one of them reads it.
        self._fetching = asyncio.Lock()

    async def current(self) -> Configuration | None:
        """The one that clock records are to name now; None where none is published, or not all of it is here."""
        tp = TopicPartition(Topics.of(self._settings).config.name, 0)
        async with reader(self._settings, tp) as consumer:
            value = (await read_latest(consumer, tp)).get(CURRENT_KEY)
        if value is None:
            return None
        name = value.decode(errors="replace")
        if missing := await self.fetch(name):
            log.warning("the current configuration lacks %s", missing)
            return None
        return self.known[name]

    async def fetch(self, hash_: str) -> str:
        """Make a configuration known. Returns what is still missing for that, in words; empty where nothing is."""
        async with self._fetching:
            return "" if hash_ in self.known else await self._fetch(hash_)

    async def _fetch(self, hash_: str) -> str:
        tp = TopicPartition(Topics.of(self._settings).config.name, 0)
        async with reader(self._settings, tp) as consumer:
            value = (await read_latest(consumer, tp)).get(hash_.encode())
        if value is None:
            return f"configuration {hash_}, which ioc.config does not hold"
        try:
            record = msgspec.json.decode(value, type=ConfigurationRecord)
        except UNDECODABLE as error:
            return f"configuration {hash_}, for what ioc.config holds under that name is none: {error}"
        # Reading polygons and a large inventory takes a while: not on the loop that answers the broker.
        made = await asyncio.to_thread(self._make, record)
        if isinstance(made, str):
            return made
        self.known[hash_] = made
        log.info("configuration %s: %d rules, %d sources", hash_, len(made.rules), len(made.sources))
        return ""

    def _make(self, record: ConfigurationRecord) -> Configuration | str:
        try:
            return with_maps(
                record,
                self._shelf,
                rules_name=f"rules of {record.hash}",
                inventory_name=f"inventory of {record.hash}",
            )
        except MapMissing as missing:
            return f"{missing.what} of configuration {record.hash}: import it on this machine too"
        except UserError as error:
            # Whoever published it has checked it: so it was made by another version, or by nobody's program.
            return f"configuration {record.hash} in a form that can be used: {error}"
