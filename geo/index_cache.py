"""Grids that were built once, kept on disk: a file for each boundary set and method."""

from __future__ import annotations

import hashlib
import logging
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.boundaries import BoundarySet
from geo.grid import BUDGET, METHOD, Grid, build_grid
from ioc.wholefile import whole_file

log = logging.getLogger(__name__)

_PLACE = ("west", "south", "cell")
_ARRAYS = ("blocks", "fine", "starts", "members")


def cached_grid(
    boundaries: BoundarySet, polygons: NDArray[np.object_], cache_dir: Path, budget: int = BUDGET
) -> Grid:
    """The set's grid, from a file under `cache_dir` or built from its polygons and kept there.

    The file's name holds all that the grid follows from: the set's version, which is a hash of its content, the
    method and the budget (bytes). A damaged file is
    made anew, and a directory that cannot be written to costs time only; both are logged.
    """
    path = cache_dir / "locator" / f"{boundaries.version}-m{METHOD}-{budget}.npz"
    if path.exists():
        try:
            return read_grid(path)
        except (OSError, ValueError) as error:
            log.warning("index in the cache is damaged and made anew: %s: %s", path, error)
    grid = build_grid(polygons, budget)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_grid(grid, path)
    except OSError as error:
        log.warning("index cannot be kept in the cache: %s: %s", path, error)
    return grid


def write_grid(grid: Grid, path: Path) -> None:
    """Write a file that `read_grid` reads. It appears complete or not at all. Raises `OSError`."""
    content: dict[str, NDArray[Any]] = {"place": np.array([getattr(grid, name) for name in _PLACE])}
    content |= {name: getattr(grid, name) for name in _ARRAYS}
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, digest=_digest(content), **content)


def read_grid(path: Path) -> Grid:
    """The grid that was written there. Raises `OSError`, and `ValueError` where the content is not that."""
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in ("place", *_ARRAYS)}
            digest = file["digest"]
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(f"not a kept index: {error}") from None
    if not np.array_equal(digest, _digest(content)):
        raise ValueError("its content is not what was written")
    west, south, cell = content.pop("place").tolist()
    return Grid(west=west, south=south, cell=cell, **content)


def _digest(content: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    digest = hashlib.blake2b(digest_size=32)
    for name in ("place", *_ARRAYS):
        array = content[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)
