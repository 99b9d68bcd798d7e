"""The installation's files become a configuration, or an error that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from geo.registry import Registry
from ioc.errors import UserError
from ioc.settings import load_settings
from streams.configuration import Configuration, local_record
from streams.shelf import Shelf


@pytest.mark.parametrize("setting", ["inventory_file", "rules_file"])
def test_a_missing_file_is_named(tmp_path: Path, setting: str) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        local_record(load_settings(**{setting: tmp_path / "none.yaml"}), Registry([]))


def test_the_hash_follows_from_the_content(tmp_path: Path) -> None:
    """The same files have the same hash wherever they lie; another inventory has another."""
    hashes = set()
    for name, text in (("a", "sources: []"), ("b", "sources: []"), ("c", "sources: []  # changed")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"version: 1\n{text}\n", encoding="utf-8")
        hashes.add(local_record(load_settings(inventory_file=path), Registry([])).hash)
    assert len(hashes) == 2


def test_other_rules_do_not_rename_what_was_never_heard(tmp_path: Path) -> None:
    """A silence from the first on is named by the inventory alone: under other rules it is the same alert."""
    rules, inventory = tmp_path / "rules.yaml", tmp_path / "inventory.yaml"
    found = []
    for mark, other in (("", ""), ("# changed", ""), ("", "# changed")):
        rules.write_text(f"version: 1\nrules: [] {mark}\n", encoding="utf-8")
        inventory.write_text(f"version: 1\nsources: [] {other}\n", encoding="utf-8")
        settings = load_settings(rules_file=rules, inventory_file=inventory)
        record, atlas = local_record(settings, Registry([])), Shelf(settings).atlas(Registry([]))
        found.append(Configuration.of(record, atlas, rules_name="rules", inventory_name="inventory"))
    assert len({one.hash for one in found}) == 3
    assert found[0].inventory == found[1].inventory != found[2].inventory
