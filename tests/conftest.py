"""One real broker for the whole session, for every test that asks for `kafka`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ioc.broker import Broker
from ioc.errors import UserError
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.admin import ensure_topics


def require_or_skip(error: UserError) -> None:
    """Where a server cannot be had: fail in CI, skip with the reason on a laptop."""
    if os.environ.get("CI"):
        pytest.fail(f"needed in CI: {error}", pytrace=False)
    pytest.skip(str(error))


def _broker_settings(state_dir: Path, **overrides: object) -> Settings:
    """Settings of a broker of a test's own: free ports, its own state; the jars from the usual cache."""
    return load_settings(
        **{
            "bootstrap_servers": "",
            "state_dir": state_dir,
            "broker_port": free_port(),
            "broker_controller_port": free_port(),
            "wall_port": 0,
            "sense_health_port": 0,
            "correlate_health_port": 0,
            "clock_health_port": 0,
            "wall_health_port": 0,
            **overrides,
        }
    )


@pytest.fixture
def own_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings for a broker of the test's own: free ports, a state directory of its own."""

    def make(**overrides: object) -> Settings:
        return _broker_settings(tmp_path / "state", **overrides)

    return make


@dataclass
class Kafka:
    """The session's broker."""

    broker: Broker
    base: Settings

    @property
    def address(self) -> str:
        return self.broker.address

    def settings(self, prefix: str | None = None, topics: bool = True, **overrides: object) -> Settings:
        """Settings for one test: the broker's address, ports of health servers 0, and a prefix of its own.

        `topics` makes the table of topics under that prefix.
        """
        settings = load_settings(
            **{
                **self.base.model_dump(),
                "bootstrap_servers": self.address,
                "topic_prefix": prefix if prefix is not None else f"t{uuid.uuid4().hex[:10]}.",
                "session_timeout": 3.0,
                **overrides,
            }
        )
        if topics:
            ensure_topics(settings)
        return settings


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real broker, started once."""
    settings = _broker_settings(tmp_path_factory.mktemp("broker"))
    broker = Broker(settings)
    try:
        broker.start()
        broker.wait_ready()
    except UserError as error:
        broker.stop()
        require_or_skip(error)
    try:
        yield Kafka(broker, settings)
    finally:
        broker.stop()
