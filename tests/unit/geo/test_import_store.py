"""The store: what is kept reads back the same, a failed write leaves nothing, damage is noticed."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from shapely import box

from geo import store
from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.reform import REFORM
from geo.report import Report
from geo.store import find_stored, keep, load_stored, stored_sets
from ioc.errors import UserError

REPORT = Report("map.geojson", ())


def made(id: str, width: float = 0.1, **others: object) -> BoundarySet:
    return boundary_set(
        id=id,
        approximate=True,
        source="bản đồ của một phép thử",
        licence="MIT",
        communes=[Commune("00001", "Xã Một", "92"), Commune("00002", "Xã Hai", "92", former_province="93")],
        geometries=[box(105, 10, 105.1, 10.1), box(105.1, 10, 105.1 + width, 10.1)],
        **others,
    )


def test_a_kept_set_is_the_same_set(tmp_path: Path) -> None:
    """Id, version, dates, source, licence, the former province, the call that it is approximate."""
    kept = made("a", valid_until=REFORM)
    path = keep(kept, REPORT, tmp_path / "boundaries")
    assert path.name == f"{kept.ref}.geojson.gz"
    [stored] = stored_sets(tmp_path / "boundaries")
    assert (stored.ref, stored.communes, stored.approximate) == (kept.ref, 2, True)
    assert (stored.source, stored.licence) == (kept.source, kept.licence)
    assert (stored.valid_from, stored.valid_until) == (None, REFORM)
    again = load_stored(stored)
    assert again.ref == kept.ref
    assert again.communes == kept.communes
    assert again.valid_until == kept.valid_until
    [report] = path.parent.glob("*.report.json")
    assert json.loads(report.read_text())["file"] == "map.geojson"


def test_versions_of_a_set_stand_beside_each_other(tmp_path: Path) -> None:
    """Another content is another file; the same content again is the same. A name that fits several is asked
    about."""
    for boundaries in (made("a"), made("a", 0.2), made("a"), made("b")):
        keep(boundaries, REPORT, tmp_path)
    assert [stored.id for stored in stored_sets(tmp_path)] == ["a", "a", "b"]
    assert find_stored(tmp_path, "b").ref == made("b").ref
    assert find_stored(tmp_path, made("a", 0.2).ref).version == made("a", 0.2).version
    with pytest.raises(UserError, match="several versions"):
        find_stored(tmp_path, "a")
    with pytest.raises(UserError, match="no boundaries c"):
        find_stored(tmp_path, "c")


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    """Before the first import there is no directory."""
    assert stored_sets(tmp_path / "none") == []


def test_a_failed_write_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of the set: no set is listed, no half file is left."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_boundaries", full)
    with pytest.raises(UserError, match="No space left"):
        keep(made("a"), REPORT, tmp_path)
    assert stored_sets(tmp_path) == []
    monkeypatch.undo()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        keep(made("a"), REPORT, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_file_is_left_out_and_a_changed_one_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are gone are logged; a content that is not its version is never used."""
    path = keep(made("a"), REPORT, tmp_path)
    other = keep(made("b"), REPORT, tmp_path)
    path.write_bytes(path.read_bytes()[:20])
    assert [stored.id for stored in stored_sets(tmp_path)] == ["b"]
    assert "damaged" in caplog.text
    [stored] = stored_sets(tmp_path)
    content = gzip.decompress(other.read_bytes())
    assert content.count("Xã Một".encode()) == 1
    other.write_bytes(gzip.compress(content.replace("Xã Một".encode(), "Xã Mốt".encode())))
    with pytest.raises(UserError, match="damaged"):
        load_stored(stored)
