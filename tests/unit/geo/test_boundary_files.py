"""Boundary files: what is understood, what is repaired, what a bad file is told, what is written."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Polygon, box
from shapely.geometry import mapping

from geo import files
from geo.activation import active_refs
from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.files import read_boundaries, stated, stated_version, write_boundaries
from geo.foreign import read_communes
from ioc.errors import UserError

SQUARE = box(105.0, 10.0, 105.1, 10.1)


def feature(geometry: shapely.Geometry | None = SQUARE, **properties: object) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"code": "31120", "name": "Phường Cái Khế", "province_code": "92", **properties},
        "geometry": None if geometry is None else mapping(geometry),
    }


def collection(*features: dict[str, Any], **members: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", **members, "features": list(features)}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_a_set_reads_back_as_it_was_written(tmp_path: Path, made_up: BoundarySet) -> None:
    """Version, polygons to the last bit, and what the set says of itself."""
    fields = {"id": "a-b", "approximate": True, "source": 'nguồn "x" boundary_set', "licence": "MIT"}
    original = boundary_set(
        **fields,
        communes=made_up.communes,
        geometries=made_up.geometries,
        valid_from=datetime(2025, 7, 1, tzinfo=UTC),
        valid_until=datetime(2026, 4, 30, tzinfo=UTC),
    )
    path = tmp_path / "set.geojson"
    write_boundaries(original, path)
    again = read_boundaries(path)
    assert again.version == original.version == stated_version(path)
    assert again.communes == original.communes
    assert shapely.equals_exact(again.geometries, original.geometries).all()
    for name in (*fields, "valid_from", "valid_until"):
        assert getattr(again, name) == getattr(original, name), name
    assert [file.name for file in tmp_path.iterdir()] == ["set.geojson"]


@pytest.mark.parametrize("change", [None, "twice", "renamed", "crs", "empty name"])
def test_our_own_files_are_read_as_all_others_are(
    tmp_path: Path, made_up: BoundarySet, monkeypatch: pytest.MonkeyPatch, change: str | None
) -> None:
    """Without GDAL and pandas as they were written, with them once somebody changed more than values."""
    path = tmp_path / "set.geojson"
    write_boundaries(made_up, path)
    content = json.loads(path.read_text())
    properties = content["features"][0]["properties"]
    if change == "twice":
        properties["code"] = content["features"][1]["properties"]["code"]
    elif change == "renamed":
        for one in content["features"]:
            one["properties"]["ma_xa"] = one["properties"].pop("code")
    elif change == "crs":
        content["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    elif change == "empty name":
        properties["name"] = " "
    write(path, content)

    def read() -> tuple[str, tuple[Commune, ...]] | str:
        try:
            found = read_boundaries(path)
        except UserError as error:
            return str(error)
        return found.version, found.communes

    called = []
    monkeypatch.setattr(files, "_foreign", lambda *given: called.append(given) or read_communes(*given))
    ours = read()
    assert bool(called) == (change is not None)
    monkeypatch.setattr(files, "_written", lambda content: None)
    assert read() == ours


def test_workers_need_no_gdal_and_no_pandas() -> None:
    """They read boundaries that were written here; the two would be 60 MB of each worker."""
    program = (
        "import sys, streams.workers; sys.exit(len({'geopandas', 'pandas', 'pyproj'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, made_up: BoundarySet) -> None:
    """Complete or not at all: a directory stands where the file should go, and nothing is left beside it."""
    (tmp_path / "set.geojson").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_boundaries(made_up, tmp_path / "set.geojson")
    assert [file.name for file in tmp_path.iterdir()] == ["set.geojson"]


def test_any_geojson_of_communes_is_understood(tmp_path: Path) -> None:
    """Plain or gzipped, Vietnamese property names, codes as numbers that lost their zeros, heights."""
    raised = shapely.force_3d(SQUARE, 4.0)
    properties = {"Mã_Xã": 97, "Tên xã": " Phường Hồng Hà ", "MA_TINH": 1}
    content = collection({"type": "Feature", "properties": properties, "geometry": mapping(raised)})
    path = tmp_path / "hà nội.geojson.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    boundaries = read_boundaries(path)
    assert boundaries.communes == (Commune("00097", "Phường Hồng Hà", "01"),)
    assert not shapely.has_z(boundaries.geometries).any()
    assert (boundaries.id, boundaries.source, boundaries.licence) == ("hà nội", "hà nội.geojson.gz", "")
    assert (boundaries.approximate, boundaries.valid_from, boundaries.valid_until) == (False, None, None)


def test_the_name_with_its_type_is_preferred(tmp_path: Path) -> None:
    """Phường Cái Khế rather than Cái Khế."""
    path = write(tmp_path / "x.geojson", collection(feature(name="Cái Khế", full_name="Phường Cái Khế")))
    assert read_boundaries(path).communes[0].name == "Phường Cái Khế"


def test_a_file_without_provinces_takes_the_one_that_is_given(tmp_path: Path) -> None:
    """A file of a single province rarely names it; where it does, the file is right."""
    named = feature()
    unnamed = feature()
    del unnamed["properties"]["province_code"]
    path = write(tmp_path / "x.geojson", collection(unnamed))
    assert read_boundaries(path, province="79").communes[0].province == "79"
    assert read_boundaries(write(path, collection(named)), province="79").communes[0].province == "92"


def test_what_the_caller_says_of_the_file_holds(tmp_path: Path) -> None:
    """Before the file's name and before what it says of itself."""
    path = write(tmp_path / "x.geojson", collection(feature()))
    since = datetime(2025, 7, 1, tzinfo=UTC)
    boundaries = read_boundaries(
        path, id="official", approximate=True, source="a decision", licence="open", valid_from=since
    )
    assert (boundaries.id, boundaries.source, boundaries.licence) == ("official", "a decision", "open")
    assert (boundaries.approximate, boundaries.valid_from) == (True, since)


def test_other_coordinate_systems_become_longitude_and_latitude(tmp_path: Path) -> None:
    """UTM metres and VN-2000, named in the crs member, land where they should."""
    frame = geopandas.GeoDataFrame(
        {"code": ["1"], "name": ["Xã A"], "province_code": ["92"]}, geometry=[SQUARE], crs=4326
    )
    for epsg in (32648, 3405):
        path = tmp_path / f"{epsg}.geojson"
        frame.to_crs(epsg).to_file(path, driver="GeoJSON")
        [polygon] = read_boundaries(path).geometries
        np.testing.assert_allclose(polygon.bounds, SQUARE.bounds, atol=1e-6)


def test_an_invalid_polygon_is_repaired_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bow tie becomes two triangles; the spike of a second one goes."""
    bow_tie = Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    spiked = Polygon([(2, 0), (3, 0), (3, 1), (2, 1), (2, 0.5), (1.5, 0.5), (2, 0.5)])
    path = write(
        tmp_path / "x.geojson", collection(feature(bow_tie, code="1", name="Xã A"), feature(spiked, code="2"))
    )
    with caplog.at_level(logging.WARNING):
        first, second = read_boundaries(path).geometries
    assert isinstance(first, MultiPolygon)
    assert first.is_valid
    assert first.area == pytest.approx(0.5)
    assert second.equals(box(2, 0, 3, 1))
    assert "1 Xã A" in caplog.text
    assert "Self-intersection" in caplog.text


BAD: dict[str, tuple[object, str]] = {
    "no code": (
        collection({"type": "Feature", "properties": {"id_x": 1, "name": "A"}, "geometry": mapping(SQUARE)}),
        r"no property with the code.*properties are id_x, name",
    ),
    "no name": (
        collection({"type": "Feature", "properties": {"code": "1", "x": "A"}, "geometry": mapping(SQUARE)}),
        r"no property with the name.*properties are code, x",
    ),
    "no province": (
        collection(
            {"type": "Feature", "properties": {"code": "1", "name": "A"}, "geometry": mapping(SQUARE)}
        ),
        r"no property with the province code.*name one of them province_code",
    ),
    "no properties": (
        collection({"type": "Feature", "properties": {}, "geometry": mapping(SQUARE)}),
        r"properties are none",
    ),
    "code empty": (collection(feature(), feature(code=None)), r"code is empty in 1 of 2 features.*feature 2"),
    "name blank": (collection(feature(name="  ")), r"name is empty.*feature 1"),
    "codes twice": (
        collection(feature(), feature(), feature(code="31135")),
        r"codes occur more than once: 31120: .*property code",
    ),
    "a point": (
        collection(feature(), feature(shapely.Point(105, 10), code="31135")),
        r"1 of 2 communes have no polygon.*31135 Phường Cái Khế has Point",
    ),
    "no geometry": (
        collection(feature(), feature(None, code="31135")),
        r"1 of 2 communes have no polygon.*has no geometry",
    ),
    "an empty polygon": (
        collection(feature(), feature(Polygon(), code="31135")),
        r"1 of 2 communes have no polygon",
    ),
    "no area": (
        collection(feature(Polygon([(0, 0), (1, 1), (0, 0), (1, 1), (0, 0)]))),
        r"a polygon has no area.*31120 Phường Cái Khế",
    ),
    "metres": (
        collection(feature(box(585000, 1105000, 586000, 1106000))),
        r"not longitude and latitude.*31120 Phường Cái Khế spans 585000, .*crs member",
    ),
    "a CRS that is none": (
        collection(
            feature(box(585000, 1105000, 586000, 1106000)),
            crs={"type": "name", "properties": {"name": "EPSG:99999999"}},
        ),
        r"not longitude and latitude",
    ),
    "no features": (collection(), r"has no communes"),
    "another kind of JSON": ({"communes": []}, r"is not GeoJSON|has no communes"),
    "a date without a zone": (
        {"type": "FeatureCollection", "boundary_set": {"valid_from": "2025-07-01"}, "features": [feature()]},
        r"valid_from is not a time with a zone.*2025-07-01",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_what_is_wrong_and_where(name: str, tmp_path: Path) -> None:
    """The message names the file, the place in it and the remedy; never a traceback of a library."""
    content, message = BAD[name]
    path = write(tmp_path / "bad.geojson", content)
    with pytest.raises(UserError, match=message) as error:
        read_boundaries(path)
    assert "bad.geojson" in error.value.where
    assert error.value.remedy


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("text.geojson", b"communes, of course", "is not GeoJSON"),
        ("empty.geojson", b"", "is not GeoJSON"),
        ("cut.geojson", json.dumps(collection(feature())).encode()[:-30], "is not GeoJSON"),
        ("binary.geojson", bytes(range(256)), "is not GeoJSON"),
        ("plain.geojson.gz", json.dumps(collection(feature())).encode(), "cannot be read"),
        (
            "cut.geojson.gz",
            gzip.compress(json.dumps(collection(feature())).encode(), mtime=0)[:-20],
            "cannot be read",
        ),
    ],
)
def test_what_is_no_geojson_is_refused(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    """Text, nothing, half a file, bytes of something else, and what is gzipped by name only or in part."""
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_boundaries(path)
    assert file in error.value.where


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path: Path) -> None:
    """Not found; found and not readable."""
    with pytest.raises(UserError, match="not found"):
        read_boundaries(tmp_path / "none.geojson")
    with pytest.raises(UserError, match="cannot be read"):
        read_boundaries(tmp_path)


def test_what_a_gz_unpacks_to_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file can unpack to more than the memory."""
    monkeypatch.setattr("geo.files.MAX_BYTES", 1 << 20)
    path = tmp_path / "x.geojson.gz"
    path.write_bytes(gzip.compress(b" " * (2 << 20)))
    with pytest.raises(UserError, match="more than 1 MiB unpacked"):
        read_boundaries(path)


def test_what_a_file_says_of_itself_may_be_nested_as_it_likes(tmp_path: Path) -> None:
    """Then it says nothing, and is read for its communes."""
    path = tmp_path / "x.geojson"
    path.write_bytes(b'{"type":"FeatureCollection","boundary_set":' + b"[" * 15_000)
    assert stated(path) == {}
    with pytest.raises(UserError, match="not GeoJSON"):
        read_boundaries(path)


@pytest.mark.parametrize("content", ["5", "[" * 5000, "null", "{"])
def test_a_damaged_list_of_active_sets_is_told(tmp_path: Path, content: str) -> None:
    """Whatever stands in it."""
    (tmp_path / "active.json").write_text(content)
    with pytest.raises(UserError, match="which boundaries are active"):
        active_refs(tmp_path)
