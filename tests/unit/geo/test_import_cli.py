"""`ioc boundaries import|check`: exit codes, reports, and that a refused file changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from geo.boundaries import BoundarySet
from geo.files import write_boundaries
from geo.store import store_directory, stored_sets
from ioc.commands.boundaries import app
from ioc.errors import UserError

#: The approximate map has wrong areas and places: enough to be refused, and to be taken on.
TAKEN_ON = ["--accept", "area", "--accept", "displaced", "--accept", "gap"]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of the test's own; returns the store's."""
    monkeypatch.setenv("IOC_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("IOC_CACHE_DIR", str(tmp_path / "cache"))
    return store_directory(tmp_path / "state")


@pytest.fixture
def file(tmp_path: Path, approximate: BoundarySet) -> str:
    write_boundaries(approximate, tmp_path / "map.geojson")
    return str(tmp_path / "map.geojson")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_a_refused_file_changes_nothing(program: Path, file: str, tmp_path: Path) -> None:
    """Exit code 1, the table says why, the report is written, the store does not even come into being."""
    result = run("import", file, "--id", "x", "--report", str(tmp_path / "report.json"))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("refused: ")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["accepted"] is False
    assert {"error"} <= {finding["severity"] for finding in report["findings"]}
    assert not program.exists()


def test_an_accepted_file_is_kept_with_what_was_said_of_it(program: Path, file: str) -> None:
    """Exit code 0; dates, source and licence are those of the command line."""
    dates = ["--valid-from", "2025-07-01T00:00:00+07:00", "--valid-until", "2030-01-01T00:00:00+07:00"]
    result = run("import", file, "--id", "x", "--source", "a test", "--licence", "MIT", *dates, *TAKEN_ON)
    assert result.exit_code == 0, result.output
    [stored] = stored_sets(program)
    assert (stored.id, stored.source, stored.licence, stored.approximate) == ("x", "a test", "MIT", True)
    assert stored.valid_from is not None
    assert stored.valid_from.isoformat() == "2025-07-01T00:00:00+07:00"
    assert run("list").output.splitlines()[1].split()[2:4] == ["yes", "103"]
    shown = run("show", "x").output
    assert "(approximate)" in shown
    assert "103 communes" in shown


@pytest.mark.parametrize("words", [["check"], ["import", "--id", "x", "--dry-run"]])
def test_checking_keeps_nothing(program: Path, file: str, words: list[str]) -> None:
    """With the same exit codes."""
    assert run(*words, file).exit_code == 1
    result = run(*words, file, *TAKEN_ON)
    assert result.exit_code == 0, result.output
    assert "accepted" in result.output
    assert not program.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--id", "../x"],
        ["--id", "x", "--valid-from", "2025-07-01"],
        ["--id", "x", "--valid-from", "2025-07-01T00:00:00Z", "--valid-until", "2025-06-01T00:00:00Z"],
        ["--id", "x", "--tolerance", "-1"],
        ["--id", "x", "--tolerance", "nan"],
        ["--id", "x", "--accept", "swapped"],
        ["--id", "x", "--report", "/nowhere/report.json"],
    ],
)
def test_what_a_person_mistypes_is_told_with_a_remedy(program: Path, file: str, words: list[str]) -> None:
    """As an error of the command line, before anything is kept."""
    result = run("import", file, *words, *TAKEN_ON)
    assert isinstance(result.exception, UserError)
    assert result.exception.remedy
    assert not program.exists()


def test_an_empty_store_says_what_can_be_fetched(program: Path) -> None:
    """The first thing that a person tries."""
    result = run("list")
    assert result.exit_code == 0
    assert "can be fetched: can-tho-2025" in result.output
    assert run("list", "--json").output.strip() == "[]"
