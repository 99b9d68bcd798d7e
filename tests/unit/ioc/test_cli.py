"""The command line as a person meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ioc.cli import app
from ioc.scenarios import BESIDE, find_scenario
from ioc.settings import load_settings

COMMANDS = (
    *("broker", "topics", "sense", "correlate", "clock", "replay", "wall", "up", "settings"),
    *("record", "backtest", "explain", "rebuild", "cap", "subscribe"),
)


def ioc(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_the_first_step() -> None:
    """`ioc --help` lists all commands and how to see the whole at work."""
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(COMMANDS)
    text = ioc("--help").stdout
    assert [command for command in COMMANDS if command not in text] == []
    assert "ioc up --scenario can-tho-spring-tide" in text


def test_help_loads_nothing_heavy() -> None:
    """Help answers at once: neither Kafka's nor Faust's nor the map's libraries are imported for it."""
    code = (
        "import sys, ioc.cli; "
        "print([m for m in ('pydantic', 'kafka', 'faust', 'folium', 'geopandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    """`ioc COMMAND --help` works without a broker."""
    result = ioc(command, "--help")
    assert result.returncode == 0
    assert f"ioc {command}" in result.stdout


def test_a_user_error_is_two_lines_and_exit_2() -> None:
    """What is wrong and where, then the remedy; no traceback."""
    result = ioc("settings", IOC_WALL_PORT="eighty")
    assert result.returncode == 2
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("ioc: settings are not usable: IOC_WALL_PORT: ")
    assert second.startswith("  -> ")


def test_settings_marks_what_the_environment_chose() -> None:
    """Each setting with variable, value and meaning; a mark where it is not the default."""
    lines = ioc("settings", IOC_WALL_PORT="8123").stdout.splitlines()
    assert "* IOC_WALL_PORT = 8123" in lines
    assert any(line.startswith("  IOC_SESSION_TIMEOUT = ") for line in lines)


def test_version_is_the_packages() -> None:
    """`ioc --version` prints one line."""
    assert ioc("--version").stdout.startswith("ioc ")


def test_an_unknown_scenario_is_a_user_error() -> None:
    """The error comes before anything is started, and says what there is."""
    result = ioc("up", "--scenario", "atlantis")
    assert result.returncode == 2
    assert "no scenario atlantis" in result.stderr


def test_a_scenario_file_brings_the_files_beside_it(tmp_path: Path) -> None:
    """A recording of one's own may lie with its inventory, subscriptions and maintenance windows in one directory.

    What the installation names itself is not replaced.
    """
    recording = tmp_path / "storm.ndjson"
    recording.touch()
    assert find_scenario(str(recording)).files == {}
    for file in BESIDE.values():
        (tmp_path / file).touch()
    found = find_scenario(str(recording))
    assert (found.name, set(found.files)) == ("storm", set(BESIDE))
    own = load_settings(inventory_file=tmp_path / "own.yaml")
    assert found.over(own) == {
        "subscriptions_file": tmp_path / "subscriptions.yaml",
        "maintenance_file": tmp_path / "maintenance.yaml",
    }
