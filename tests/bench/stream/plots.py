"""The figures as pictures, in SVG made by hand."""

from __future__ import annotations

import math
from html import escape

Point = tuple[float, float]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 300, 70, 48, 36, 16
_STYLE = "font-family='sans-serif' font-size='12' fill='#222'"


def line(title: str, x: str, y: str, points: list[Point]) -> str:
    """Values against sizes, on a logarithmic axis of sizes; an SVG document."""
    top = _nice(max(value for _, value in points))
    logs = [math.log10(size) for size, _ in points]
    low, span = min(logs), (max(logs) - min(logs)) or 1.0
    place = [
        (_LEFT + (log - low) / span * (_WIDTH - _LEFT - _RIGHT - 40) + 20, _up(value, top))
        for log, (_, value) in zip(logs, points, strict=True)
    ]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in place)
    body = [f"<polyline fill='none' stroke='#1f5fa8' stroke-width='2' points='{path}'/>"]
    for (a, b), (size, value) in zip(place, points, strict=True):
        body.append(f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3.5' fill='#1f5fa8'/>")
        body.append(_text(a, b - 9, f"{value:,.0f}", "middle"))
        body.append(_text(a, _HEIGHT - _BOTTOM + 17, f"{size:,.0f}", "middle"))
    return _document(title, x, y, top, body)


def bars(title: str, y: str, values: dict[str, float]) -> str:
    """One bar for each name; an SVG document."""
    top = _nice(max(values.values()))
    step = (_WIDTH - _LEFT - _RIGHT) / len(values)
    body = []
    for i, (name, value) in enumerate(values.items()):
        a, b = _LEFT + i * step, _up(value, top)
        body.append(
            f"<rect x='{a + step * 0.2:.1f}' y='{b:.1f}' width='{step * 0.6:.1f}' "
            f"height='{_HEIGHT - _BOTTOM - b:.1f}' fill='#1f5fa8'/>"
        )
        body.append(_text(a + step / 2, b - 6, f"{value:,.0f}", "middle"))
        body.append(_text(a + step / 2, _HEIGHT - _BOTTOM + 17, name, "middle"))
    return _document(title, "", y, top, body)


def _document(title: str, x: str, y: str, top: float, body: list[str]) -> str:
    axes = [
        f"<path d='M{_LEFT} {_TOP} V{_HEIGHT - _BOTTOM} H{_WIDTH - _RIGHT}' fill='none' stroke='#222'/>",
        *(_text(_LEFT - 6, _up(part * top, top) + 4, f"{part * top:,.0f}", "end") for part in (0, 0.5, 1)),
        _text(_WIDTH / 2, 16, title, "middle"),
        _text((_LEFT + _WIDTH) / 2, _HEIGHT - 10, x, "middle"),
        _text(4, _TOP - 8, y, "start"),
    ]
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}'>"
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='#fff'/>{''.join(axes + body)}</svg>\n"
    )


def _up(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - _TOP - 14)


def _text(a: float, b: float, text: str, anchor: str) -> str:
    return f"<text x='{a:.1f}' y='{b:.1f}' text-anchor='{anchor}' {_STYLE}>{escape(text)}</text>"


def _nice(value: float) -> float:
    """The next 1, 2 or 5 with zeros."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= value)
