"""Which package may know which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What the pure packages never import: transports, servers, and the packages above them.
OUTER = {"faust", "mode", "kafka", "aiokafka", "aiohttp", "streams", "maps"}


@pytest.mark.parametrize("package", ["geo", "alerts"])
def test_pure_packages_import_no_transport(package: str) -> None:
    """`geo` and `alerts` judge what they are given: neither Kafka nor the web, not even inside a function."""
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = {
        f"{file.relative_to(ROOT)}: {name}" for file in files for name in _imported(file) if name in OUTER
    }
    assert found == set()


def test_the_walk_sees_every_form_of_import(tmp_path: Path) -> None:
    """The test above would notice each way to import, and imports within a function."""
    file = tmp_path / "module.py"
    file.write_text("import faust.app as a\ndef f():\n    from kafka.admin import X\nfrom . import aiohttp\n")
    assert _imported(file) == {"faust", "kafka"}


def _imported(file: Path) -> set[str]:
    """The top-level names of all that a file imports from elsewhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names
