"""The files that the page is made of, kept in memory: those of the packages that ship them, and our own.

Each has its maker, its licence and its SHA-256. A file of somebody else that is not the one named here stops the wall
at its start.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from xstatic.pkg import leaflet

from ioc.errors import UserError

STATIC = Path(__file__).parent / "static"
_LICENCES = Path(__file__).parent / "licences"
_FONTS = Path(__file__).parent / "fonts"

_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".geojson": "application/geo+json",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Work:
    """Something that the wall serves, whose it is, and what it may be used for."""

    name: str
    #: SPDX identifier of the licence.
    licence: str
    #: The Python package that it comes in.
    package: str
    #: Name below /assets/ of the licence's text.
    notice: str
    #: Version of the package that our files were made of; empty where they are read from the installed one.
    made_of: str = ""

    @property
    def version(self) -> str:
        """Version of the package; empty where it is not installed as one."""
        if self.made_of:
            return self.made_of
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return ""


OWN = Work("IOC", "Apache-2.0", "ioc", "licences/ioc.txt")
LEAFLET = Work("Leaflet", "BSD-2-Clause", "xstatic-leaflet", "licences/leaflet.txt")
FONT = Work(
    "Be Vietnam Pro", "OFL-1.1", "fontpkg-be-vietnam-pro", "licences/be-vietnam-pro.txt", made_of="1.002"
)
FOLIUM = Work("Folium", "MIT", "folium", "licences/folium.txt")
BRANCA = Work("Branca", "MIT", "branca", "licences/branca.txt")
WORKS = (LEAFLET, FOLIUM, BRANCA, FONT, OWN)

#: Files of others as they are served, with their SHA-256; `sha256_of_packages` tells those of what is there.
_FILES: dict[Work, dict[str, str]] = {
    LEAFLET: {
        "leaflet/leaflet.js": "5819285cec137b229c94e1ee5ad73e8b6b84345a4367d60f75fe477fe0fb7b03",
        "leaflet/leaflet.css": "90b693d86392a4779c861b28cf307e7e59c3fb35328c4d8b95f58f814d38c722",
        "leaflet/images/layers-2x.png": "066daca850d8ffbef007af00b06eac0015728dee279c51f3cb6c716df7c42edf",
        "leaflet/images/layers.png": "1dbbe9d028e292f36fcba8f8b3a28d5e8932754fc2215b9ac69e4cdecf5107c6",
        "leaflet/images/marker-icon-2x.png": "00179c4c1ee830d3a108412ae0d294f55776cfeb085c60129a39aa6fc4ae2528",
        "leaflet/images/marker-icon.png": "574c3a5cca85f4114085b6841596d62f00d7c892c7b03f28cbfa301deb1dc437",
        "leaflet/images/marker-shadow.png": "264f5c640339f042dd729062cfc04c17f8ea0f29882b538e3848ed8f10edb4da",
    },
    FONT: {
        # The weights that the styles use, as maps/fonts/make.py makes them.
        "fonts/BeVietnamPro-Regular.woff2": "fc5ad0a916de259c8a8ba5bab20583e6187658a67ac9eaa4ac729bb0dff56351",
        "fonts/BeVietnamPro-SemiBold.woff2": "b8f48a285a54b4a9d6815f6a62dbfb7a5e87262d2f0d6645457dbecf08d6b237",
        "fonts/BeVietnamPro-Bold.woff2": "02dcd41d199cc902a1d0155618a2e3078a6dc20256882ebbf329cbc83b2a2ee2",
    },
}
_OTHERS = {name: (work, sha256) for work, files in _FILES.items() for name, sha256 in files.items()}
#: What Folium makes of our map at each start, and the page around it.
_MADE = {
    "map.js": (FOLIUM, OWN),
    "map.css": (FOLIUM, BRANCA),
    "wall.html": (OWN, FOLIUM, BRANCA),
}


@dataclass(frozen=True)
class Asset:
    """One file as it is served, plain and compressed."""

    name: str
    kind: str
    body: bytes
    #: None where compressing saves less than a tenth.
    gzipped: bytes | None
    sha256: str

    @property
    def tag(self) -> str:
        """What tells its content from others."""
        return self.sha256[:16]

    @property
    def url(self) -> str:
        """Its address on the wall; it changes with the content, so that it may be cached for good."""
        return f"/assets/{self.name}?v={self.tag}"


def make_asset(name: str, body: bytes) -> Asset:
    """Prepare one file. Raises `KeyError` for a kind of file that the wall does not serve."""
    packed = gzip.compress(body, 9, mtime=0)
    smaller = packed if len(packed) < 0.9 * len(body) else None
    return Asset(name, _KINDS[Path(name).suffix], body, smaller, hashlib.sha256(body).hexdigest())


def works_of(name: str) -> tuple[Work, ...]:
    """Whose work a file below /assets/ is, or the page `wall.html`; several where it is made of several."""
    if name in _OTHERS:
        return (_OTHERS[name][0],)
    for work in WORKS:
        if name == work.notice:
            return (work,)
    return _MADE.get(name, (OWN,))


def shipped_assets() -> dict[str, Asset]:
    """Leaflet, the font, licences and our own scripts and styles, by name below /assets/.

    Raises `UserError` where an installed package has another file than the one named here, or lacks it.
    """
    assets = {}
    for name, (work, sha256) in _OTHERS.items():
        path = _package_path(name)
        try:
            asset = make_asset(name, path.read_bytes())
        except OSError as error:
            raise UserError(f"{work.package} lacks a file of the wall", str(error), _REMEDY) from None
        if asset.sha256 != sha256:
            raise UserError(
                f"{path} is not the file that the wall was made with",
                f"its SHA-256 is {asset.sha256}, not {sha256}",
                _REMEDY,
            )
        assets[name] = asset
    for path in sorted(STATIC.iterdir()):
        if path.suffix in (".js", ".css", ".svg"):
            assets[path.name] = make_asset(path.name, path.read_bytes())
    for work in WORKS:
        assets[work.notice] = make_asset(work.notice, _licence_text(work))
    return assets


_REMEDY = "install the packages of deploy/python/run.txt again: make install"


def sha256_of_packages() -> dict[str, str]:
    """SHA-256 of each file of others as it is now, in the installed packages or beside us, for the table above."""
    return {name: hashlib.sha256(_package_path(name).read_bytes()).hexdigest() for name in _OTHERS}


def _package_path(name: str) -> Path:
    folder, _, rest = name.partition("/")
    if folder == "leaflet":
        return Path(leaflet.BASE_DIR) / rest
    return _FONTS / rest


def _licence_text(work: Work) -> bytes:
    """The text as the package has it; of Leaflet, whose package has none, and of the font we keep it."""
    for path in (_LICENCES / Path(work.notice).name, *_installed_licences(work)):
        if path.is_file():
            return path.read_bytes()
    raise UserError(f"the text of the licence of {work.name} is missing", work.package, _REMEDY)


def _installed_licences(work: Work) -> list[Path]:
    try:
        files = importlib.metadata.files(work.package) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if "licenses" in file.parts]
    # Run from a checkout that is not installed.
    return found + ([Path(__file__).parents[1] / "LICENSE"] if work is OWN else [])
