"""Makes the fonts beside this file from those of the package fontpkg-be-vietnam-pro: `python -m maps.fonts.make`.

Three weights as WOFF2, with the letters of Vietnamese, English and western Europe and without hints for coarse
screens: a tenth of the original's bytes. Nothing of a letter's outline, width or marks is changed. The licence, OFL
1.1, allows it and reserves no name. Needs the packages of deploy/python/dev.txt; the same ones make the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import fontpkg_be_vietnam_pro
from fontTools.subset import Options, Subsetter, load_font, save_font

FOLDER = Path(__file__).parent
#: The weights that the styles use: 400, 600, 700.
WEIGHTS = ("Regular", "SemiBold", "Bold")
#: First and last code point of what is kept, as far as the font has it.
KEPT = (
    (0x0020, 0x007E),  # Latin letters, digits, signs
    (0x00A0, 0x00FF),  # Latin-1
    (0x0102, 0x0103),  # ă
    (0x0110, 0x0111),  # đ
    (0x0128, 0x0129),  # ĩ
    (0x0168, 0x0169),  # ũ
    (0x01A0, 0x01A1),  # ơ
    (0x01AF, 0x01B0),  # ư
    (0x0300, 0x0304),  # marks that combine, so that decomposed text is written with them too
    (0x0306, 0x0309),
    (0x031B, 0x031B),
    (0x0323, 0x0323),
    (0x1EA0, 0x1EF9),  # Vietnamese letters with a tone
    (0x2010, 0x2026),  # dashes, quotation marks, dots
    (0x2030, 0x2030),  # ‰, of salinity
    (0x20AB, 0x20AC),  # ₫, €
    (0x2212, 0x2212),  # minus
    (0x2248, 0x2248),  # ≈
    (0x2264, 0x2265),  # ≤, ≥
)


def make(weight: str) -> bytes:
    """One font. Raises `OSError` where the package lacks it."""
    options = Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = ["ccmp", "kern", "locl", "mark", "mkmk"]
    options.recalc_timestamp = False
    source = Path(fontpkg_be_vietnam_pro.ROOT) / "files" / f"BeVietnamPro-{weight}.ttf"
    font = load_font(str(source), options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in KEPT for code in range(first, last + 1)])
    subsetter.subset(font)
    made = FOLDER / f"BeVietnamPro-{weight}.woff2.part"
    try:
        save_font(font, str(made), options)
        return made.read_bytes()
    finally:
        made.unlink(missing_ok=True)


def main() -> None:
    """Write all of them, and say their sums, which `maps/assets.py` has."""
    for weight in WEIGHTS:
        body = make(weight)
        path = FOLDER / f"BeVietnamPro-{weight}.woff2"
        path.write_bytes(body)
        sys.stdout.write(f"{path.name}  {len(body)} bytes  {hashlib.sha256(body).hexdigest()}\n")


if __name__ == "__main__":
    main()
