"""The page /licences: every file that the wall serves, whose it is, under which licence, and its SHA-256."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader

from maps.assets import STATIC, WORKS, Asset, Work, make_asset, works_of


@dataclass(frozen=True)
class Line:
    """One file in the table."""

    name: str
    works: tuple[Work, ...]
    sha256: str
    #: Bytes, not compressed.
    size: int


def asset_table(files: Sequence[Asset]) -> list[Line]:
    """A line for each file, in the order of their names."""
    return [
        Line(file.name, works_of(file.name), file.sha256, len(file.body))
        for file in sorted(files, key=lambda file: file.name)
    ]


def licences_page(
    files: Sequence[Asset], assets: dict[str, Asset], boundaries: Asset, source: str, licence: str
) -> Asset:
    """The page. `files` are in the table; `assets` has the licences' texts and the style of the page.

    `source` and `licence` are what the set of boundaries says of itself: text that may be anything.
    """
    environment = Environment(loader=FileSystemLoader(STATIC), autoescape=True)
    html = environment.get_template("licences.html").render(
        style=assets["licences.css"].url,
        icon=assets["icon.svg"].url,
        works=[(work, assets[work.notice].url) for work in WORKS],
        lines=asset_table(files),
        boundaries=boundaries,
        source=source,
        licence=licence,
    )
    return make_asset("licences.html", html.encode())
