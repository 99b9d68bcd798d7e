"""The boundary sets that an installation uses: a file's, or the approximate ones, computed once and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from geo.approximate import FORMER_ID, ID, METHOD, approximate_set, former_set
from geo.boundaries import BoundarySet
from geo.files import read_boundaries, stated_version, write_boundaries
from geo.registry import Registry
from geo.units import package_version
from ioc.errors import UserError

log = logging.getLogger(__name__)


def present_set(provinces: Sequence[str], cache_dir: Path) -> BoundarySet:
    """The approximate set of today's communes of these provinces (official codes).

    Kept under `cache_dir`, in a file whose name holds all that the set follows from; a damaged file is made anew,
    and a directory that cannot be written to costs time only. Raises `UserError` for a province that does not
    exist.
    """
    return _kept(ID, approximate_set, provinces, cache_dir)


def load_registry(boundaries_file: Path | None, provinces: Sequence[str], cache_dir: Path) -> Registry:
    """The maps of these provinces (present codes) for all times: the approximate ones of before and since 1
    July 2025, and the file's, where one is given, in their place for the time that it says it holds.

    A file that says nothing of that holds always. Kept as by `present_set`; raises `UserError` as it does, and
    for a file that is not usable or lacks a province.
    """
    active = [] if boundaries_file is None else [_from_file(boundaries_file, provinces)]
    if active and active[0].valid_from is None and active[0].valid_until is None:
        return Registry(active)
    defaults = [
        _kept(FORMER_ID, former_set, provinces, cache_dir),
        present_set(provinces, cache_dir),
    ]
    try:
        return Registry.of(active, defaults)
    except ValueError as error:
        raise UserError(
            "the boundaries file does not hold at any time",
            f"{boundaries_file}: {error}",
            "correct its dates",
        ) from None


def _kept(
    id: str, make: Callable[[Sequence[str]], BoundarySet], provinces: Sequence[str], cache_dir: Path
) -> BoundarySet:
    """A set from the cache, or made and put there."""
    codes = sorted(set(provinces))
    path = cache_dir / "boundaries" / f"{id}-m{METHOD}-{package_version()}-{'-'.join(codes)}.geojson"
    if path.exists():
        try:
            kept = read_boundaries(path)
            if kept.version == stated_version(path):
                return kept
            reason = "its content is not what it was"
        except UserError as error:
            reason = str(error)
        log.warning("boundaries in the cache are damaged and made anew: %s: %s", path, reason)
    made = make(codes)
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
