"""The cache of the approximate set, and the choice between it and a file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import shapely

from geo import cache
from geo.boundaries import BoundarySet
from geo.cache import load_registry, present_set
from geo.files import write_boundaries
from geo.reform import REFORM
from ioc.errors import UserError


def kept(directory: Path) -> Path:
    [path] = (directory / "boundaries").iterdir()
    return path


def refuse(*_: object) -> BoundarySet:
    raise AssertionError("the cached set was not used")


def test_the_second_time_the_set_comes_from_the_cache(
    tmp_path: Path, approximate: BoundarySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same set, in under a second, without computing."""
    assert present_set(["92"], tmp_path).version == approximate.version
    monkeypatch.setattr(cache, "approximate_set", refuse)
    began = time.perf_counter()
    again = present_set(["92", "92"], tmp_path)
    assert time.perf_counter() - began < 1
    assert again.ref == approximate.ref
    assert again.communes == approximate.communes
    assert shapely.equals_exact(again.geometries, approximate.geometries).all()
    assert (again.approximate, again.source, again.licence, again.valid_from, again.valid_until) == (
        approximate.approximate,
        approximate.source,
        approximate.licence,
        approximate.valid_from,
        approximate.valid_until,
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"Ph\xc6\xb0\xe1\xbb\x9dng", b"X\xc3\xa3", 1),
        lambda content: content.replace(b"2025-07-01", b"2025-99-01", 1),
        lambda content: b"\x00" * 1000,
    ],
    ids=["empty", "cut", "altered", "no date", "zeros"],
)
def test_a_damaged_file_is_made_anew(
    tmp_path: Path,
    approximate: BoundarySet,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A half-written or altered cache never decides where something happened; the log says what was done."""
    # Computed once for all tests; that computing gives this again is another test's subject.
    monkeypatch.setattr(cache, "approximate_set", lambda codes: approximate)
    present_set(["92"], tmp_path)
    path = kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with caplog.at_level(logging.WARNING):
        assert present_set(["92"], tmp_path).version == approximate.version
    assert "made anew" in caplog.text
    assert path.read_bytes() == whole


def test_another_version_of_data_or_method_is_another_file(
    tmp_path: Path, approximate: BoundarySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the old set is not used."""
    computed: list[list[str]] = []
    monkeypatch.setattr(cache, "approximate_set", lambda codes: computed.append(codes) or approximate)
    present_set(["92"], tmp_path)
    monkeypatch.setattr(cache, "package_version", lambda: "99")
    present_set(["92"], tmp_path)
    monkeypatch.setattr(cache, "METHOD", 99)
    present_set(["92"], tmp_path)
    present_set(["92"], tmp_path)
    assert computed == [["92"]] * 3


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path,
    approximate: BoundarySet,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here a file stands where the directory should be."""
    monkeypatch.setattr(cache, "approximate_set", lambda codes: approximate)
    (tmp_path / "boundaries").write_text("")
    assert present_set(["92"], tmp_path).version == approximate.version
    assert "cannot be kept" in caplog.text


def test_a_file_that_is_given_is_used_for_the_provinces_served(tmp_path: Path, made_up: BoundarySet) -> None:
    """Communes of other provinces in it are left out: no partition serves them. Nothing is cached."""
    path = tmp_path / "official.geojson"
    write_boundaries(made_up, path)
    text = path.read_text()
    path.write_text(
        text.replace('"name":"Xã 00009","province_code":"00"', '"name":"Xã 00009","province_code":"01"')
    )
    boundaries = load_registry(path, ["00"], tmp_path / "cache").sets[-1]
    assert [commune.code for commune in boundaries.communes] == ["00001", "00002", "00003", "00004", "00005"]
    assert boundaries.version != made_up.version
    assert not (tmp_path / "cache").exists()


def test_a_file_without_a_served_province_is_an_error(tmp_path: Path, made_up: BoundarySet) -> None:
    """It would locate nothing there, and say nothing."""
    path = tmp_path / "official.geojson"
    write_boundaries(made_up, path)
    with pytest.raises(UserError, match="no commune of province 92") as error:
        load_registry(path, ["00", "92"], tmp_path).sets[-1]
    assert "it has province 00" in error.value.where


@pytest.mark.long
def test_a_registry_has_the_old_map_and_the_new(
    tmp_path: Path, approximate: BoundarySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each computed once; the second time both come from the cache, in half a second."""
    first = load_registry(None, ["92"], tmp_path)
    old, new = first.sets
    assert first.at(REFORM) is new
    assert first.at(REFORM - timedelta(microseconds=1)) is old
    assert (old.id, new.ref) == ("vn-approximate-before-2025-07", approximate.ref)
    monkeypatch.setattr(cache, "approximate_set", refuse)
    monkeypatch.setattr(cache, "former_set", refuse)
    began = time.perf_counter()
    again = load_registry(None, ["92"], tmp_path)
    assert time.perf_counter() - began < 0.5
    assert again.ref == first.ref
    assert len(list((tmp_path / "boundaries").iterdir())) == 2


def test_a_file_takes_the_place_of_the_defaults_while_it_holds(
    tmp_path: Path, approximate: BoundarySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for the first month of the new map: before it the old default, after it the new one."""
    monkeypatch.setattr(cache, "approximate_set", lambda codes: approximate)
    old = replace(approximate, id="old", valid_from=None, valid_until=REFORM)
    monkeypatch.setattr(cache, "former_set", lambda codes: old)
    end = REFORM + timedelta(days=31)
    write_boundaries(replace(approximate, id="official", valid_until=end), tmp_path / "official.geojson")
    registry = load_registry(tmp_path / "official.geojson", ["92"], tmp_path / "cache")
    assert [(each.id, each.valid_from, each.valid_until) for each in registry.sets] == [
        ("old", None, REFORM),
        ("official", REFORM, end),
        (approximate.id, end, None),
    ]


def test_a_file_without_dates_holds_always(tmp_path: Path, made_up: BoundarySet) -> None:
    """No default is computed beside it, and its province need not be one that the package knows."""
    path = tmp_path / "official.geojson"
    write_boundaries(made_up, path)
    registry = load_registry(path, ["00"], tmp_path / "cache")
    assert [each.version for each in registry.sets] == [made_up.version]
    assert not (tmp_path / "cache").exists()


@pytest.mark.long
def test_a_file_whose_dates_are_reversed_is_an_error(tmp_path: Path, approximate: BoundarySet) -> None:
    """It would never be used, and nobody would know."""
    path = tmp_path / "official.geojson"
    write_boundaries(replace(approximate, valid_until=REFORM - timedelta(days=1)), path)
    with pytest.raises(UserError, match="does not hold at any time"):
        load_registry(path, ["92"], tmp_path / "cache")
