"""Pages that stand for themselves: one file with everything in it, for mail, archives and paper.

A page names no other host, and its Content-Security-Policy lets run and style only what is named by its hash. Texts
from events are escaped by the template, or they are JSON that the page's script makes `textContent` of.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from alerts.agencies.wording import SEVERITY_WORDS
from alerts.alert import Alert
from alerts.explain.words import CHANGES, SUPPRESSION_WORDS, Language, Words
from alerts.model import SEVERITIES, Severity
from ioc.errors import UserError
from maps.assets import Asset, shipped_assets
from maps.picture import LOCAL
from maps.shell import check_own_host

PAGES = Path(__file__).parent / "pages"
#: The weights that pages use.
_FONTS = (("400", "fonts/BeVietnamPro-Regular.woff2"), ("700", "fonts/BeVietnamPro-Bold.woff2"))

#: Colour is never alone: shape and digit say the same. (digit, path, height of the digit), as in static/signs.js.
SIGNS: dict[Severity, tuple[str, str, float]] = {
    "extreme": ("1", "M12 0.5 23.5 12 12 23.5 0.5 12z", 12),
    "severe": ("2", "M2 2h20v20H2z", 12),
    "moderate": ("3", "M12 1 23.5 22.5H0.5z", 15.5),
    "minor": ("4", "M12 1a11 11 0 1 1 0 22a11 11 0 1 1 0-22z", 12),
}


def sign(severity: Severity) -> Markup:
    """The sign of a severity, as markup of fixed parts."""
    digit, path, y = SIGNS[severity]
    return Markup(
        f'<svg class="sign {severity}" viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/>'
        f'<text x="12" y="{y}">{digit}</text></svg>'
    )


class Page:
    """A template of `pages/` with what all of them need, in one language."""

    def __init__(self, template: str, language: Language) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=lambda value: plain(value) if type(value) is str else value,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = self._environment.get_template(template)
        self.words, self.assets = Words(language), shipped_assets()

    def render(self, *, styles: list[str], scripts: list[str], **content: Any) -> str:
        """The page; `styles` and `scripts` are code of our own, `content` may hold texts from anywhere."""
        words = self.words
        # A browser makes one of both line ends before it takes the hash.
        styles = [_one_line_end(code) for code in (self._fonts(), *styles)]
        scripts = [_one_line_end(code) for code in scripts]
        policy = "; ".join(
            [
                "default-src 'none'",
                "script-src " + (_hashes(scripts) if scripts else "'none'"),
                f"style-src {_hashes(styles)}",
                "font-src data:",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            ]
        )
        html = self._template.render(
            lang=words.language,
            say=words.say,
            words=words,
            policy=policy,
            styles=[Markup(style) for style in styles],
            scripts=[Markup(script) for script in scripts],
            sign=sign,
            severity_words=SEVERITY_WORDS,
            severities=tuple(reversed(SEVERITIES)),
            changes=CHANGES,
            clock=clock,
            day=day,
            moment=moment,
            suppressed=lambda alert: suppressed(words, alert),
            **content,
        )
        for code in (*styles, *scripts):
            check_own_host(Asset("page", "text/html", code.encode(), None, ""))
        return html

    def _fonts(self) -> str:
        return "\n".join(
            '@font-face { font-family: "Be Vietnam Pro"; font-weight: '
            f"{weight}; src: url(data:font/woff2;base64,{base64.b64encode(self.assets[name].body).decode()}); }}"
            for weight, name in _FONTS
        )


def own_file(name: str) -> str:
    """A style or a script of `pages/`."""
    return (PAGES / name).read_text(encoding="utf-8")


def _one_line_end(code: str) -> str:
    return code.replace("\r\n", "\n")


def _hashes(codes: list[str]) -> str:
    return " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in codes
    )


#: Signs that turn or hide a text, and marks piled on one letter, as in static/plain.js.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
)


def plain(text: str) -> str:
    """The text with a visible sign in the place of each that would turn or hide it."""
    kept, piled = [], 0
    for letter in _UNSEEN.sub("\ufffd", text):
        piled = piled + 1 if unicodedata.category(letter).startswith("M") else 0
        if piled <= 4:
            kept.append(letter)
    return "".join(kept)


def _plain_all(content: Any) -> Any:
    if isinstance(content, str):
        return plain(content)
    if isinstance(content, dict):
        return {_plain_all(key): _plain_all(value) for key, value in content.items()}
    return [_plain_all(value) for value in content] if isinstance(content, list | tuple) else content


def embedded(content: Any) -> Markup:
    """Content as JSON for a script element that is not run: no text in it can end the element."""
    text = json.dumps(_plain_all(content), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def day(time: datetime) -> str:
    return f"{time.astimezone(LOCAL):%d/%m/%Y}"


def clock(time: datetime) -> str:
    return f"{time.astimezone(LOCAL):%H:%M}"


def moment(time: datetime | None) -> str:
    """A time with its day; empty where there is none."""
    return "" if time is None else f"{time.astimezone(LOCAL):%H:%M %d/%m}"


def suppressed(words: Words, alert: Alert) -> str:
    """Why an alert is not shown among the others; empty where it is."""
    if not alert.suppressed:
        return ""
    kind, _, of = alert.suppressed.partition(":")
    return SUPPRESSION_WORDS[kind][words.language].format(of=of)


def write_page(path: Path, html: str) -> None:
    """Write a page. Raises `UserError` where that is not possible."""
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "cannot write the page", f"{path}: {error.strerror}", "name another file with -o"
        ) from None
