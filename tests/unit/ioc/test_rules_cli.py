"""`ioc rules` as an author meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ioc.cli import app
from ioc.scenarios import SCENARIOS
from ioc.yamlfile import MOST_PROBLEMS

GOLDEN = Path(__file__).parents[1] / "alerts" / "rules"
INVENTORY = SCENARIOS / "can_tho_spring_tide" / "inventory.yaml"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RULES", "INVENTORY", "MAINTENANCE", "SUBSCRIPTIONS"):
        monkeypatch.delenv(f"IOC_{name}_FILE", raising=False)
    monkeypatch.setenv("IOC_STATE_DIR", str(tmp_path / "state"))


def ioc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


def test_the_rules_in_force_are_checked() -> None:
    """Without a file: those that ship, with their place, so that an author can copy them."""
    result = ioc("check")
    assert result.exit_code == 0
    assert "alerts/rules/default.yaml: good:" in result.stdout
    assert "no inventory" in result.stdout


def test_what_cannot_be_judged_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gauges of the scenario without official levels, by their number and names."""
    monkeypatch.setenv("IOC_INVENTORY_FILE", str(INVENTORY))
    result = ioc("check")
    assert result.exit_code == 0
    assert "water-level: 9 of 12 sources of kind water_level have no bd3: level severe (BĐ3)" in result.stdout


def test_files_are_known_by_their_keys() -> None:
    """Rules, windows, agencies and an inventory in one call, and what they name that is not there."""
    result = ioc(
        "check",
        GOLDEN / "every-kind.yaml",
        GOLDEN / "maintenance.yaml",
        GOLDEN / "subscriptions.yaml",
        INVENTORY,
    )
    assert result.exit_code == 0, result.output
    assert "2 maintenance windows" in result.stdout
    assert "2 agencies" in result.stdout
    assert "125 sources" in result.stdout
    assert "maintenance road-works: there is no rule slow-traffic" in result.stdout
    assert "there is no source" not in result.stdout


def test_every_problem_is_two_lines(tmp_path: Path) -> None:
    """What, where and why, then the remedy, for each; exit code 2."""
    path = tmp_path / "bad.yaml"
    path.write_text(
        "version: 1\nrules: []\nescalations:\n"
        "  - {severity: bad, after: 5m, to: viewer}\n  - {severity: minor, after: 0m, to: operator}\n",
        encoding="utf-8",
    )
    result = ioc("check", path)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ioc: ") for line in lines[::2])
    assert all(line.startswith("  -> ") for line in lines[1::2])
    assert f"{path}:5:30" in lines[4]


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    for command in ("check", "test"):
        result = ioc(command, tmp_path / "none.yaml")
        assert result.exit_code == 2
        assert "none.yaml" in result.stderr


def test_examples_run_and_fail(tmp_path: Path) -> None:
    """Exit code 0 where all come as expected, 1 with the difference where one does not."""
    good = (GOLDEN / "every-kind.yaml").read_text(encoding="utf-8")
    path = tmp_path / "rules.yaml"
    path.write_text(good, encoding="utf-8")
    result = ioc("test", path)
    assert result.exit_code == 0, result.output
    assert "3 of 3 examples are as expected" in result.stdout
    assert "without an example: rising-water" in result.stdout
    path.write_text(good.replace("at: 15m, change: raised", "at: 20m, change: raised"), encoding="utf-8")
    result = ioc("test", path)
    assert result.exit_code == 1
    assert "FAILED water-level: it stands above BĐ3" in result.stdout
    assert "2 of 3 examples are as expected" in result.stdout


def test_the_examples_that_ship_are_as_expected() -> None:
    """Every rule that ships has examples, and all of them hold on the maps of this installation."""
    result = ioc("test")
    assert result.exit_code == 0, result.output
    assert "without an example" not in result.stdout
    assert result.stdout.count("ok ") > 20


@pytest.mark.parametrize("name", ["rules", "maintenance", "subscriptions", "inventory"])
def test_a_schema_is_json(name: str) -> None:
    schema = json.loads(ioc("schema", name).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_a_file_with_more_slips_than_are_told_says_so(tmp_path: Path) -> None:
    """Whoever mends what is listed does not think that he is done."""
    path = tmp_path / "rules.yaml"
    path.write_text("version: 1\nrules:\n" + "- {kind: rate}\n" * (MOST_PROBLEMS + 1), encoding="utf-8")
    result = ioc("check", path)
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("ioc: there is more to mend\n  -> mend these, and check again")


def test_help_teaches() -> None:
    """A rule with an example, and what to do with it; the rule of the help is a good one."""
    result = ioc("--help")
    assert "ioc rules check my-rules.yaml" in result.stdout
    assert "kind" in result.stdout


def test_the_rule_in_the_help_is_good(tmp_path: Path) -> None:
    """What an author copies from there passes its own example."""
    from ioc.commands.rules import app as rules_app

    text = str(rules_app.info.help)
    lines = text[text.index("    version: 1") : text.index("`kind:` says")].splitlines()
    path = tmp_path / "rules.yaml"
    path.write_text("\n".join(line[4:] for line in lines), encoding="utf-8")
    result = ioc("test", path)
    assert result.exit_code == 0, result.output
    assert "1 of 1 examples are as expected" in result.stdout
