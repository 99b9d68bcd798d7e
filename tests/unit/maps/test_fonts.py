"""The fonts that the wall serves are those of their package, smaller, and have every letter that its texts need."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from maps import assets
from maps.fonts import make

ROOT = Path(__file__).resolve().parents[3]


def letters(path: Path) -> set[int]:
    return set(TTFont(path).getBestCmap())


def test_the_same_package_makes_the_same_fonts() -> None:
    """What lies in the project is what its recipe makes: nobody has to take a binary file on trust."""
    for weight in make.WEIGHTS:
        assert make.make(weight) == (make.FOLDER / f"BeVietnamPro-{weight}.woff2").read_bytes(), weight
    assert not list(make.FOLDER.glob("*.part"))


@pytest.mark.parametrize("weight", make.WEIGHTS)
def test_every_vietnamese_letter_is_there(weight: str) -> None:
    """With each tone, small and capital, composed and as letter and marks."""
    its = letters(make.FOLDER / f"BeVietnamPro-{weight}.woff2")
    for vowel in "aăâeêioôơuưyAĂÂEÊIOÔƠUƯYđĐ":
        for tone in ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"):
            if vowel in "đĐ" and tone:
                continue
            for form in ("NFC", "NFD"):
                for letter in unicodedata.normalize(form, vowel + tone):
                    assert ord(letter) in its, f"{vowel}{tone} needs U+{ord(letter):04X}"


def test_our_own_words_lack_no_letter() -> None:
    """Every sign in the texts of pages, rules and words that the package's font has, the smaller one has too."""
    whole = letters(Path(make.fontpkg_be_vietnam_pro.ROOT) / "files" / "BeVietnamPro-Regular.ttf")
    smaller = letters(make.FOLDER / "BeVietnamPro-Regular.woff2")
    files = [
        *assets.STATIC.glob("*.js"),
        *assets.STATIC.glob("*.html"),
        *(ROOT / "maps" / "pages").iterdir(),
        *(ROOT / "alerts").rglob("*.yaml"),
        *(ROOT / "alerts").rglob("*.py"),
        *(ROOT / "geo" / "catalogue").glob("*.csv"),
    ]
    assert len(files) > 20
    for path in files:
        used = {ord(sign) for sign in path.read_text(encoding="utf-8") if sign.isprintable()}
        assert used & whole <= smaller, (path.name, [chr(code) for code in sorted(used & whole - smaller)])


def test_a_letter_is_as_wide_as_before() -> None:
    """Only bytes are saved: widths and the height of a line are those of the package's font."""
    for weight in make.WEIGHTS:
        whole = TTFont(Path(make.fontpkg_be_vietnam_pro.ROOT) / "files" / f"BeVietnamPro-{weight}.ttf")
        smaller = TTFont(make.FOLDER / f"BeVietnamPro-{weight}.woff2")
        names, before = smaller.getBestCmap(), whole.getBestCmap()
        assert len(names) > 300
        for code, name in names.items():
            assert smaller["hmtx"][name][0] == whole["hmtx"][before[code]][0], chr(code)
        for side in ("ascent", "descent", "lineGap"):
            assert getattr(smaller["hhea"], side) == getattr(whole["hhea"], side)
        assert smaller["OS/2"].usWeightClass == whole["OS/2"].usWeightClass


def test_the_page_knows_of_what_version_they_were_made() -> None:
    """The table of licences names the version of the package that the recipe uses."""
    assert assets.FONT.version == assets.FONT.made_of != ""
