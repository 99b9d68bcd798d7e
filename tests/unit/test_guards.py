"""Where a document says which test holds something, that test is there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.prose import ROOT, Document

DOCUMENTS = ("streams/FAUST.md", "deploy/FAILURES.md", "deploy/FAILURES.vi.md")


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


def test_both_tables_of_failures_have_the_same_rows() -> None:
    """The same proofs, conditions, metrics and commands in the same rows."""

    def rows(name: str) -> list[list[str]]:
        table = [row for row in Document(name).text.splitlines() if row.startswith("| ")]
        return [sorted(re.findall(r"`[^`]+`", row)) for row in table]

    english, vietnamese = rows("deploy/FAILURES.md"), rows("deploy/FAILURES.vi.md")
    assert len(english) > 15
    for one, other in zip(english, vietnamese, strict=True):
        assert set(one) - {"`ioc clock`"} == set(other) - {"`ioc clock`"}
