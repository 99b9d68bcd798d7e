"""Settings: from the environment, to a child, and their errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ioc.commands.tables import settings_table
from ioc.errors import UserError
from ioc.settings import Settings, load_settings


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person reads which variable is wrong and what it holds."""
    monkeypatch.setenv("IOC_RAW_PARTITIONS", "four")
    with pytest.raises(UserError, match=r"IOC_RAW_PARTITIONS.*'four'"):
        load_settings()


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`IOC_RULES_FILE=` means no file, not the current directory."""
    monkeypatch.setenv("IOC_RULES_FILE", "")
    monkeypatch.setenv("IOC_WALL_PORT", "")
    settings = load_settings()
    assert settings.rules_file is None
    assert settings.wall_port == Settings.model_fields["wall_port"].default


def test_a_child_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings written to an environment and read from it are the same."""
    given = load_settings(
        topic_prefix="demo.", provinces=["92", "79"], rules_file=tmp_path / "rules.yaml", session_timeout=3.5
    )
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given


def test_a_password_reaches_a_child_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child gets the password; the table of settings, a representation and an error do not show it."""
    given = load_settings(kafka_password="the-secret-of-the-wall")
    environment = given.environment()
    assert environment["IOC_KAFKA_PASSWORD"] == "the-secret-of-the-wall"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == given
    for shown in (settings_table(given), repr(given), given.model_dump_json()):
        assert "the-secret" not in shown
    with pytest.raises(UserError) as raised:
        load_settings(kafka_password=["the-secret"], wall_port="x")
    assert "IOC_KAFKA_PASSWORD" in str(raised.value)
    assert "(got 'x')" in str(raised.value)
    assert "the-secret" not in str(raised.value)


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An override holds where it is given; None leaves the environment's value."""
    monkeypatch.setenv("IOC_TOPIC_PREFIX", "live.")
    assert load_settings(topic_prefix="demo.").topic_prefix == "demo."
    assert load_settings(topic_prefix=None).topic_prefix == "live."


@pytest.mark.parametrize("prefix", ["demo", "a b.", "../x.", "."])
def test_a_prefix_that_no_topic_may_have_is_refused(prefix: str) -> None:
    """A prefix ends with a dot and has only what Kafka allows in names."""
    with pytest.raises(UserError, match="IOC_TOPIC_PREFIX"):
        load_settings(topic_prefix=prefix)


def test_settings_are_frozen_and_each_says_what_it_means() -> None:
    """A process keeps the settings that it started with; every one has a description for `ioc settings`."""
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.wall_port = 1  # type: ignore[misc]
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
