"""The examples of an installation's files: right as they are, and complete for what compose passes on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.rules.coverage import not_there
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.written import parse_rules
from streams.configuration import DEFAULT_RULES
from streams.inventory import parse_inventory
from streams.schemas import MEASURES

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "deploy" / "config"


def text(name: str) -> str:
    return (CONFIG / f"{name}.example.yaml").read_text(encoding="utf-8")


def test_the_examples_fit_each_other_and_the_rules_that_ship() -> None:
    """Each is accepted; a window names a source of the inventory, an agency a hazard of a rule."""
    sources = parse_inventory(text("inventory"), "inventory")
    rules = parse_rules(DEFAULT_RULES.read_text(encoding="utf-8"), "rules", MEASURES)
    windows = parse_maintenance(text("maintenance"), "maintenance")
    agencies = parse_subscriptions(text("subscriptions"), "subscriptions")
    assert not_there(rules, sources, windows, agencies) == []
    assert {agency.exercise for agency in agencies} == {True, False}


def test_there_is_an_example_for_each_file_that_compose_passes_on() -> None:
    """But for boundaries and rules, which are copies of what there is, and operators, which a command writes."""
    environment = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["x-environment"]
    files = {name for variable in environment for name in re.findall(r"^IOC_(\w+)_FILE$", variable)}
    shown = {path.name.removesuffix(".example.yaml").upper() for path in CONFIG.glob("*.example.yaml")}
    assert files == {"BOUNDARIES", "RULES", "OPERATORS", *shown}


def test_what_an_installation_writes_there_stays_out_of_the_repository() -> None:
    """Git ignores every file there but the examples: neither rules of one city nor secrets are committed."""
    names = ["inventory.yaml", "operators.yaml", "rules.yaml", "inventory.example.yaml"]
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", *(f"deploy/config/{name}" for name in names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.stdout.split() == [f"deploy/config/{name}" for name in names[:3]]
