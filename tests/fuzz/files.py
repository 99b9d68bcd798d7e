"""Files that people write or get from elsewhere: each is read, or a `UserError` says what is wrong."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import geopandas
import shapely
import yaml

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.written import parse_rules
from geo.files import read_boundaries, stated
from geo.reading import read_features
from ioc.errors import UserError
from ioc.operators import parse_operators
from streams.access.parties import parse_parties
from streams.inventory import parse_inventory
from streams.recording import read_recording
from streams.recording_index import load_configurations, load_index
from streams.schemas import MEASURES
from tests.fuzz.target import Target

ROOT = Path(__file__).resolve().parents[2]
PARTIES = ROOT / "deploy" / "access" / "parties.example.yaml"
EVERY_RULE = ROOT / "tests" / "unit" / "alerts" / "rules" / "every-kind.yaml"

INVENTORY = b"""\
version: 1
kinds:
  street: {interval: 5m, plausible: {road_depth_m: {least: 0, greatest: 3, step: 0.5, stuck: 6h}}}
sources:
  - {id: street-1, stream: flood, name: {vi: S1, en: S1}, kind: street, lon: 105.7, lat: 10.0, owner: x}
  - id: gauge-1
    stream: flood
    name: {vi: G, en: G}
    kind: gauge
    lon: 105.7
    lat: 10.0
    thresholds:
      - {name: bd3, value: 2, since: 2025-01-01T00:00:00+07:00, until: 2026-01-01T00:00:00+07:00, citation: x}
"""
SUBSCRIPTIONS = b"""\
version: 1
agencies:
  - {id: fire, name: {vi: C, en: F}, severity: minor, languages: [vi, en], hazards: [flood], release: true}
"""
MAINTENANCE = b"""\
version: 1
windows:
  - id: works
    since: "2025-10-08T12:20:00+07:00"
    until: "2025-10-08T12:50:00+07:00"
    sources: [street-2]
    reason: {vi: S, en: R}
"""
OPERATORS = b"""\
version: 1
operators:
  - {id: an, name: An, role: operator, password: $argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNo}
"""
#: Text that means far more than it says: nine times nine times ...
LAUGHS = b"version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 9)
)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What a person can mend is no failure, if it is said to him."""
    try:
        yield
    except UserError as error:
        if not error.what:
            raise AssertionError("it is not said what is wrong") from error


def _text(parse: Callable[[str, str], Any], data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return  # told by whoever reads the file
    with _told():
        parse(text, "f.yaml")


def _yaml(name: str, parse: Callable[[str, str], Any], *seeds: bytes, **more: Any) -> Target:
    # JSON is YAML, and its values can be changed one by one.
    as_json = [
        json.dumps(yaml.safe_load(seed), default=lambda time: time.isoformat()).encode() for seed in seeds
    ]
    return Target(name, [*as_json, *seeds, LAUGHS], lambda data: _text(parse, data), **more)


# Boundaries


def communes() -> bytes:
    """Two square communes."""
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": f"Xã {code}", "province_code": "92"},
            "geometry": shapely.geometry.mapping(shapely.box(west, 10, west + 0.1, 10.1)),
        }
        for code, west in (("31120", 105.7), ("31121", 105.8))
    ]
    said = {"id": "x", "version": "1", "approximate": True, "valid_from": "2025-07-01T00:00:00+07:00"}
    return json.dumps({"type": "FeatureCollection", "boundary_set": said, "features": features}).encode()


@cache
def packed(kind: str) -> bytes:
    """The communes in another format."""
    if kind == "geojson":
        return communes()
    if kind == "gz":
        return gzip.compress(communes(), mtime=0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a shapefile's names are short
        frame = geopandas.read_file(io.BytesIO(communes()))
        if kind == "gpkg":
            frame.to_file(Path(folder) / "x.gpkg")
            return (Path(folder) / "x.gpkg").read_bytes()
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            frame.to_file(Path(folder) / "x.shp")
            for file in sorted(Path(folder).glob("x.*")):
                archive.write(file, file.name)
            if kind == "zip":
                archive.writestr("deeper/y.geojson", communes())
        return made.getvalue()


def _boundaries(suffix: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        path.write_bytes(data)
        with _told():
            read_features(path)
        if suffix in (".geojson", ".geojson.gz"):
            with contextlib.suppress(OSError):
                stated(path)
            with _told():
                read_boundaries(path)
        assert [one.name for one in Path(folder).iterdir()] == [path.name], "it wrote beside the file"


def _boundary_target(name: str, suffix: str, kind: str) -> Target:
    return Target(name, [packed(kind)], lambda data: _boundaries(suffix, data), share=0.03, seconds=3.0)


# Recordings


RECORDING = b"""\
{"clock":"2025-10-08T12:00:00+07:00"}
{"stream":"flood","at":"2025-10-08T12:00:01+07:00","event":{"id":"e","source":"s","time":"2025-10-08T12:00:00+07:00"}}
{"stream":"flood","at":"2025-10-08T12:00:02+07:00","key":"s","raw":"no event"}
{"stream":"camera","at":"2025-10-08T12:00:03+07:00","key":"s","base64":"/w=="}
{"clock":"2025-10-08T12:00:05+07:00","run":"r"}
"""


def _recording(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("x.ndjson", "x.ndjson.gz"):
            path = Path(folder) / name
            path.write_bytes(data)
            with _told():
                for _ in read_recording(path):
                    pass


def _beside(data: bytes) -> None:
    """The files beside a recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ndjson"
        path.write_bytes(RECORDING)
        for suffix in (".index.json", ".config.json"):
            (Path(folder) / f"x.ndjson{suffix}").write_bytes(data)
        load_index(path)
        with _told():
            load_configurations(path)


def targets() -> list[Target]:
    """The targets of this file."""
    rules = EVERY_RULE.read_bytes()
    small = b"\n".join(rules.split(b"\n")[:20]) + b"\n"
    lines = RECORDING.splitlines(keepends=True)
    return [
        _yaml(
            "rules",
            lambda text, name: parse_rules(text, name, MEASURES),
            small,
            rules,
            share=0.05,
            seconds=3.0,
        ),
        _yaml("inventory", parse_inventory, INVENTORY, share=0.2),
        _yaml("subscriptions", parse_subscriptions, SUBSCRIPTIONS, share=0.3),
        _yaml("maintenance", parse_maintenance, MAINTENANCE, share=0.3),
        _yaml("operators", parse_operators, OPERATORS, share=0.3),
        _yaml("parties", parse_parties, PARTIES.read_bytes(), share=0.3),
        _boundary_target("boundaries-geojson", ".geojson", "geojson"),
        _boundary_target("boundaries-gz", ".geojson.gz", "gz"),
        _boundary_target("boundaries-gpkg", ".gpkg", "gpkg"),
        _boundary_target("boundaries-zip", ".zip", "zip"),
        Target(
            "recording",
            [RECORDING, lines[0] + lines[1] + lines[4], gzip.compress(RECORDING, mtime=0)],
            _recording,
            0.3,
        ),
        Target("beside-recording", [b'{"version":1}'], _beside, share=0.1),
    ]
