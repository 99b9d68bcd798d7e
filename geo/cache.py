"""The boundary set that an installation uses: a file's, or the approximate one, computed once and kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from geo.approximate import ID, METHOD, approximate_set
from geo.boundaries import BoundarySet
from geo.files import read_boundaries, stated_version, write_boundaries
from geo.units import package_version
from ioc.errors import UserError

log = logging.getLogger(__name__)


def load_boundaries(boundaries_file: Path | None, provinces: Sequence[str], cache_dir: Path) -> BoundarySet:
    """The boundaries of these provinces (official codes): from the file where one is given, else approximate.

    The approximate set is kept under `cache_dir`, in a file whose name holds all that the set follows from; a
    damaged file is made anew, and a directory that cannot be written to costs time only. Raises `UserError`
    for a file that is not usable or lacks a province, and for a province that does not exist.
    """
    if boundaries_file is not None:
        return _from_file(boundaries_file, provinces)
    codes = sorted(set(provinces))
    path = cache_dir / "boundaries" / f"{ID}-m{METHOD}-{package_version()}-{'-'.join(codes)}.geojson"
    if path.exists():
        try:
            kept = read_boundaries(path)
            if kept.version == stated_version(path):
                return kept
            reason = "its content is not what it was"
        except UserError as error:
            reason = str(error)
        log.warning("boundaries in the cache are damaged and made anew: %s: %s", path, reason)
    made = approximate_set(codes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_boundaries(made, path)
    except OSError as error:
        log.warning("boundaries cannot be kept in the cache: %s: %s", path, error)
    return made


def _from_file(path: Path, provinces: Sequence[str]) -> BoundarySet:
    """The communes of these provinces in the file."""
    single = provinces[0] if len(provinces) == 1 else None
    everything = read_boundaries(path, province=single)
    there = {commune.province for commune in everything.communes}
    if missing := sorted(set(provinces) - there):
        raise UserError(
            f"boundaries file has no commune of province {', '.join(missing)}",
            f"{path}: it has province {', '.join(sorted(there))}",
            "correct IOC_PROVINCES or IOC_BOUNDARIES_FILE",
        )
    return everything.only(provinces)
