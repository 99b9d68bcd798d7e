"""The inventory: each fixed source with its place, kind, interval and thresholds, from YAML.

    version: 1
    sources:
      - id: gauge-1
        stream: flood
        name: {vi: ..., en: ...}
        kind: water_level
        lon: 105.78
        lat: 10.03
        interval: 5m                 # optional, as are owner, datum and simulated
        thresholds:                  # optional
          - {name: bd1, value: 1.8, since: "2020-01-31T00:00:00+07:00", citation: ...}

Every error names the file, the line and what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from alerts.model import Source, Text, Threshold
from ioc.errors import UserError
from streams.schemas import CLOCK_KEY
from streams.topics import STREAMS

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LANGUAGES = ("vi", "en")


def read_inventory(path: Path) -> dict[str, Source]:
    """The sources of a file by id, in its order.

    Raises `UserError` for a file that cannot be read or is not a usable inventory.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "the inventory cannot be read", f"{path}: {error}", "name a readable UTF-8 file"
        ) from None
    return parse_inventory(text, str(path))


def parse_inventory(text: str, name: str) -> dict[str, Source]:
    """The sources of an inventory's text by id, in its order; `name` is said in errors.

    Raises `UserError` with `name`, the line, what is wrong and what to write instead.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(
            "the inventory is not YAML", f"{name}:{line}: {error.problem}", "mend the line"
        ) from None
    except yaml.YAMLError as error:
        raise UserError("the inventory is not YAML", f"{name}: {error}", "write it as UTF-8 text") from None
    if root is None:
        raise UserError("the inventory is empty", f"{name}:1", "begin with `version: 1` and `sources:`")

    top = _Fields(root, name, "the inventory")
    if top.take("version", _integer) != 1:
        top.fail("version", "this version of the format is not known", "write `version: 1`")
    found: dict[str, Source] = {}
    for node in top.take("sources", _items):
        source, line = _source(node, name)
        if source.id in found:
            raise UserError(
                f"the source {source.id} is there twice", f"{name}:{line}", "give each its own id"
            )
        found[source.id] = source
    top.end()
    return found


class _Problem(Exception):
    """What is wrong with one value, and what to write instead; the caller knows file and line."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy


class _Fields:
    """The fields of one mapping, each to be taken once; what is left at the end is an error."""

    def __init__(self, node: yaml.Node, name: str, what: str) -> None:
        self.name, self.what, self.line = name, what, node.start_mark.line + 1
        self.nodes: dict[str, yaml.Node] = {}
        self.taken: dict[str, int] = {}
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{what} is not a mapping", f"{name}:{self.line}", "write `key: value` pairs")
        for key, value in node.value:
            field = str(key.value)
            if field in self.nodes:
                raise UserError(
                    f"{field!r} is there twice in {what}",
                    f"{name}:{key.start_mark.line + 1}",
                    "keep one of them",
                )
            self.nodes[field] = value

    def take(self, field: str, read: Callable[[yaml.Node], Any], default: Any = ...) -> Any:
        """The field's value as `read` gives it; `default`, or else an error, where it is absent."""
        node = self.nodes.pop(field, None)
        if node is None:
            if default is ...:
                raise UserError(
                    f"{self.what} lacks {field!r}", f"{self.name}:{self.line}", f"add `{field}: ...`"
                )
            return default
        self.taken[field] = node.start_mark.line + 1
        try:
            return read(node)
        except _Problem as problem:
            self.fail(field, problem.what, problem.remedy)

    def fail(self, field: str, what: str, remedy: str) -> None:
        """Raise the error of a field that was taken."""
        raise UserError(f"{self.what}, {field}: {what}", f"{self.name}:{self.taken[field]}", remedy) from None

    def end(self) -> None:
        """Raise an error where a field was not asked for: most likely a slip of the pen."""
        for field, node in self.nodes.items():
            raise UserError(
                f"{self.what} has an unknown key {field!r}",
                f"{self.name}:{node.start_mark.line + 1}",
                f"remove it; known are {', '.join(self.taken)}, and optional ones",
            )


def _source(node: yaml.Node, name: str) -> tuple[Source, int]:
    fields = _Fields(node, name, "a source")
    id_ = fields.take("id", _identifier)
    fields.what = f"the source {id_}"
    source = Source(
        id=id_,
        stream=fields.take("stream", _stream),
        name=fields.take("name", lambda value: _names(value, name, f"the name of {id_}")),
        kind=fields.take("kind", _text),
        lon=fields.take("lon", _number),
        lat=fields.take("lat", _number),
        owner=fields.take("owner", _text, ""),
        interval=fields.take("interval", _interval, None),
        datum=fields.take("datum", _text, None),
        thresholds=fields.take("thresholds", lambda value: _thresholds(value, name, id_), ()),
        simulated=fields.take("simulated", _flag, False),
    )
    if abs(source.lat) > 90 and abs(source.lon) <= 90:
        fields.fail(
            "lat", f"{source.lat} is no latitude, and lon {source.lon} could be one", "swap lon and lat"
        )
    if abs(source.lat) > 90:
        fields.fail("lat", f"{source.lat} is no latitude", "write degrees north, -90 to 90")
    if abs(source.lon) > 180:
        fields.fail("lon", f"{source.lon} is no longitude", "write degrees east, -180 to 180")
    fields.end()
    return source, fields.line


def _names(node: yaml.Node, name: str, what: str) -> Text:
    fields = _Fields(node, name, what)
    names = {language: fields.take(language, _text) for language in _LANGUAGES}
    fields.end()
    return names


def _thresholds(node: yaml.Node, name: str, source: str) -> tuple[Threshold, ...]:
    found: list[Threshold] = []
    for item in _items(node):
        fields = _Fields(item, name, f"a threshold of {source}")
        threshold = Threshold(
            name=fields.take("name", _text),
            value=fields.take("value", _number),
            since=fields.take("since", _time, None),
            until=fields.take("until", _time, None),
            citation=fields.take("citation", _text, ""),
        )
        fields.end()
        if threshold.since and threshold.until and threshold.since >= threshold.until:
            fields.fail("until", "it ends before it begins", "let `until` be later than `since`")
        for other in found:
            if other.name == threshold.name and _overlap(other, threshold):
                fields.fail(
                    "name", f"two values of {threshold.name} hold at once", "set `until` on the older one"
                )
        found.append(threshold)
    return tuple(found)


def _overlap(a: Threshold, b: Threshold) -> bool:
    a_ends_first = a.until is not None and b.since is not None and a.until <= b.since
    b_ends_first = b.until is not None and a.since is not None and b.until <= a.since
    return not (a_ends_first or b_ends_first)


def _scalar(node: yaml.Node, *kinds: str) -> str | None:
    """The scalar's text where YAML takes it for one of `kinds`."""
    if isinstance(node, yaml.ScalarNode) and node.tag.rpartition(":")[2] in kinds:
        return str(node.value)
    return None


def _text(node: yaml.Node) -> str:
    text = _scalar(node, "str")
    if not text:
        raise _Problem("it is not a text", "write a text, in quotes where it looks like a number or a date")
    return text


def _identifier(node: yaml.Node) -> str:
    text = _text(node)
    if not text.isprintable() or " " in text or text.encode() == CLOCK_KEY:
        raise _Problem(f"{text!r} cannot be an id", "use letters, digits and - _ . : without spaces")
    return text


def _stream(node: yaml.Node) -> str:
    text = _text(node)
    if text not in STREAMS:
        raise _Problem(f"there is no stream {text!r}", f"write one of {', '.join(STREAMS)}")
    return text


def _number(node: yaml.Node) -> float:
    text = _scalar(node, "int", "float")
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _Problem("it is not a number", "write a number such as 105.78, without quotes")
    return number


def _integer(node: yaml.Node) -> int:
    text = _scalar(node, "int")
    if text is None or not text.isdecimal():
        raise _Problem("it is not a whole number", "write a number such as 1")
    return int(text)


def _flag(node: yaml.Node) -> bool:
    text = _scalar(node, "bool")
    if text is None:
        raise _Problem("it is neither true nor false", "write true or false")
    return text.lower() in ("true", "yes", "on")


def _interval(node: yaml.Node) -> float:
    match = _INTERVAL.fullmatch(_scalar(node, "str") or "")
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise _Problem("it is not an interval", "write it with its unit, such as 60s, 5m or 1h")
    return seconds


def _time(node: yaml.Node) -> datetime:
    try:
        time = datetime.fromisoformat(_scalar(node, "str", "timestamp") or "")
    except ValueError:
        time = datetime.min  # noqa: DTZ901 - refused below, as one without a zone
    if time.tzinfo is None:
        raise _Problem("it is not a time with a zone", "write it as 2020-01-31T00:00:00+07:00")
    return time.astimezone(UTC)


def _items(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Problem("it is not a list", "write its items, each on a line that begins with `- `")
    return list(node.value)
