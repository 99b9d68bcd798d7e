"""Importing: every format gives the same set, and no bad file gets further than its report."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import Point, Polygon, box

from geo import reading
from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.files import write_boundaries
from geo.importing import Said, examine
from geo.official import Entry, OfficialList, official_list
from geo.reform import REFORM
from geo.report import Report
from ioc.errors import UserError

CODES = ["00001", "00002", "00003", "00004"]
SAID = Said(id="a-test")
_GEOD = Geod(ellps="WGS84")


def cell(number: int) -> Polygon:
    """One of four cells, two by two, of 0.1 degrees in the delta."""
    x, y = 105 + number % 2 / 10, 10 + number // 2 / 10
    return box(*np.round([x, y, x + 0.1, y + 0.1], 6))


OFFICIAL = OfficialList(
    "communes of a test",
    {
        code: Entry(
            Commune(code, f"Phường Số {number}", "92"),
            (cell(number).centroid.x, cell(number).centroid.y),
            abs(_GEOD.geometry_area_perimeter(cell(number))[0]) / 1e6,
        )
        for number, code in enumerate(CODES)
    },
)


def frame(**columns: list[str]) -> geopandas.GeoDataFrame:
    """The four communes, right."""
    named = columns or {
        "code": CODES,
        "name": [f"Phường Số {number}" for number in range(4)],
        "province_code": ["92"] * 4,
    }
    return geopandas.GeoDataFrame(named, geometry=[cell(number) for number in range(4)], crs=4326)


def changed(number: int, shape: shapely.Geometry | None) -> geopandas.GeoDataFrame:
    """The four with another geometry for one."""
    made = frame()
    made.loc[number, "geometry"] = shape
    return made


def reshaped(change: Callable[[np.ndarray], np.ndarray]) -> geopandas.GeoDataFrame:
    """The four with all coordinates changed."""
    return frame().set_geometry(shapely.transform(frame().geometry.values, change), crs=4326)


def written(made: geopandas.GeoDataFrame, path: Path) -> Path:
    made.to_file(path, engine="pyogrio")
    return path


def examined(path: Path, **said: object) -> tuple[Report, BoundarySet | None]:
    return examine(path, replace(SAID, **said), OFFICIAL)


def accepted(path: Path, **said: object) -> BoundarySet:
    report, boundaries = examined(path, **said)
    assert boundaries is not None, report.text()
    assert report.accepted
    assert report.ref == boundaries.ref
    return boundaries


def errors(path: Path, **said: object) -> set[str]:
    report, boundaries = examined(path, **said)
    assert boundaries is None
    assert not report.accepted
    assert report.text()
    assert json.dumps(report.as_dict())
    return {finding.check for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "shp", "fgb"])
def test_every_format_gives_the_same_set(tmp_path: Path, suffix: str) -> None:
    """GeoJSON, GeoPackage, Shapefile and FlatGeobuf of one content: the same communes and polygons."""
    made = frame().rename(columns={"province_code": "matinh"})
    boundaries = accepted(written(made, tmp_path / f"map.{suffix}"))
    assert boundaries.communes == tuple(entry.commune for entry in OFFICIAL.entries.values())
    for number, shape in enumerate(boundaries.geometries):
        assert shape.equals(cell(number))
    assert (boundaries.id, boundaries.source, boundaries.approximate) == ("a-test", f"map.{suffix}", False)


def test_a_zipped_shapefile_with_odd_names_is_read(tmp_path: Path) -> None:
    """In a folder of the ZIP, with a name that GDAL would take for instructions."""
    written(frame().rename(columns={"province_code": "matinh"}), tmp_path / "map.shp")
    path = tmp_path / "odd!name.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in tmp_path.glob("map.*"):
            archive.write(file, f"xã #1/ranh giới!{file.suffix}")
        archive.writestr("readme.txt", "read me")
        archive.writestr("__MACOSX/xã #1/._x.shp", "no shapefile")
    assert len(accepted(path).communes) == 4


def test_a_folder_of_one_feature_files_is_one_set(tmp_path: Path) -> None:
    """As public data sets have it: a file for each commune, in folders, with other files beside them."""
    for number in range(4):
        folder = tmp_path / "wards" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        written(
            frame(unit_code=CODES, unit_name=[f"Số {i}" for i in range(4)]).iloc[[number]],
            folder / f"{number}.geojson",
        )
    (tmp_path / "wards" / "LICENSE").write_text("MIT")
    boundaries = accepted(tmp_path, province="92")
    # The type of commune comes from the list, and so would the province.
    assert [commune.name for commune in boundaries.communes] == [f"Phường Số {number}" for number in range(4)]


def test_a_packed_geojson_is_read(tmp_path: Path) -> None:
    """As .gz."""
    path = tmp_path / "map.geojson.gz"
    path.write_bytes(gzip.compress(written(frame(), tmp_path / "map.geojson").read_bytes()))
    assert len(accepted(path).communes) == 4


@pytest.mark.parametrize("crs", [32648, 3405, 3857])
def test_any_coordinate_system_becomes_degrees(tmp_path: Path, crs: int) -> None:
    """UTM, VN-2000 and Web Mercator come out where they are, to a millimetre."""
    boundaries = accepted(written(frame().to_crs(crs), tmp_path / "map.gpkg"))
    for number, shape in enumerate(boundaries.geometries):
        assert shape.hausdorff_distance(cell(number)) < 1e-8


def test_a_file_without_coordinate_system_needs_one_unless_it_is_in_degrees(tmp_path: Path) -> None:
    """Degrees are taken as WGS 84, with a warning; metres are refused until --crs names them."""
    bare = frame().to_crs(32648).set_crs(None, allow_override=True)
    path = written(bare, tmp_path / "metres.shp")
    assert errors(path) == {"coordinates"}
    assert len(accepted(path, crs="EPSG:32648").communes) == 4
    report, boundaries = examined(
        written(frame().set_crs(None, allow_override=True), tmp_path / "degrees.shp")
    )
    assert boundaries is not None
    assert [finding.check for finding in report.findings] == ["crs"]


def test_columns_can_be_named(tmp_path: Path) -> None:
    """Where their names are not among the usual ones."""
    made = frame(a=CODES, b=[f"Phường Số {i}" for i in range(4)], c=["92"] * 4)
    path = written(made, tmp_path / "map.geojson")
    assert errors(path) == {"unreadable"}
    said = {"code_column": "a", "name_column": "b", "province_column": "c"}
    assert len(accepted(path, **said).communes) == 4
    assert errors(path, **{**said, "name_column": "d"}) == {"unreadable"}


def test_a_layer_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    """The one with areas is taken by itself; of two the person says which."""
    path = tmp_path / "map.gpkg"
    frame().to_file(path, layer="communes", engine="pyogrio")
    points = frame()
    points.geometry = points.representative_point()
    points.to_file(path, layer="seats", engine="pyogrio")
    assert len(accepted(path).communes) == 4
    frame().to_file(path, layer="again", engine="pyogrio")
    assert errors(path) == {"unreadable"}
    assert len(accepted(path, layer="again").communes) == 4


def test_an_approximate_set_stays_approximate(tmp_path: Path) -> None:
    """What this program wrote as approximate is not official after an import."""
    made = boundary_set(
        id="x",
        approximate=True,
        source="",
        licence="",
        communes=[entry.commune for entry in OFFICIAL.entries.values()],
        geometries=[cell(number) for number in range(4)],
    )
    write_boundaries(made, tmp_path / "x.geojson")
    again = accepted(tmp_path / "x.geojson")
    assert again.approximate
    assert again.version == made.version


def test_a_map_of_the_past_is_held_against_the_list_of_its_time(tmp_path: Path) -> None:
    """A set that ended on 1 July 2025 has former codes: province 93 is right then, and unknown to one that
    still holds."""
    former = official_list(REFORM)
    codes = sorted(former.codes("93"))
    made = geopandas.GeoDataFrame(
        {"code": codes, "name": [former.entries[code].commune.name for code in codes], "matinh": "93"},
        geometry=[Point(former.entries[code].point).buffer(0.001) for code in codes],
        crs=4326,
    )
    path = written(made, tmp_path / "old.geojson")
    accept = frozenset({"overlap"})
    report, boundaries = examine(path, replace(SAID, valid_until=REFORM, accept=accept))
    assert boundaries is not None, report.text()
    assert {(commune.province, commune.former_province) for commune in boundaries.communes} == {("92", "93")}
    report, boundaries = examine(path, replace(SAID, accept=accept))
    assert boundaries is None
    assert {"unknown-code", "province"} <= {finding.check for finding in report.findings}


# Bad files: how each is made, and what the report must say of it.

ONCE_TWICE = ["00001", "00001", "00003", "00004"]
ONE_UNKNOWN = ["00001", "00002", "00003", "99999"]
MIDDLE = np.array([105.1, 10.1])

BAD: dict[str, tuple[Callable[[], geopandas.GeoDataFrame], set[str]]] = {
    "swapped": (lambda: reshaped(lambda points: points[:, ::-1]), {"swapped"}),
    "duplicated": (lambda: frame(code=ONCE_TWICE), {"duplicate-code", "missing-code"}),
    "unknown": (
        lambda: frame(code=ONE_UNKNOWN, name=["x"] * 4, matinh=["92"] * 4),
        {"unknown-code", "missing-code"},
    ),
    "unknown, without a name": (lambda: frame(code=ONE_UNKNOWN), {"unreadable"}),
    "missing": (lambda: frame().iloc[:3], {"missing-code"}),
    "another province": (lambda: frame(code=CODES, matinh=["93"] * 4), {"province"}),
    "overlap": (lambda: changed(0, box(105, 10, 105.102, 10.1)), {"overlap"}),
    "gap": (lambda: changed(0, cell(0).difference(box(105.05, 10.05, 105.055, 10.055))), {"gap"}),
    "another system": (
        lambda: frame().to_crs(32648).set_crs(32649, allow_override=True),
        {"displaced"},
    ),
    "abroad": (lambda: reshaped(lambda points: points - 50), {"displaced", "area"}),
    "metres called degrees": (
        lambda: frame().to_crs(32648).set_crs(4326, allow_override=True),
        {"coordinates"},
    ),
    "a line": (lambda: changed(1, cell(1).exterior), {"not-polygon"}),
    "a point": (lambda: changed(1, Point(105, 10)), {"not-polygon"}),
    "no geometry": (lambda: changed(1, None), {"not-polygon"}),
    "empty polygon": (lambda: changed(1, Polygon()), {"not-polygon"}),
    "flat": (lambda: changed(1, Polygon([(105, 10), (105.1, 10), (105, 10)])), {"not-polygon"}),
    "no code": (lambda: frame(name=["x"] * 4), {"unreadable"}),
    "empty code": (lambda: frame(code=["00001", "", "00003", "00004"]), {"unreadable"}),
    "no features": (lambda: frame().iloc[:0], {"unreadable"}),
    "areas": (lambda: reshaped(lambda points: (points - MIDDLE) * 0.9 + MIDDLE), {"area"}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    """Nothing raises, nothing is accepted, and the finding is the one that helps."""
    make, expected = BAD[name]
    assert errors(written(make(), tmp_path / "bad.gpkg")) == expected


def test_an_invalid_ring_is_repaired_and_told(tmp_path: Path) -> None:
    """A spike drawn twice is no reason to refuse; the report says what was done."""
    spike = Polygon(
        [(105, 10), (105.1, 10), (105.1, 10.1), (105.05, 10.1), (105.05, 10.12), (105.05, 10.1), (105, 10.1)]
    )
    report, boundaries = examined(written(changed(0, spike), tmp_path / "map.geojson"))
    assert boundaries is not None, report.text()
    assert shapely.is_valid(boundaries.geometries).all()
    assert ("repaired", "geometry") in {(finding.severity, finding.check) for finding in report.findings}


def test_a_person_may_take_on_some_errors_only(tmp_path: Path) -> None:
    """--accept makes warnings of what the file may know better; what cannot be used stays refused."""
    path = written(frame().iloc[:3], tmp_path / "map.geojson")
    report, boundaries = examined(path, accept=frozenset({"missing-code"}))
    assert boundaries is not None
    assert [finding.severity for finding in report.findings] == ["warning"]
    with pytest.raises(UserError, match="swapped is not possible"):
        examined(path, accept=frozenset({"swapped"}))


def test_an_accepted_overlap_stays_as_it_is(tmp_path: Path) -> None:
    """Repairing it would give the land to one of the two."""
    path = written(changed(0, box(105, 10, 105.102, 10.1)), tmp_path / "map.geojson")
    _, boundaries = examined(path, accept=frozenset({"overlap"}))
    assert boundaries is not None
    assert boundaries.geometries[0].equals(box(105, 10, 105.102, 10.1))


@pytest.mark.parametrize("id", ["", "A", "a/b", "../x", "a..b", "a@b", "x" * 80, "-a"])
def test_an_id_must_be_fit_for_a_file_name(tmp_path: Path, id: str) -> None:
    """It names a file, and is cited as id@version."""
    with pytest.raises(UserError, match="--id"):
        examined(written(frame(), tmp_path / "map.geojson"), id=id)


def test_a_missing_file_is_the_persons_mistake(tmp_path: Path) -> None:
    """Not a refusal of a content."""
    with pytest.raises(UserError, match="not found"):
        examined(tmp_path / "none.geojson")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.geojson", b""),
        ("text.geojson", b"hello"),
        ("half.geojson", b'{"type":"FeatureCollection","features":[{"type":"Fea'),
        ("none.geojson", b'{"type":"FeatureCollection","features":[]}'),
        ("deep.geojson", b"[" * 100_000),
        ("null.geojson", b'{"type":"FeatureCollection","features":'
         b'[{"type":"Feature","properties":null,"geometry":null}]}'),
        ("ring.geojson", b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"00001"},'
         b'"geometry":{"type":"Polygon","coordinates":[[[105,10],[105.1,10]]]}}]}'),
        ("no.shp", b"\x00\x00\x27\x0a" + b"\xff" * 200),
        ("no.gpkg", b"SQLite format 3\x00" + b"\xff" * 200),
        ("no.fgb", b"fgb\x03fgb\x00" + b"\xff" * 200),
        ("no.zip", b"PK\x03\x04" + b"\xff" * 200),
        ("no.gz", b"\x1f\x8b\x08" + b"\xff" * 200),
        ("short.geojson.gz", gzip.compress(b"{" * 10_000, mtime=0)[:-6]),
        ("pointer.geojson", b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource>'
         b"</OGRVRTLayer></OGRVRTDataSource>"),
        ("pipeline.json", b'{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read x"}'),
    ],
)  # fmt: skip
def test_what_is_no_map_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Damaged, foreign and malicious files end in a report."""
    (tmp_path / name).write_bytes(content)
    assert errors(tmp_path / name) & {"unreadable", "not-polygon"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from(
        [b"", b"{", b"PK\x03\x04", b"fgb\x03fgb\x00", b"SQLite format 3\x00", b"\x00\x00\x27\x0a"]
    ),
    tail=st.binary(max_size=300),
    suffix=st.sampled_from([".geojson", ".zip", ".gz", ".shp", ".gpkg", ".fgb", ""]),
)
def test_no_bytes_raise(tmp_path: Path, head: bytes, tail: bytes, suffix: str) -> None:
    """Whatever a file holds, importing it ends in a refusal."""
    path = tmp_path / f"any{suffix}"
    path.write_bytes(head + tail)
    assert errors(path) == {"unreadable"}


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    ["../out.geojson", "/tmp/out.geojson", "a/../../out.geojson", "..\\out.geojson", "C:\\out.geojson"],
)
def test_a_zip_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    """Not even unpacked in part."""
    path = _zip(tmp_path / "x.zip", {name: written(frame(), tmp_path / "map.geojson").read_bytes()})
    report, boundaries = examined(path)
    assert boundaries is None
    assert "outside its folder" in report.text()
    assert not (tmp_path.parent / "out.geojson").exists()


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    """A member that says it is a link to a file elsewhere is left out."""
    secret = written(frame(), tmp_path / "secret.geojson")
    path, link = tmp_path / "x.zip", zipfile.ZipInfo("map.geojson")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, str(secret))
    assert errors(path) == {"unreadable"}


@pytest.mark.parametrize("packer", ["zip", "gz"])
def test_what_unpacks_to_too_much_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packer: str
) -> None:
    """Bytes are counted as they come out, whatever the headers say, and the disk is free again afterwards."""
    monkeypatch.setattr(reading, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(reading.tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    bomb = bytes(3 << 20)
    path = tmp_path / f"bomb.geojson.{packer}"
    if packer == "zip":
        _zip(path, {"a.geojson": bomb})
        content = path.read_bytes().replace((3 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
        lying = tmp_path / "lying.zip"
        lying.write_bytes(content)
        assert errors(lying) == {"unreadable"}
        several = _zip(tmp_path / "several.zip", {f"{i}.geojson": bytes(400_000) for i in range(4)})
        assert "larger than anything known" in examined(several)[0].text()
    else:
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb") as packed:
            packed.write(bomb)
        path.write_bytes(buffer.getvalue())
    report, _ = examined(path)
    assert "larger than anything known" in report.text()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_too_many_files_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a ZIP and in a folder."""
    monkeypatch.setattr(reading, "MAX_FILES", 3)
    path = _zip(tmp_path / "x.zip", {f"{i}.geojson": b"{}" for i in range(4)})
    assert "more than 3 files" in examined(path)[0].text()
    for i in range(4):
        (tmp_path / f"{i}.geojson").write_text("{}")
    assert "more than 3 files" in examined(tmp_path)[0].text()


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    """Python says so with a RuntimeError; a person gets a report."""
    path = _zip(tmp_path / "x.zip", {"map.geojson": b"{}"})
    content = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + offset] |= 1
    path.write_bytes(content)
    assert errors(path) == {"unreadable"}
