"""The files that the page is made of, kept in memory: from the packages that ship them, and our own."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import fontpkg_be_vietnam_pro
from xstatic.pkg import leaflet

STATIC = Path(__file__).parent / "static"

_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".geojson": "application/geo+json",
    ".ttf": "font/ttf",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: The weights that wall.css uses.
_FONTS = ("Regular", "SemiBold", "Bold")


@dataclass(frozen=True)
class Asset:
    """One file as it is served, plain and compressed."""

    name: str
    kind: str
    body: bytes
    #: None where compressing saves less than a tenth.
    gzipped: bytes | None
    #: Hash of the content.
    tag: str

    @property
    def url(self) -> str:
        """Its address on the wall; it changes with the content, so that it may be cached for good."""
        return f"/assets/{self.name}?v={self.tag}"


def make_asset(name: str, body: bytes) -> Asset:
    """Prepare one file. Raises `KeyError` for a kind of file that the wall does not serve."""
    packed = gzip.compress(body, 9, mtime=0)
    smaller = packed if len(packed) < 0.9 * len(body) else None
    return Asset(name, _KINDS[Path(name).suffix], body, smaller, hashlib.sha256(body).hexdigest()[:16])


def shipped_assets() -> dict[str, Asset]:
    """Leaflet, the font and our own scripts and styles, by name below /assets/."""
    files = {f"leaflet/{name}": Path(leaflet.BASE_DIR) / name for name in ("leaflet.js", "leaflet.css")}
    for image in sorted((Path(leaflet.BASE_DIR) / "images").glob("*.png")):
        files[f"leaflet/images/{image.name}"] = image  # leaflet.css refers to them
    font = fontpkg_be_vietnam_pro.ROOT
    for weight in _FONTS:
        files[f"fonts/BeVietnamPro-{weight}.ttf"] = font / "files" / f"BeVietnamPro-{weight}.ttf"
    files["fonts/OFL.txt"] = font / "LICENSE"
    for path in sorted(STATIC.iterdir()):
        if path.suffix in (".js", ".css", ".svg"):
            files[path.name] = path
    return {name: make_asset(name, path.read_bytes()) for name, path in files.items()}
