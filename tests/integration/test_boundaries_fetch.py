"""`ioc boundaries fetch` against a real server on loopback: whole, interrupted, damaged, missing, proxied."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import shapely
from typer.testing import CliRunner

from geo import catalogue
from geo.approximate import approximate_set
from geo.catalogue import Entry, RemoteFile
from geo.reform import REFORM
from geo.store import load_stored, store_directory, stored_sets
from ioc.commands.boundaries import app
from ioc.downloads import fetch_files
from ioc.errors import UserError
from ioc.ports import free_port

OFFICIAL = Path(__file__).resolve().parents[2].parent / "shared" / "boundaries" / "can-tho-2025.geojson.gz"
#: Enough attempts to see that there are several, without waiting for them.
AT_ONCE = (0.0, 0.0)


@dataclass
class Site:
    """A web server with files, and what is wrong with it."""

    files: dict[str, bytes]
    address: str = ""
    #: Paths of all requests that came.
    asked: Counter[str] = field(default_factory=Counter)
    #: Answers to give once each before the right one, by path.
    status: dict[str, list[int]] = field(default_factory=dict)
    #: Paths whose answers end after so many bytes.
    cut: dict[str, int] = field(default_factory=dict)
    #: Hosts that requests were meant for, where this is taken for a proxy.
    hosts: set[str] = field(default_factory=set)


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            path = unquote(url.path).removeprefix("/")
            if url.hostname:
                site.hosts.add(url.hostname)
            site.asked[path] += 1
            if site.status.get(path):
                self.send_error(site.status[path].pop(0))
                return
            if path not in site.files:
                self.send_error(404)
                return
            content = site.files[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: site.cut.get(path, len(content))])
            if path in site.cut:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with twelve small files, one of them of an odd name."""
    names = [f"a/b/{number:02}.geojson" for number in range(11)] + ["a/b/xã #1 %.geojson"]
    made = Site({name: f"content of {name}".encode() * 50 for name in names})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's proxies are no part of what is tested."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def manifest(files: dict[str, bytes]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items()
    )


def fetched(site: Site, directory: Path, said: list[str] | None = None) -> int:
    say = said.append if said is not None else (lambda _: None)
    return fetch_files(manifest(site.files), site.address, directory, say, AT_ONCE)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def whole(site: Site) -> dict[str, bytes]:
    return {Path(path).name: content for path, content in site.files.items()}


def test_all_files_come_once_and_progress_is_told(site: Site, tmp_path: Path) -> None:
    """Each is asked for once; a second call asks for nothing."""
    said: list[str] = []
    assert fetched(site, tmp_path, said) == 12
    assert contents(tmp_path) == whole(site)
    assert set(site.asked.values()) == {1}
    assert said[0].startswith("fetching 12 of 12 files")
    assert said[-1] == "12 of 12 files"
    assert fetched(site, tmp_path) == 0
    assert sum(site.asked.values()) == 12


def test_an_interrupted_fetch_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    """A connection that breaks off ends it after some attempts with a remedy; what has come is kept and not
    asked for again, and no part of a file is taken for a file."""
    broken = "a/b/07.geojson"
    site.cut[broken] = 100
    with pytest.raises(UserError, match=r"cannot fetch 07\.geojson.*start again"):
        fetched(site, tmp_path)
    assert site.asked[broken] == 1 + len(AT_ONCE)
    there = contents(tmp_path)
    assert there.items() < whole(site).items()
    assert "00.geojson" in there
    before = site.asked.copy()
    site.cut.clear()
    assert fetched(site, tmp_path) == 12 - len(there)
    assert contents(tmp_path) == whole(site)
    assert {path for path in site.asked if site.asked[path] > before[path]} == {
        path for path in site.files if Path(path).name not in there
    }


def test_a_damaged_file_in_the_directory_is_fetched_again(site: Site, tmp_path: Path) -> None:
    """And only that one."""
    fetched(site, tmp_path)
    (tmp_path / "03.geojson").write_bytes(b"damaged")
    assert fetched(site, tmp_path) == 1
    assert contents(tmp_path) == whole(site)


@pytest.mark.parametrize(
    "change", [lambda content: b"X" + content[1:], lambda content: content * 2, lambda _: b""]
)
def test_a_file_that_is_another_is_never_kept(site: Site, tmp_path: Path, change: object) -> None:
    """Of the right length, longer, or empty: the hash or the size tells, and the file is not there."""
    files = manifest(site.files)
    site.files["a/b/05.geojson"] = change(site.files["a/b/05.geojson"])
    with pytest.raises(UserError, match=r"05\.geojson.*(SHA-256|larger)"):
        fetch_files(files, site.address, tmp_path, lambda _: None, AT_ONCE)
    assert "05.geojson" not in contents(tmp_path)
    assert not [name for name in contents(tmp_path) if name.startswith(".")]


def test_a_missing_file_is_told_at_once(site: Site, tmp_path: Path) -> None:
    """404 is no passing thing: one attempt, and where else the files may be."""
    files = (*manifest(site.files), RemoteFile("a/gone.geojson", 1, "0" * 64))
    with pytest.raises(UserError, match=r"does not have gone\.geojson.*404.*--from"):
        fetch_files(files, site.address, tmp_path, lambda _: None, AT_ONCE)
    assert site.asked["a/gone.geojson"] == 1


def test_passing_errors_are_tried_again(site: Site, tmp_path: Path) -> None:
    """A server that is busy twice and then answers; one that stays busy is given up."""
    site.status["a/b/02.geojson"] = [503, 429]
    assert fetched(site, tmp_path / "one") == 12
    assert site.asked["a/b/02.geojson"] == 3
    site.status["a/b/02.geojson"] = [500] * 10
    with pytest.raises(UserError, match="500"):
        fetched(site, tmp_path / "two")
    assert site.asked["a/b/02.geojson"] == 6


def test_no_network_is_told_as_such(tmp_path: Path) -> None:
    """Nobody listens: a person is told what to check, and nothing is left behind."""
    files = manifest({"a.geojson": b"x"})
    with pytest.raises(UserError, match="check the network and HTTPS_PROXY"):
        fetch_files(files, f"http://127.0.0.1:{free_port()}/", tmp_path, lambda _: None, AT_ONCE)
    assert contents(tmp_path) == {}


def test_the_proxy_of_the_environment_is_used(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that nobody can find is asked for through the proxy, and NO_PROXY goes round it."""
    monkeypatch.setenv("http_proxy", site.address)
    fetch_files(manifest(site.files), "http://data.invalid/", tmp_path / "one", lambda _: None, AT_ONCE)
    assert site.hosts == {"data.invalid"}
    monkeypatch.setenv("no_proxy", "data.invalid")
    with pytest.raises(UserError, match="check the network"):
        fetch_files(manifest(site.files), "http://data.invalid/", tmp_path / "two", lambda _: None, AT_ONCE)


@pytest.mark.parametrize("base", ["file:///etc/", "ftp://host/", "host/path", ""])
def test_only_web_addresses_are_fetched_from(tmp_path: Path, base: str) -> None:
    """A mistyped address is told before anything happens."""
    with pytest.raises(UserError, match="not a web address"):
        fetch_files((), base, tmp_path, lambda _: None)


@dataclass(frozen=True)
class _TestEntry(Entry):
    """An entry whose manifest is that of the test's files."""

    held: tuple[RemoteFile, ...] = ()

    def manifest(self) -> tuple[RemoteFile, ...]:
        return self.held


def _one_feature(code: str, name: str, shape: shapely.Geometry) -> bytes:
    feature = {
        "type": "Feature",
        "properties": {"unit_code": code, "unit_name": name},
        "geometry": shapely.geometry.mapping(shape),
    }
    return json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of the test's own; returns the store's."""
    monkeypatch.setenv("IOC_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("IOC_CACHE_DIR", str(tmp_path / "cache"))
    return store_directory(tmp_path / "state")


def _offer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue's entry, with the hashes of what the server has."""
    entry = _TestEntry(
        id="can-tho-2025",
        title="a test",
        repository="someone/something",
        commit="0" * 40,
        licence="MIT",
        valid_from=REFORM,
        province="92",
        held=manifest(site.files),
    )
    monkeypatch.setattr(catalogue, "ENTRIES", (entry,))


def test_what_was_fetched_is_checked_and_refused_like_any_file(
    site: Site, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right hashes do not make a map right: approximate polygons have wrong areas, which is refused with 1
    until a person takes it on."""
    made = approximate_set(["92"])
    site.files = {
        f"w/{commune.code}.geojson": _one_feature(commune.code, commune.name, shape)
        for commune, shape in zip(made.communes, made.geometries, strict=True)
    }
    _offer(site, monkeypatch)
    call = ["fetch", "can-tho-2025", "--from", site.address]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1, result.output
    assert "refused" in result.output
    assert stored_sets(program) == []
    result = CliRunner().invoke(app, [*call, "--accept", "area", "--accept", "displaced", "--accept", "gap"])
    assert result.exit_code == 0, result.output
    assert set(site.asked.values()) == {1}
    [stored] = stored_sets(program)
    assert (stored.id, stored.communes, stored.valid_from) == ("can-tho-2025", 103, REFORM)
    assert stored.licence == "MIT"
    assert "someone/something" in stored.source


@pytest.mark.skipif(not OFFICIAL.exists(), reason=f"the official polygons are not at {OFFICIAL}")
def test_the_official_polygons_are_fetched_imported_listed_and_shown(
    site: Site, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command, from an empty directory to a set that a person can look at."""
    features = json.loads(gzip.decompress(OFFICIAL.read_bytes()))["features"]
    site.files = {
        f"wards/{one['properties']['code']}.geojson": _one_feature(
            one["properties"]["code"], one["properties"]["name"], shapely.geometry.shape(one["geometry"])
        )
        for one in features
    }
    _offer(site, monkeypatch)
    report = tmp_path / "report.json"
    call = ["fetch", "can-tho-2025", "--from", site.address, "--report", str(report)]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert sum(line.split()[:2] == ["repaired", "border"] for line in result.output.splitlines()) == 3
    assert json.loads(report.read_text())["accepted"] is True
    [stored] = stored_sets(program)
    assert len(load_stored(stored).communes) == 103

    result = CliRunner().invoke(app, ["list"])
    assert "can-tho-2025" in result.output
    assert result.output.splitlines()[1].split()[2:4] == ["no", "103"]
    [listed] = json.loads(CliRunner().invoke(app, ["list", "--json"]).output)
    assert listed["communes"] == 103
    result = CliRunner().invoke(app, ["show", "can-tho-2025"])
    assert "Phường Cái Khế" in result.output
    shown = json.loads(CliRunner().invoke(app, ["show", "can-tho-2025", "--json"]).output)
    assert sum(commune["area_km2"] for commune in shown["communes"]) == pytest.approx(6353, abs=2)
