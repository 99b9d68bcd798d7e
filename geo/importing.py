"""From a file of anybody's to a boundary set: read, map the columns, check, repair, or refuse.

Nothing is written here: `examine` returns the set and the report, and the caller keeps the one if the other
says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import geopandas
import numpy as np
import shapely

from geo import checks
from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.columns import (
    CODE_DIGITS,
    CODE_NAMES,
    NAME_NAMES,
    PROVINCE_DIGITS,
    PROVINCE_NAMES,
    find_column,
    plain,
    properties,
    texts,
)
from geo.coverage import TOLERANCE_M2, check_coverage
from geo.files import stated
from geo.metres import in_metres
from geo.official import OfficialList, official_list
from geo.reading import Features, read_features, require
from geo.report import Finding, Report, tolerated
from ioc.errors import UserError

#: Checks whose errors a person may take on, because the file may know better than what it is held against.
ACCEPTABLE = frozenset({"unknown-code", "missing-code", "province", "area", "displaced", "overlap", "gap"})
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Said:
    """What the person who imports says of the file."""

    id: str
    source: str = ""
    licence: str = ""
    approximate: bool = False
    #: First instant it holds, and first instant it no longer holds, with a zone.
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    #: Properties by name; None: found by the usual names.
    code_column: str | None = None
    name_column: str | None = None
    province_column: str | None = None
    #: Code of the province of all communes in the file.
    province: str | None = None
    #: Coordinate system, where the file names none or a wrong one.
    crs: str | None = None
    layer: str | None = None
    #: Overlaps and gaps up to this area are repaired, larger ones refused.
    tolerance_m2: float = TOLERANCE_M2
    #: Of `ACCEPTABLE`: checks whose errors are taken for warnings.
    accept: frozenset[str] = frozenset()


def check_said(said: Said) -> None:
    """Raises `UserError` for what no file can be imported with, whatever is in it."""
    if not _ID.fullmatch(said.id) or ".." in said.id:
        raise UserError(
            "--id cannot name a set",
            repr(said.id),
            "use a-z, 0-9, dot, dash and underscore, such as can-tho-2025",
        )
    if said.valid_from and said.valid_until and said.valid_until <= said.valid_from:
        raise UserError(
            "--valid-until is not after --valid-from",
            f"{said.valid_from} to {said.valid_until}",
            "correct one",
        )
    if unknown := sorted(said.accept - ACCEPTABLE):
        raise UserError(
            f"--accept {unknown[0]} is not possible", f"only {', '.join(sorted(ACCEPTABLE))}", "mend the file"
        )
    if not 0 <= said.tolerance_m2 < float("inf"):
        raise UserError("--tolerance is not an area", str(said.tolerance_m2), "give square metres, 0 or more")


def examine(
    path: Path, said: Said, official: OfficialList | None = None
) -> tuple[Report, BoundarySet | None]:
    """Read and check a file, a folder or a ZIP; the set is None where the report refuses it.

    `official` is what it is held against; None: the country's list for the time that the set holds for.

    Raises `UserError` for what the person said and where the path does not exist; what is wrong with the
    content is in the report.
    """
    check_said(said)
    if not path.exists():
        raise UserError("boundaries file not found", str(path), "correct the path")
    try:
        features = read_features(path, crs=said.crs, layer=said.layer)
        official = official or official_list(said.valid_until)
        communes, found = _communes(features, said, official, path)
    except UserError as error:
        message = ": ".join(part for part in (error.what, error.where.removeprefix(f"{path}: ")) if part)
        message += f" -> {error.remedy}" if error.remedy else ""
        return Report(str(path), (Finding("error", "unreadable", message),)), None
    found += [Finding("warning", "reading", message) for message in features.warnings]
    if features.without_crs:
        message = (
            f"{features.without_crs} of {features.files} files name no coordinate system: taken as EPSG:4326"
        )
        found.append(Finding("warning", "crs", message))

    codes = [commune.code for commune in communes]
    shapes = shapely.force_2d(np.asarray(features.frame.geometry.values, dtype=object))
    found += checks.check_texts(communes)
    found += checks.check_codes(communes, official)
    # Each step needs what the one before has found to be in order.
    unusable = checks.check_polygons(shapes, codes) or checks.check_axes(shapes, official)
    blocking = any(finding.severity == "error" and finding.check != "displaced" for finding in unusable)
    found += unusable
    if not blocking:
        shapes, more = checks.repair_rings(shapes, codes)
        found += more
        blocking = any(finding.severity == "error" for finding in more)
    if not blocking:
        if not unusable:
            found += checks.check_places(shapes, codes, official)
        found += checks.check_areas(shapes, codes, official)
        shapes, more = check_coverage(shapes, codes, said.tolerance_m2, said.accept)
        found += more
    findings = tolerated(found, said.accept)
    report = Report(
        file=str(path),
        findings=findings,
        communes=len(communes),
        vertices=int(shapely.get_num_coordinates(shapes).sum()),
        area_km2=0.0 if blocking else float(shapely.area(in_metres(shapes)).sum()) / 1e6,
    )
    if any(finding.severity == "error" for finding in findings):
        return report, None
    made = boundary_set(
        id=said.id,
        approximate=said.approximate or _says_approximate(path),
        source=said.source or path.name,
        licence=said.licence,
        communes=communes,
        geometries=shapes,
        valid_from=said.valid_from,
        valid_until=said.valid_until,
    )
    return replace(report, ref=made.ref), made


def _says_approximate(path: Path) -> bool:
    """A file written by this program may say that it is approximate; importing it does not make it better."""
    return path.is_file() and stated(path).get("approximate") is True


def _communes(
    features: Features, said: Said, official: OfficialList, path: Path
) -> tuple[list[Commune], list[Finding]]:
    """The communes that the features say they are, in their order; what they leave open the list tells."""
    frame, found = features.frame, []
    code_column = _named(features, said.code_column, CODE_NAMES, "--code-column", path)
    if code_column is None:
        raise UserError(
            "boundaries file has no property with the code of a commune",
            f"{path}: its properties are {properties(frame)}",
            "name it with --code-column",
        )
    codes = texts(frame, code_column, CODE_DIGITS, path)
    names = _optional(features, said.name_column, NAME_NAMES, "--name-column", 0, path)
    provinces: Sequence[str | None] = [said.province] * len(codes)
    if said.province is None:
        provinces = _optional(
            features, said.province_column, PROVINCE_NAMES, "--province-column", PROVINCE_DIGITS, path
        )
    communes, completed = [], 0
    for code, name, province in zip(codes, names, provinces, strict=True):
        entry = official.entries.get(code)
        if entry is None:
            if name is None or province is None:
                missing = "name" if name is None else "province code"
                raise UserError(
                    f"boundaries file has no property with the {missing} of a commune",
                    f"{path}: {code} is not among the {official.title}, so it is not known from there",
                    "correct the code, or name the property with --name-column and --province-column",
                )
            communes.append(Commune(code, name, province))
            continue
        known = entry.commune
        # The type (phường, xã) is part of the name, and not every file has it.
        if name is None or (plain(name) != plain(known.name) and checks.same_name(name, known.name)):
            name, completed = known.name, completed + 1
        if province is None or province in (known.province, known.former_province):
            communes.append(replace(known, name=name))
        else:
            communes.append(Commune(code, name, province))
    if completed:
        message = f"{completed} names are those of the official list, with the type of commune"
        found.append(Finding("repaired", "name", message))
    return communes, found


def _named(
    features: Features, given: str | None, usual: Sequence[str], option: str, path: Path
) -> str | None:
    return require(features, given, option, path) if given else find_column(features.frame, usual)


def _optional(
    features: Features, given: str | None, usual: Sequence[str], option: str, digits: int, path: Path
) -> Sequence[str | None]:
    """The texts of a property; None for every feature where the file has no such property."""
    column = _named(features, given, usual, option, path)
    frame: geopandas.GeoDataFrame = features.frame
    return [None] * len(frame) if column is None else texts(frame, column, digits, path)
