"""What ships of public data sets: names, sizes and hashes that are whole, and no geometry."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from geo import catalogue
from geo.catalogue import ENTRIES, Entry, find_entry, parse_manifest
from geo.official import official_list
from geo.reform import REFORM
from ioc.errors import UserError

HEAD = "code,path,bytes,sha256\n"
HASH = "0" * 64


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_every_manifest_names_the_communes_of_its_province(entry: Entry) -> None:
    """One file for each official code, no more and no less."""
    codes = {file.name.partition("_")[0] for file in entry.manifest()}
    assert codes == official_list(None).codes(entry.province)
    assert len(entry.manifest()) == len(codes)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_every_entry_is_pinned(entry: Entry) -> None:
    """To a commit, over https, with a licence and a date that has a zone."""
    assert len(entry.commit) == 40
    assert entry.base == f"https://raw.githubusercontent.com/{entry.repository}/{entry.commit}/"
    assert entry.licence
    assert entry.valid_from == REFORM
    assert isinstance(entry.valid_from, datetime)
    assert entry.valid_from.tzinfo is not None


def test_no_geometry_ships() -> None:
    """The directory has code and manifests alone, and a line of a manifest is no longer than a hash needs."""
    files = [path for path in Path(catalogue.__file__).parent.iterdir() if path.name != "__pycache__"]
    assert {path.suffix for path in files} == {".py", ".csv"}
    lines = [line for path in files if path.suffix == ".csv" for line in path.read_text().splitlines()]
    assert max(map(len, lines)) < 200
    assert {line.count(",") for line in lines} == {3}


def test_an_unknown_entry_is_told_with_those_there_are() -> None:
    """A person mistypes."""
    with pytest.raises(UserError, match="can-tho-2025"):
        find_entry("can-to")


@pytest.mark.parametrize(
    "row",
    [
        f"1,/etc/passwd,1,{HASH}",
        f"1,a/../../b,1,{HASH}",
        f"1,a/.hidden,1,{HASH}",
        f"1,,1,{HASH}",
        f"1,a,0,{HASH}",
        f"1,a,x,{HASH}",
        "1,a,1,abc",
        f"1,a/x,1,{HASH}\n2,b/x,1,{HASH}",
    ],
)
def test_a_manifest_that_could_write_elsewhere_is_refused(row: str) -> None:
    """Paths stay below, sizes and hashes are usable, names do not collide."""
    with pytest.raises(ValueError):  # noqa: PT011
        parse_manifest(HEAD + row + "\n")
