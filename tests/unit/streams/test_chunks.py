"""The chunked transport: what it is proven with, and how it cuts what was fetched."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.chunks import PROVEN_WITH, even_parts


@pytest.mark.parametrize("package", sorted(PROVEN_WITH))
def test_the_installed_versions_are_those_it_is_proven_with(package: str) -> None:
    """streams/chunks.py and streams/transactions.py reach into internals.

    After a change of version run tests/integration/test_transport*.py and tests/chaos, then change the table.
    """
    assert version(package) == PROVEN_WITH[package]


@given(st.integers(0, 10_000), st.integers(1, 3000))
def test_parts_are_whole_ordered_and_of_one_size(count: int, limit: int) -> None:
    """Nothing is lost, doubled or moved, no part is too large, none is a small remainder."""
    parts = list(even_parts(range(count), limit))
    assert [number for part in parts for number in part] == list(range(count))
    sizes = [len(part) for part in parts]
    assert all(0 < size <= limit for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert len(parts) == -(-count // limit), "no more parts than needed"
