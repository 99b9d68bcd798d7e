"""Reading the features of a file, a folder or a ZIP through GDAL, whatever is in it.

The input is not trusted: what is packed is unpacked within bounds, GDAL sees files of plain names in a
directory made for it, and formats that only point elsewhere (to other files, to the web) are refused.
"""

from __future__ import annotations

import gzip
import stat
import tempfile
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import geopandas
import numpy as np
import pandas
import pyogrio

from geo.columns import properties
from ioc.errors import UserError

#: What a ZIP or .gz may unpack to, and a file or folder may hold: bytes (the whole country in full detail is
#: about 200 MB as GeoJSON), and files.
MAX_BYTES = 1 << 30
MAX_FILES = 20_000

#: What is read in a folder or ZIP that holds other things too (.dbf, .prj, read-me files).
SUFFIXES = frozenset(
    {".geojson", ".json", ".topojson", ".geojsonl", ".gpkg", ".shp", ".fgb", ".kml", ".gml", ".tab", ".mif"}
)
#: Words near the start of files that make GDAL open other files or addresses.
_POINTERS = (
    b"<OGRVRTDataSource",
    b"<VRTDataset",
    b"<OGRWFSDataSource",
    b"WFS_Capabilities",
    b"gdal_streamed_alg",
)
_HEAD = 8192
_CHUNK = 1 << 20

_REMEDY = "give GeoJSON, GeoPackage, Shapefile or FlatGeobuf, a folder of them, or a ZIP"


@dataclass(frozen=True)
class Features:
    """What was read, in WGS 84 degrees."""

    frame: geopandas.GeoDataFrame
    files: int
    #: Files that name no coordinate system and were taken to be in WGS 84 degrees.
    without_crs: int
    #: What GDAL warned of, each once.
    warnings: tuple[str, ...] = ()


def read_features(path: Path, *, crs: str | None = None, layer: str | None = None) -> Features:
    """All features of a file, of every file in a folder (and those below), or of a ZIP.

    `crs` (such as EPSG:9216) holds instead of what the files say of their coordinate system. Raises
    `UserError` where there is nothing to be read, a bound is exceeded, or several layers leave a choice.
    """
    if not path.exists():
        raise UserError("boundaries file not found", str(path), "correct the path")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ioc-boundaries-") as scratch,
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            frames = [_read(file, crs, layer) for file in _stage(path, Path(scratch))]
            said = dict.fromkeys(str(warning.message).replace(f"{scratch}/", "") for warning in caught)
    except OSError as error:
        raise UserError(
            "boundaries file cannot be read", f"{path}: {error}", "check the file and its permissions"
        ) from None
    frame = frames[0][0]
    if len(frames) > 1:
        parts = [part for part, _ in frames]
        frame = geopandas.GeoDataFrame(pandas.concat(parts, ignore_index=True), geometry="geometry", crs=4326)
    return Features(frame, len(frames), sum(without for _, without in frames), tuple(said))


@dataclass(frozen=True)
class _Staged:
    """A file for GDAL, and what to call it to a person."""

    path: Path
    shown: str


def _stage(path: Path, scratch: Path) -> list[_Staged]:
    """Links of plain names to the files to read."""
    unpacked = scratch / "unpacked"
    if path.is_dir() and path.suffix.lower() != ".gdb":
        files = _below(path, path)
    elif path.suffix.lower() == ".zip":
        _unzip(path, unpacked)
        files = _below(unpacked, path)
    elif path.suffix.lower() == ".gz":
        unpacked.mkdir()
        target = unpacked / Path(path.stem).name
        with gzip.open(path) as packed:
            _copy(packed, target, MAX_BYTES, path)
        files = [target]
    else:
        files = [path]
    staged = []
    for number, file in enumerate(files):
        shown = str(path) if file == path or len(files) == 1 else f"{path}: {file.name}"
        _refuse_pointer(file, shown)
        link = scratch / f"{number}{file.suffix.lower()}"
        link.symlink_to(file.resolve(), target_is_directory=file.is_dir())
        if file.suffix.lower() in (".shp", ".tab", ".mif"):
            for beside in file.parent.glob("*"):
                if beside != file and beside.stem == file.stem and beside.is_file():
                    (scratch / f"{number}{beside.suffix.lower()}").symlink_to(beside.resolve())
        staged.append(_Staged(link, shown))
    return staged


def _below(folder: Path, path: Path) -> list[Path]:
    files, size = [], 0
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts)
        if hidden or file.suffix.lower() not in SUFFIXES or not file.is_file():
            continue
        files.append(file)
        size += file.stat().st_size
        if len(files) > MAX_FILES or size > MAX_BYTES:
            raise _too_large(path)
    if not files:
        raise UserError("no boundaries are in it", f"{path}: no file {', '.join(sorted(SUFFIXES))}", _REMEDY)
    return files


def _unzip(path: Path, target: Path) -> None:
    """Unpack what is of use to GDAL, checking each name and counting what really comes out."""
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_FILES:
                raise _too_large(path)
            for member in members:
                name = PurePosixPath(member.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                    raise UserError(
                        "the ZIP would write outside its folder",
                        f"{path}: {member.filename!r}",
                        "do not use it",
                    )
                if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16):
                    continue
                file = target.joinpath(*name.parts)
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed:
                    left -= _copy(packed, file, left, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, IndexError) as error:
        # RuntimeError: it has a password. NotImplementedError: a method that Python does not know.
        raise UserError("the ZIP cannot be unpacked", f"{path}: {error}", "make it anew") from None


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _copy(packed: _Stream, target: Path, limit: int, path: Path) -> int:
    """Unpack one stream; returns its bytes. Raises `UserError` above the limit."""
    written = 0
    try:
        with target.open("wb") as file:
            while chunk := packed.read(_CHUNK):
                written += len(chunk)
                if written > limit:
                    raise _too_large(path)
                file.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError("what is packed is damaged", f"{path}: {error}", "fetch or make it anew") from None
    return written


def _too_large(path: Path) -> UserError:
    return UserError(
        "boundaries are larger than anything known",
        f"{path}: more than {MAX_BYTES / 2**20:.0f} MiB unpacked, or more than {MAX_FILES} files",
        "give a file of communes alone",
    )


def _refuse_pointer(file: Path, shown: str) -> None:
    if file.is_dir():
        return
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if any(word in head for word in _POINTERS):
        raise UserError("boundaries file only points to other data", shown, _REMEDY)


def _read(file: _Staged, crs: str | None, layer: str | None) -> tuple[geopandas.GeoDataFrame, bool]:
    """The features in EPSG:4326, and whether that was a guess."""
    try:
        frame = pyogrio.read_dataframe(str(file.path), layer=layer or _layer(file))
    except UserError:
        raise
    except Exception as error:  # GDAL's own hierarchy, and shapely's for geometries that cannot be
        # Without GDAL's advice about its command line, and without the directory made for it.
        reason = str(error).split("; It might help")[0].replace(f"{file.path.parent}/", "")
        raise UserError("GDAL cannot read the boundaries file", f"{file.shown}: {reason}", _REMEDY) from None
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.empty:
        raise UserError(
            "boundaries file has no communes", f"{file.shown}: no features with a geometry", _REMEDY
        )
    guessed = frame.crs is None and crs is None
    try:
        if crs is not None:
            frame = frame.set_crs(crs, allow_override=True)
        return (frame.set_crs(4326) if guessed else frame.to_crs(4326)), guessed
    except Exception as error:  # pyproj's own hierarchy
        raise UserError(
            "the coordinate system of the boundaries file is not usable",
            f"{file.shown}: {error}",
            "name another with --crs, such as EPSG:4326",
        ) from None


def _layer(file: _Staged) -> str | None:
    """The only layer with areas, or with geometries at all. Raises `UserError` where it is not clear."""
    layers = pyogrio.list_layers(str(file.path))
    spatial = [(str(name), str(kind)) for name, kind in np.asarray(layers) if kind is not None]
    areas = [name for name, kind in spatial if "Polygon" in kind] or [name for name, _ in spatial]
    if len(areas) > 1:
        raise UserError(
            "boundaries file has several layers",
            f"{file.shown}: {', '.join(areas)}",
            "name the one with the communes: --layer NAME",
        )
    return areas[0] if areas else None


def require(features: Features, column: str, option: str, path: Path) -> str:
    """A column that a person named. Raises `UserError` naming those that are there."""
    if column not in features.frame.columns or column == features.frame.geometry.name:
        raise UserError(
            f"boundaries file has no property {column}",
            f"{path}: its properties are {properties(features.frame)}",
            f"correct {option}",
        )
    return column
