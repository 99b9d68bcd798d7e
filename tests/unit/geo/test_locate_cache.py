"""Indexes that are kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely import box

import geo.index_cache
from geo.boundaries import BoundarySet
from geo.locate import Locator

MakeSet = Callable[[dict[str, shapely.Geometry]], BoundarySet]


@pytest.fixture
def small(make_set: MakeSet) -> BoundarySet:
    """Two squares with a common edge."""
    return make_set({"00001": box(105, 10, 105.01, 10.01), "00002": box(105.01, 10, 105.02, 10.01)})


def kept(cache: Path) -> Path:
    (path,) = (cache / "locator").iterdir()
    return path


def answers(locator: Locator) -> list[int]:
    lons = np.linspace(104.999, 105.021, 200)
    return locator.locate_many(lons, np.full(200, 10.005)).tolist()


def never(*_: object) -> None:
    raise AssertionError("built although it is kept")


def test_a_kept_index_answers_as_a_new_one_and_is_not_built_again(
    small: BoundarySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time the file is all that is needed."""
    first = answers(Locator(small, tmp_path))
    monkeypatch.setattr(geo.index_cache, "build_grid", never)
    assert answers(Locator(small, tmp_path)) == first == answers(Locator(small))
    assert len(set(first)) == 3


@pytest.mark.parametrize("damage", ["truncated", "one byte", "empty", "another file", "missing array"])
def test_a_damaged_index_is_made_anew_and_said(
    small: BoundarySet, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Never an exception, never a wrong answer, and the next start finds a good file."""
    right = answers(Locator(small, tmp_path))
    path = kept(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another file":
        path.write_bytes(b"\x93NUMPY not really")
    else:
        with path.open("wb") as file:
            np.savez(file, place=np.zeros(3))
    with caplog.at_level(logging.WARNING):
        assert answers(Locator(small, tmp_path)) == right
    assert "damaged and made anew" in caplog.text
    assert kept(tmp_path).stat().st_size == len(content)
    caplog.clear()
    assert answers(Locator(small, tmp_path)) == right
    assert not caplog.text


def test_another_set_does_not_take_the_kept_index(
    small: BoundarySet, make_set: MakeSet, tmp_path: Path
) -> None:
    """One moved corner is another version and another file."""
    Locator(small, tmp_path)
    other = make_set({"00001": box(105, 10, 105.011, 10.01), "00002": box(105.011, 10, 105.02, 10.01)})
    assert answers(Locator(other, tmp_path)) == answers(Locator(other))
    assert len(list((tmp_path / "locator").iterdir())) == 2


def test_a_directory_that_cannot_be_written_to_costs_time_only(
    small: BoundarySet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The index is built in memory; the log says why it is not kept."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with caplog.at_level(logging.WARNING):
        assert answers(Locator(small, blocked)) == answers(Locator(small))
    assert "cannot be kept" in caplog.text


def test_nothing_but_the_index_is_left_behind(small: BoundarySet, tmp_path: Path) -> None:
    """Temporary files become the index or go."""
    Locator(small, tmp_path)
    assert [path.suffix for path in (tmp_path / "locator").iterdir()] == [".npz"]
