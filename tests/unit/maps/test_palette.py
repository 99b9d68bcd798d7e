"""The colours of the wall, as wall.css has them: contrast by WCAG 2, and what the colour-blind can tell apart.

The style sheet's text is held by axe in the browser; here are the colours that scripts draw on a canvas, where axe
sees nothing. Pure arithmetic on the palette: what is drawn with which colour is said in each test.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

CSS = Path(__file__).parents[3] / "maps" / "static" / "wall.css"
THEMES = ("dark", "light")
SEVERITIES = ("extreme", "severe", "moderate", "minor")

#: Machado, Oliveira and Fernandes 2009, whole dichromacy, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
#: sRGB to XYZ under D65, and that white.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def palette(theme: str) -> dict[str, str]:
    """The custom properties of a theme; the light one changes those of the dark one."""
    css = CSS.read_text(encoding="utf-8")
    blocks = re.findall(r"^(:root|\[data-theme=\"light\"\]) \{(.*?)^\}", css, re.M | re.S)
    assert [selector for selector, _ in blocks] == [":root", '[data-theme="light"]']
    found: dict[str, str] = {}
    for _, block in blocks[: 1 + THEMES.index(theme)]:
        found |= dict(re.findall(r"--([\w-]+): ([^;]+);", block))
    return found


def rgb(hexadecimal: str) -> np.ndarray:
    assert re.fullmatch(r"#[0-9a-f]{6}", hexadecimal), hexadecimal
    return np.array([int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    high, low = sorted((float(XYZ[1] @ linear(colour)) for colour in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def over(colour: np.ndarray, ground: np.ndarray, opacity: float) -> np.ndarray:
    return opacity * colour + (1 - opacity) * ground


def lab(colour: np.ndarray, blindness: str) -> np.ndarray:
    seen = np.clip(BLINDNESS[blindness] @ linear(colour), 0, 1)
    f = [
        part ** (1 / 3) if part > 216 / 24389 else (24389 / 27 * part + 16) / 116
        for part in XYZ @ seen / WHITE
    ]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: np.ndarray, other: np.ndarray, blindness: str) -> float:
    """CIE 1976: 2.3 can just be noticed."""
    return float(np.linalg.norm(lab(one, blindness) - lab(other, blindness)))


def worst_pair(colours: dict[str, np.ndarray], blindness: str) -> tuple[float, str]:
    return min(
        (difference(colours[a], colours[b], blindness), f"{a} and {b}")
        for a, b in itertools.combinations(colours, 2)
    )


def grounds(theme: str) -> dict[str, np.ndarray]:
    """What a name or a sign on the map may lie on: normal and alerted communes, the ground around them."""
    its = palette(theme)
    ground, fill, opacity = rgb(its["ground"]), rgb(its["map-fill"]), float(its["map-alerted"])
    alerted = {
        f"{severity} over {name}": over(rgb(its[severity]), below, opacity)
        for severity in SEVERITIES
        # Leaflet paints a commune's colour on the page's ground, the inset on that of a normal commune.
        for name, below in (("ground", ground), ("map-fill", fill))
    }
    return {"ground": ground, "map-fill": fill, **alerted}


@pytest.mark.parametrize("theme", THEMES)
def test_names_on_the_map_can_be_read(theme: str) -> None:
    """4.5 to 1 for the name of a normal commune on its ground; 3 to 1 for one with an alert, which is large and bold.

    That is without the halo of the ground's colour that lies around each name: to it they have 7 to 1.
    """
    its, where = palette(theme), grounds(theme)
    for name in ("ground", "map-fill"):
        assert contrast(rgb(its["name-quiet"]), where[name]) >= 4.5, name
    for name, ground in where.items():
        assert contrast(rgb(its["name-strong"]), ground) >= 3, name
    for name in ("name-quiet", "name-strong"):
        assert contrast(rgb(its[name]), rgb(its["halo"])) >= 7, name


@pytest.mark.parametrize("theme", THEMES)
def test_digits_on_signs_can_be_read(theme: str) -> None:
    """4.5 to 1 for the digit of each severity on its sign; for banners and marks, that ink on their ground."""
    its = palette(theme)
    for severity in SEVERITIES:
        assert contrast(rgb(its["ink"]), rgb(its[severity])) >= 4.5, severity
        assert contrast(rgb(its[f"{severity}-text"]), rgb(its["raised"])) >= 4.5, severity


@pytest.mark.parametrize("theme", THEMES)
def test_signs_and_outlines_stand_out(theme: str) -> None:
    """3 to 1 for what carries a meaning: outlines of alerted communes, signs, dots of sources, rings of reports."""
    its, where = palette(theme), grounds(theme)
    for severity in SEVERITIES:
        for name in ("ground", "map-fill"):
            assert contrast(rgb(its[f"{severity}-edge"]), where[name]) >= 3, (severity, name)
        # A sign on a commune of its own colour: its outline, or itself on a dark ground.
        edge = its["dot-edge"]
        assert contrast(rgb(edge), rgb(its[severity])) >= 3, severity
    for name in ("dot", "report"):
        for ground in ("ground", "map-fill"):
            assert contrast(rgb(its[name]), where[ground]) >= 3, (name, ground)
    assert contrast(rgb(its["focus"]), where["ground"]) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_hatching_is_quiet_and_there(theme: str) -> None:
    """Most of a city may be unwatched: its lines are seen beside a plain commune and never louder than a border.

    They are no text and not the only way to know: the legend counts these communes, a click says it in words.
    """
    its = palette(theme)
    fill, hatch, line = (rgb(its[name]) for name in ("map-fill", "hatch", "map-line"))
    assert 1.4 <= contrast(hatch, fill) <= contrast(line, fill)


#: The least difference of two severities, CIE 1976, as a sign and as a commune's colour. Okabe and Ito's own orange
#: and yellow have 17.0 under deuteranopia, traffic-light colours 9.3.
SIGNS_APART, COMMUNES_APART = 25.0, 14.0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_the_colour_blind_tell_severities_apart(theme: str, blindness: str) -> None:
    """Colour is never alone, and still no pair of severities falls together for any common kind of eyes."""
    its = palette(theme)
    signs = {severity: rgb(its[severity]) for severity in SEVERITIES}
    opacity, ground = float(its["map-alerted"]), rgb(its["ground"])
    communes = {severity: over(colour, ground, opacity) for severity, colour in signs.items()}
    assert worst_pair(signs, blindness) >= (SIGNS_APART, "")
    assert worst_pair(communes, blindness) >= (COMMUNES_APART, "")


def test_the_figures_are_those_of_others() -> None:
    """The arithmetic held to a published figure: Okabe and Ito's four colours differ by 17.0 under deuteranopia."""
    okabe_ito = {"vermillion": "#d55e00", "orange": "#e69f00", "yellow": "#f0e442", "sky": "#56b4e9"}
    worst, pair = worst_pair({name: rgb(code) for name, code in okabe_ito.items()}, "deuteranopia")
    assert pair == "orange and yellow"
    assert worst == pytest.approx(17.0, abs=0.1)
