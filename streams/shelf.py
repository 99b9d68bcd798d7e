"""The boundary sets that this machine has, by their reference, with one locator for each."""

from __future__ import annotations

import logging
from pathlib import Path

from geo.activation import active_sets
from geo.boundaries import BoundarySet
from geo.cache import load_registry
from geo.files import write_boundaries
from geo.locate import Locator
from geo.registry import Registry
from geo.store import load_stored, store_directory, stored_sets, written_to
from geo.succession import load_succession
from ioc.errors import UserError
from ioc.settings import Settings
from streams.atlas import Atlas

log = logging.getLogger(__name__)


def installed_registry(settings: Settings) -> Registry:
    """The maps that this installation judges by: the activated sets for their days, else the file's or the
    approximate ones.

    Raises `UserError` where a set is damaged, or two of the activated hold at one time.
    """
    base = load_registry(settings.boundaries_file, settings.provinces, settings.cache_dir)
    active = [
        load_stored(stored).only(settings.provinces)
        for stored in active_sets(store_directory(settings.state_dir))
    ]
    if not active:
        return base
    try:
        return Registry.of(active, base.sets)
    except ValueError as error:
        raise UserError(
            "the activated boundary sets do not fit together", str(error), "see ioc boundaries deactivate"
        ) from None


def keep_used(settings: Settings, registry: Registry) -> None:
    """Keep a copy of sets that a configuration names: the log may name them long after the installation has others.

    Raises `UserError` where the state directory cannot be written to.
    """
    directory = _used(settings)
    with written_to(directory):
        for boundaries in registry.sets:
            path = directory / f"{boundaries.ref}.geojson.gz"
            if not path.exists():
                write_boundaries(boundaries, path)


def _used(settings: Settings) -> Path:
    return store_directory(settings.state_dir) / "used"


class Shelf:
    """Finds boundary sets by reference: those in force here, those that were, and every one that was imported."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sets: dict[str, BoundarySet] = {}
        self._locators: dict[str, Locator] = {}

    def find(self, ref: str) -> BoundarySet | None:
        """The set of a reference; None where this machine does not have it (yet)."""
        if ref not in self._sets:
            self._look()
        return self._sets.get(ref)

    def atlas(self, registry: Registry) -> Atlas:
        """The maps of a registry, ready to attach communes by."""
        return Atlas(registry, load_succession(), self._locator, border_width=self._settings.border_width)

    def _locator(self, boundaries: BoundarySet) -> Locator:
        if boundaries.ref not in self._locators:
            self._locators[boundaries.ref] = Locator(boundaries, self._settings.cache_dir)
        return self._locators[boundaries.ref]

    def _look(self) -> None:
        settings = self._settings
        registry = load_registry(settings.boundaries_file, settings.provinces, settings.cache_dir)
        for boundaries in registry.sets:
            self._sets[boundaries.ref] = boundaries
        for stored in (*stored_sets(store_directory(settings.state_dir)), *stored_sets(_used(settings))):
            if stored.ref in self._sets:
                continue  # a worker that waits for another set looks each second: polygons are read once
            try:
                boundaries = load_stored(stored).only(settings.provinces)
            except UserError as error:
                log.warning("%s", error)
                continue
            self._sets[boundaries.ref] = boundaries
