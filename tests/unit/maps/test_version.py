"""The version of the page: an open wall loads it anew when any of its files is another."""

from __future__ import annotations

import pytest

import maps.shell
from maps.assets import make_asset, shipped_assets
from tests import wallkit as kit


def test_any_file_makes_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names wall.js alone; a change of a module that wall.js imports is another version all the same."""
    before = kit.small_shell().page.tag
    assert kit.small_shell().page.tag == before
    changed = shipped_assets()
    changed["rows.js"] = make_asset("rows.js", changed["rows.js"].body + b"\n// changed\n")
    monkeypatch.setattr(maps.shell, "shipped_assets", lambda: dict(changed))
    assert kit.small_shell().page.tag != before
