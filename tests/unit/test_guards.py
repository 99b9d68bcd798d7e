"""Where a document says which test holds something, that test is there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.prose import ROOT, Document

DOCUMENTS = ("streams/FAUST.md", "deploy/FAILURES.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tests_that_are_named_exist(name: str) -> None:
    """Each by file and name, or by file alone; a document that names none holds nothing."""
    named = [span for span in Document(name).spans if span.startswith("tests/")]
    assert len(named) >= 15
    for one in named:
        path, _, test = one.partition("::")
        assert (ROOT / path).is_file(), one
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not test or test in functions, one


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_row_has_all_its_cells(name: str) -> None:
    """A failure or a point without what is done about it, or without its proof, is half said."""
    tables = re.findall(r"^\|.*\|$", Document(name).text, re.MULTILINE)
    widths = {len(row.strip("|").split(" | ")) for row in tables if not re.fullmatch(r"[|-]+", row)}
    assert len(widths) == 1
    assert all(cell.strip() for row in tables for cell in row.strip("|").split("|"))
