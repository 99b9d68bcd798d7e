"""The JSON Schemas say of a file's form what the program says."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

import alerts
from alerts.agencies.subscriptions import SubscriptionFile
from alerts.rules.maintenance import MaintenanceFile
from alerts.rules.schema import file_schema
from alerts.rules.specs import RuleFile
from ioc.errors import UserError
from ioc.scenarios import SCENARIOS
from ioc.yamlfile import Document, FileErrors, Problems
from streams.inventory import InventoryFile
from tests.unit.alerts.schemacheck import fits
from tests.unit.alerts.test_rules import BAD, BAD_OF_ANY_KIND, EVERY_KIND, GOOD
from tests.unit.alerts.test_rules_windows import AGENCIES, BAD_AGENCIES, BAD_WINDOWS, WINDOWS

DEFAULT = (Path(alerts.__file__).parent / "rules" / "default.yaml").read_text(encoding="utf-8")
INVENTORY = (SCENARIOS / "can_tho_spring_tide" / "inventory.yaml").read_text(encoding="utf-8")

VARIANTS: list[tuple[type[Struct], str]] = [
    *((RuleFile, GOOD.replace(old, new, 1)) for old, new, *_ in BAD),
    *((RuleFile, EVERY_KIND.replace(old, new, 1)) for old, new, _ in BAD_OF_ANY_KIND),
    *((MaintenanceFile, WINDOWS.replace(old, new, 1)) for old, new, *_ in BAD_WINDOWS),
    *((SubscriptionFile, AGENCIES.replace(old, new, 1)) for old, new, *_ in BAD_AGENCIES),
]


@cache
def schema_of(kind: type[Struct]) -> dict[str, Any]:
    """As a file has it."""
    return json.loads(json.dumps(file_schema(kind, "a file")))


def valid(kind: type[Struct], data: Any) -> bool:
    schema = schema_of(kind)
    return fits(data, schema, schema)


def well_formed(kind: type[Struct], document: Document) -> bool:
    """Whether the records read it, whatever it means."""
    document.data = deepcopy(document.data)
    for rule in document.data.get("rules", []) if kind is RuleFile else []:
        rule.setdefault("kind", "ladder")
    problems = Problems(document)
    problems.read(kind)
    try:
        problems.tell()
    except FileErrors:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RuleFile, GOOD),
        (RuleFile, EVERY_KIND),
        (RuleFile, DEFAULT),
        (MaintenanceFile, WINDOWS),
        (SubscriptionFile, AGENCIES),
        (InventoryFile, INVENTORY),
    ],
)
def test_good_files_are_valid(kind: type[Struct], text: str) -> None:
    """Golden files, and those that ship."""
    assert valid(kind, Document(text, "f.yaml").data)


def test_a_slip_in_the_form_is_caught_and_nothing_else() -> None:
    """Of all bad files the schemas refuse those whose form is wrong, and let the others to `ioc rules check`."""
    refused = 0
    for kind, text in VARIANTS:
        try:
            document = Document(text, "f.yaml")
        except UserError:
            continue  # no YAML: no editor gets as far as the schema
        if isinstance(document.data.get("version"), int):
            good = valid(kind, document.data)
            assert good == well_formed(kind, document), text
            refused += not good
    assert refused > 30


def test_the_schema_explains() -> None:
    """An editor shows what a key is; a rule without a kind is a ladder."""
    schema = file_schema(RuleFile, "IOC rules")
    ladder, rate = schema["$defs"]["LadderSpec"], schema["$defs"]["RateSpec"]
    assert "kind" in rate["required"]
    assert "kind" not in ladder["required"]
    assert ladder["properties"]["kind"]["default"] == "ladder"
    bare = [key for key, value in ladder["properties"].items() if value.keys() <= {"type"}]
    assert bare == []
    assert "10m" in json.dumps(ladder["properties"]["hold"])
    assert all(part.get("description") for part in schema["$defs"].values())
