"""Every setting of the program, declared once, with its meaning and its default.

A setting `name` is read from the environment as `IOC_NAME`. Settings are frozen: a process starts with one
set of them and keeps it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ioc.errors import UserError


class Settings(BaseSettings):
    """What an installation chooses. Durations are in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="IOC_", frozen=True, extra="ignore", env_ignore_empty=True)

    # The broker
    bootstrap_servers: str = Field(
        "",
        description="Kafka to use, as host:port,host:port. Empty: the embedded broker on loopback.",
    )
    broker_port: int = Field(19092, description="Port of the embedded broker for clients.")
    broker_controller_port: int = Field(19093, description="Port of the embedded broker's controller.")
    broker_heap_mb: int = Field(512, ge=128, description="Java heap of the embedded broker, in MiB.")
    replication_factor: int = Field(1, ge=1, description="Copies of each topic; 3 on a cluster of three.")
    broker_outside: str = Field(
        "",
        pattern=r"^([^\s:/,]+:\d{1,5})?$",
        description="host:port at which other machines reach the embedded broker, with TLS, a user and a password. "
        "Empty: this machine only, without.",
    )
    broker_tls_file: Path | None = Field(
        None, description="PEM file with the key (PKCS #8) and the certificates for IOC_BROKER_OUTSIDE."
    )

    # Access to the Kafka that IOC_BOOTSTRAP_SERVERS names
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How Kafka is spoken to, as it calls it: SASL_SSL is TLS with a password."
    )
    kafka_ca_file: Path | None = Field(
        None, description="PEM file of the authority behind Kafka's certificates. Empty: the system's own."
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="How the password is proven."
    )
    kafka_user: str = Field("", description="User at Kafka: what this process may do there follows from it.")
    kafka_password: SecretStr | None = Field(
        None, description="The user's password; rather IOC_KAFKA_PASSWORD_FILE."
    )
    kafka_password_file: Path | None = Field(None, description="File whose first line is the password.")

    # Files
    state_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_state_dir("ioc")),
        description="What must survive a restart: the embedded broker's log, imported boundaries.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("ioc")),
        description="What can be fetched or computed again: the broker's artifacts, boundary sets.",
    )

    # What is processed
    topic_prefix: str = Field(
        "",
        pattern=r"^([A-Za-z0-9_-]+\.)*$",
        description="Put before every topic, group and transaction name, such as 'demo.'; lets a live system "
        "and a replay share a cluster without touching.",
    )
    provinces: list[str] = Field(
        default=["92"],
        min_length=1,
        description="Official codes of the provinces served, as a JSON list; each has its own partition of "
        "ioc.signals. Fixed at installation.",
    )
    raw_partitions: int = Field(
        4, ge=1, description="Partitions of each raw topic; sense scales by them. Fixed at installation."
    )
    boundaries_file: Path | None = Field(
        None,
        description="GeoJSON of communes. Empty: the approximate set, which is called so wherever it shows.",
    )
    rules_file: Path | None = Field(None, description="Rules in YAML. Empty: the rules that ship.")
    inventory_file: Path | None = Field(
        None, description="Inventory of fixed sources in YAML. Empty: an inventory without sources."
    )
    maintenance_file: Path | None = Field(
        None, description="Maintenance windows in YAML, in which alerts are suppressed. Empty: none."
    )
    subscriptions_file: Path | None = Field(
        None, description="Agencies' subscriptions in YAML. Empty: no agency is told."
    )
    operators_file: Path | None = Field(
        None, description="Operators and their passwords' hashes in YAML. Empty: nobody may give commands."
    )
    privacy_dir: Path | None = Field(
        None,
        description="Folder of the keys of citizens who report, on the machine that seals. Empty: `privacy` in "
        "IOC_STATE_DIR.",
    )
    identity_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="For so many days it can be read who sent a report, and a week longer at most; then `ioc privacy "
        "expire` erases the key.",
    )
    cap_sender: str = Field(
        "ioc@localhost",
        pattern=r"^[^\s,<&]+$",
        description="Sender of CAP documents, unique in the world, such as ioc@ your domain; no change while "
        "alerts are open.",
    )

    border_width: float = Field(
        50.0,
        ge=0,
        le=1000,
        description="Within so many metres of a commune's border an event also names the neighbour; 0: never.",
    )

    # Time
    future_tolerance: float = Field(
        300.0, ge=0, description="How far after the last clock record an event may be; beyond: dead letter."
    )
    late_bound: float = Field(
        3600.0,
        ge=0,
        description="How far before the last clock record an event is still judged; beyond: only kept.",
    )
    source_quota: int = Field(
        6000,
        ge=1,
        description="How many events of one source are judged in a minute of their own time; beyond: only kept.",
    )

    history_hours: int = Field(
        48,
        ge=1,
        le=168,
        description="How many hours back the wall can be seen as it was; 168 at most.",
    )

    # Workers
    session_timeout: float = Field(
        10.0, ge=1, description="How long the broker waits for a silent worker before its partitions move."
    )
    chunk_records: int = Field(1000, ge=1, description="At most so many records of one partition in a chunk.")
    transport: Literal["chunks", "records"] = Field(
        "chunks",
        description="How Faust hands records over: in chunks, or one by one (`records`) as it does by itself, with "
        "the same results and much slower.",
    )
    shutdown_grace: float = Field(
        8.0, ge=1, description="How long a process may take to end after SIGTERM before it ends itself."
    )

    # Addresses
    host: str = Field("127.0.0.1", description="Address that the wall and the health servers listen on.")
    wall_host: str = Field("", description="Address that the wall listens on. Empty: as IOC_HOST.")
    wall_tls_file: Path | None = Field(
        None, description="PEM file with the key and the certificates of the wall, which then speaks HTTPS."
    )
    wall_proxies: list[str] = Field(
        default=[],
        description="Addresses or networks of the proxies that speak HTTPS before the wall, as a JSON list; it then "
        "answers them alone, and believes their X-Forwarded headers.",
    )
    wall_sign_in: Literal["to-act", "to-see"] = Field(
        "to-act",
        description="What one signs in for at the wall: to give commands, or to see anything at all.",
    )
    wall_reach: Literal["guarded", "anybody"] = Field(
        "guarded",
        description="guarded: beyond loopback the wall asks for HTTPS or proxies, and to sign in to see. anybody: "
        "for nothing; only where the network lets nobody else near, as in a container.",
    )
    wall_title: str = Field("", description="Heading of the wall. Empty: made from the province's name.")
    wall_port: int = Field(8090, ge=0, le=65535, description="Port of the wall; 0 takes a free one.")
    sense_health_port: int = Field(
        9101, ge=0, le=65535, description="Metrics and health of sense; 0: a free one."
    )
    correlate_health_port: int = Field(9102, ge=0, le=65535, description="The same of correlate.")
    clock_health_port: int = Field(9103, ge=0, le=65535, description="The same of clock and of replay.")
    wall_health_port: int = Field(9104, ge=0, le=65535, description="The same of the wall.")

    @property
    def bootstrap(self) -> str:
        """The broker's address for clients, `host:port[,host:port]`."""
        return self.bootstrap_servers or f"127.0.0.1:{self.broker_port}"

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process that shall have the same."""
        values = self.model_dump(mode="json")
        values |= {name: value.get_secret_value() for name, value in self if isinstance(value, SecretStr)}
        return {
            f"IOC_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
            if value is not None
        }


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; `overrides` (from the command line) win where not None.

    Raises `UserError` naming the variable and what is wrong with it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"IOC_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}{_got(problem)}"
            for problem in error.errors()
        ]
        raise UserError(
            "settings are not usable", "; ".join(lines), "correct the environment and start again"
        ) from None


def _got(problem: Any) -> str:
    """What stood there; not where it may be a secret."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if "password" in name or isinstance(problem["input"], SecretStr):
        return ""
    return f" (got {problem['input']!r})"
