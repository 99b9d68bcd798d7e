"""YAML files that people write, read into typed records; an error names file, line, column and reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
import yaml

from ioc.errors import UserError

T = TypeVar("T")

#: A path into a document, such as ("rules", 0, "hold").
Path = tuple[str | int, ...]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATH_PART = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")


class Duration:
    """A length of time as people write it: 30s, 10m, 2h, 1d."""

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a duration; write a number and s, m, h or d, such as 10m")
        self.time = timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def _decode_hook(kind: type, value: object) -> object:
    if kind is Duration:
        return Duration(str(value))
    raise NotImplementedError(kind)


class Document:
    """A YAML text with the place of each of its parts."""

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`; `name` is the file's name for messages. Raises `UserError` where it is not YAML."""
        self.name = name
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            reason = getattr(error, "problem", None) or str(error)
            raise UserError("not valid YAML", f"{place}: {reason}", "correct the line") from None
        self._refuse_repeated_keys(self._root)

    def _refuse_repeated_keys(self, node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    place = f"{self.name}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
                    raise UserError("key given twice", f"{place}: {key.value}", "keep one of them")
                seen.add(key.value)
                self._refuse_repeated_keys(value)
        elif isinstance(node, yaml.SequenceNode):
            for child in node.value:
                self._refuse_repeated_keys(child)

    def place(self, path: Path) -> str:
        """`file:line:column` of the deepest part of `path` that exists."""
        node = self._root
        for part in path:
            child: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                child = next((value for key, value in node.value if key.value == str(part)), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                child = node.value[part]
            if child is None:
                break
            node = child
        if node is None:
            return self.name
        return f"{self.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def error(self, path: Path, what: str, remedy: str = "correct the file") -> UserError:
        """An error about one part of the document."""
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return UserError(what, f"{self.place(path)}: {dotted or 'the whole file'}", remedy)

    def convert(self, kind: type[T], remedies: Mapping[str, str] | None = None) -> T:
        """The document as a typed record; `remedies` says what to write in a field of that name.

        Raises `UserError` naming the part that does not fit.
        """
        try:
            return msgspec.convert(self.data, kind, dec_hook=_decode_hook)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at ")
            path: Path = tuple(int(index) if index else name for name, index in _PATH_PART.findall(where))
            if unknown := re.search(r"unknown field `(.+)`", message):
                raise self.error((*path, unknown[1]), message, "remove it, or mend its name") from None
            if missing := re.search(r"missing required field `(.+)`", message):
                raise self.error(path, message, f"add `{missing[1]}: ...`") from None
            field = next((part for part in reversed(path) if isinstance(part, str)), "")
            raise self.error(path, message, (remedies or {}).get(field, "correct the line")) from None
