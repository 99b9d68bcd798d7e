"""YAML files that people write, read into typed records; an error names file, line, column and reason.

What is wrong with a file is collected and told at once: whoever mends it should not learn of his slips one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from ioc.errors import UserError

T = TypeVar("T")

#: A path into a document, such as ("rules", 0, "hold").
Path = tuple[str | int, ...]

#: The longest time that files may speak of: added to a time of ours it stays in the calendar.
_LONGEST = timedelta(days=10_000)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: The years that files may speak of.
_YEARS = range(1800, 3000)
_PATH_PART = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")


class Scalar:
    """A value that people write in a form of its own. Subclasses are made from its text, or raise `ValueError`."""

    #: The form as a regular expression, and what it is, for the files' JSON Schemas.
    PATTERN: ClassVar[str]
    MEANING: ClassVar[str]

    def __init__(self, text: str) -> None:
        raise NotImplementedError


class Duration(Scalar):
    """A length of time as people write it: 30s, 10m, 2h, 1d."""

    PATTERN = r"^\d+(\.\d+)?[smhd]$"
    MEANING = "A length of time: a number and s, m, h or d, such as 10m"

    def __init__(self, text: str) -> None:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a duration; write a number and s, m, h or d, such as 10m")
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds > _LONGEST.total_seconds():
            raise ValueError(
                f"{text[:40]!r} is longer than any time that can be reckoned with; write {_LONGEST.days}d at most"
            )
        self.time = timedelta(seconds=seconds)


class TimeOfDay(Scalar):
    """A time of day as people write it: 07:30."""

    PATTERN = r"^([01]\d|2[0-3]):[0-5]\d$"
    MEANING = "A time of day such as 07:30"

    def __init__(self, text: str) -> None:
        if not re.fullmatch(self.PATTERN, text.strip()):
            raise ValueError(f"{text!r} is not a time of day; write hours and minutes, such as 07:30")
        hours, minutes = text.strip().split(":")
        self.time = time(int(hours), int(minutes))


def _decode_hook(kind: type, value: object) -> object:
    if issubclass(kind, Scalar):
        return kind(str(value))
    raise NotImplementedError(kind)


#: Of so many problems a file's errors tell at most. Nobody mends more at once, and looking for the rest of a large
#: file of another kind takes seconds.
MOST_PROBLEMS = 1_000


class FileErrors(UserError):
    """What is wrong with a file. It speaks of the first problem, and has all, or the first `MOST_PROBLEMS`."""

    def __init__(self, problems: list[UserError], unfinished: bool = False) -> None:
        """`unfinished` where there are more than were looked for."""
        #: In the order of the file.
        self.problems = tuple(problems)
        self.unfinished = unfinished
        first, others = problems[0], len(problems) - 1
        more = f"at least {others + 1}" if unfinished else f"{others}"
        remedy = f"{first.remedy} (and {more} more to mend)" if others else first.remedy
        super().__init__(first.what, first.where, remedy)


#: libyaml's loader, ten times as fast, where PyYAML was built with it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Deeper than this nobody writes, and libyaml's loader would run out of stack.
_DEEPEST = 50


#: So many parts may stand in a file by name only (`*name`): a few lines of names that repeat names
#: would mean more than any memory holds.
_REPEATED = 100_000


class _Loader(_Base):
    """YAML without numbers to the base of 60: 22:00 is a text, not 1320."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith((":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _refuse_depth(text: str) -> None:
    """Raises `yaml.YAMLError` where parts lie too deep in one another. Looks at the text without recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                mark: Any = event.start_mark
                raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Extent(NamedTuple):
    """How many parts a part has, itself included, and how deep they lie in one another."""

    parts: int
    depth: int


class Document:
    """A YAML text with the place of each of its parts."""

    def __init__(self, text: str, name: str) -> None:
        """Parse `text`; `name` is the file's name for messages. Raises `UserError` where it is not YAML."""
        self.name = name
        self._children_by_key: dict[int, dict[str, yaml.Node]] = {}
        loader: Any = None
        try:
            _refuse_depth(text)
            loader = _Loader(text)
            self._root = loader.get_single_node()
            if self._root is not None:
                self._refuse_what_surprises(self._root, {})
            self.data: Any = loader.construct_document(self._root) if self._root is not None else None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            reason = getattr(error, "problem", None) or str(error)
            raise UserError("not valid YAML", f"{place}: {reason}", "correct the line") from None
        except ValueError as error:  # a date that is none, such as 2025-13-01
            raise UserError("not valid YAML", f"{name}: {error}", "correct it, or put it in quotes") from None
        finally:
            if loader is not None:
                loader.dispose()

    def _refuse_what_surprises(self, node: yaml.Node, seen: dict[int, _Extent | None]) -> _Extent:
        """Keys given twice or that are no plain words, parts that contain themselves, parts that repeat others
        beyond measure: all are refused. Returns how large the node is, with what its names stand for.

        `seen` has what is known of nodes, None of those around this one: each is looked at once, however often it is
        named.
        """
        if id(node) in seen:
            known = seen[id(node)]
            if known is None:
                raise UserError("a part contains itself", self._at(node), "write it out")
            return known
        seen[id(node)] = None
        parts, deepest = 1, 0
        for child in self._children(node):
            inner = self._refuse_what_surprises(child, seen)
            parts, deepest = parts + inner.parts, max(deepest, inner.depth)
        extent = seen[id(node)] = _Extent(parts, deepest + 1)
        if extent.depth > _DEEPEST or parts > _REPEATED + len(seen):
            raise UserError("parts are repeated beyond measure", self._at(node), "write out what is meant")
        return extent

    def _children(self, node: yaml.Node) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            given: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise UserError("a key is not a word", self._at(key), "write `key: value`")
                if key.value in given:
                    raise UserError("key given twice", f"{self._at(key)}: {key.value}", "keep one of them")
                given.add(key.value)
                yield value
        elif isinstance(node, yaml.SequenceNode):
            yield from node.value

    def _at(self, node: yaml.Node | None) -> str:
        if node is None:
            return self.name
        return f"{self.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def _find(self, path: Path) -> yaml.Node | None:
        """The deepest part of `path` that exists."""
        node = self._root
        for part in path:
            child: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                child = self._by_key(node).get(str(part))
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                child = node.value[part]
            if child is None:
                break
            node = child
        return node

    def _by_key(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        """A mapping's parts. Kept: a file of thousands of keys may have thousands of problems."""
        if (known := self._children_by_key.get(id(node))) is None:
            known = self._children_by_key[id(node)] = {key.value: value for key, value in node.value}
        return known

    def place(self, path: Path) -> str:
        """`file:line:column` of the deepest part of `path` that exists."""
        return self._at(self._find(path))

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of `place`, for an order; both from 0."""
        node = self._find(path)
        return (node.start_mark.line, node.start_mark.column) if node is not None else (0, 0)

    def part(self, path: Path) -> Any:
        """The data at `path`; None where there is none."""
        data = self.data
        for part in path:
            try:
                data = data[part]
            except (KeyError, IndexError, TypeError):
                return None
        return data

    def error(self, path: Path, what: str, remedy: str = "correct the file") -> UserError:
        """An error about one part of the document."""
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return UserError(what, f"{self.place(path)}: {dotted or 'the whole file'}", remedy)

    def convert(self, kind: type[T], remedies: Mapping[str, str] | None = None) -> T:
        """The document as a typed record; `remedies` says what to write in a field of that name.

        Raises `FileErrors` naming each part that does not fit.
        """
        problems = Problems(self, remedies)
        record = problems.read(kind)
        problems.tell()
        assert record is not None
        return record


class Problems:
    """Collects all that is wrong with a document."""

    def __init__(self, document: Document, remedies: Mapping[str, str] | None = None) -> None:
        """`remedies` says what to write in a field of that name."""
        self.document, self._remedies = document, remedies or {}
        self._found: list[tuple[tuple[int, int], UserError]] = []
        self._unfinished = False

    def add(self, path: Path, what: str, remedy: str = "correct the file") -> None:
        """Something is wrong with one part of the document. Beyond `MOST_PROBLEMS` it is only noted that there is."""
        if len(self._found) == MOST_PROBLEMS:
            self._unfinished = True
            return
        self._found.append((self.document.position(path), self.document.error(path, what, remedy)))

    def tell(self) -> None:
        """Raise `FileErrors` with what was found, in the order of the file; nothing where that is nothing."""
        if self._found:
            in_order = [error for _, error in sorted(self._found, key=lambda found: found[0])]
            raise FileErrors(in_order, self._unfinished)

    def read(self, kind: type[T], path: Path = ()) -> T | None:
        """The part at `path` as a typed record; None, and the problems noted, where it is not one."""
        data = self.document.part(path)
        try:
            record = msgspec.convert(data, kind, dec_hook=_decode_hook)
        except msgspec.ValidationError:
            for where, message in _faults(data, kind, path):
                self._fault(where, message)
                if self._unfinished:
                    break
            return None
        far = list(_far_times(record, path))
        for where, time_ in far:
            self.add(
                where,
                f"{time_.isoformat()} is too far away to be reckoned with",
                f"write a time from {_YEARS[0]} to {_YEARS[-1]}, or leave it out where there is no such bound",
            )
        return None if far else record

    def _fault(self, path: Path, message: str) -> None:
        if unknown := re.search(r"unknown field `(.+)`", message):
            self.add((*path, unknown[1]), message, "remove it, or mend its name")
        elif missing := re.search(r"missing required field `(.+)`", message):
            self.add(path, message, f"add `{missing[1]}: ...`")
        else:
            field = next((part for part in reversed(path) if isinstance(part, str)), "")
            self.add(path, message, self._remedies.get(field, "correct the line"))


def _faults(data: Any, kind: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Each part of `data` that does not fit `kind`, and why, in msgspec's words.

    msgspec stops at the first: so the parts are tried one by one, and the whole only where each part is good.
    """
    found = False
    for part, part_kind, key in _parts(data, _plain(data, kind)):
        for fault in _faults(part, part_kind, (*path, key)):
            found = True
            yield fault
    for message in _misfit_keys(data, _plain(data, kind)):
        found = True
        yield path, message
    if found:
        return
    try:
        msgspec.convert(data, kind, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        inner = tuple(int(index) if index else name for name, index in _PATH_PART.findall(where))
        yield (*path, *inner), message


def _far_times(record: Any, path: Path) -> Iterator[tuple[Path, datetime]]:
    """The times in a record that another zone's calendar may not have."""
    if isinstance(record, datetime):
        if record.year not in _YEARS:
            yield path, record
    elif isinstance(record, msgspec.Struct):
        for attribute, name in zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True):
            yield from _far_times(getattr(record, attribute), (*path, name))
    elif isinstance(record, dict):
        for key, value in record.items():
            yield from _far_times(value, (*path, str(key)))
    elif isinstance(record, list | tuple):
        for index, value in enumerate(record):
            yield from _far_times(value, (*path, index))


def _plain(data: Any, kind: Any) -> Any:
    """The type without its annotation; of a union, the member that data of this shape is meant for."""
    if get_origin(kind) is Annotated:
        return _plain(data, get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        members = [_plain(data, member) for member in get_args(kind)]
        if isinstance(data, dict):
            fitting = [member for member in members if _is_struct(member) or get_origin(member) is dict]
        else:
            fitting = [m for m in members if isinstance(data, list) and get_origin(m) is list]
        return fitting[0] if len(fitting) == 1 else None
    return kind


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Evaluating a structure's annotations takes longer than finding what is wrong with one."""
    return msgspec.structs.fields(kind)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _parts(data: Any, kind: Any) -> Iterator[tuple[Any, Any, str | int]]:
    """The parts of a structure with the types that they must have."""
    if _is_struct(kind) and isinstance(data, dict):
        for field in _fields(kind):
            if field.encode_name in data:
                yield data[field.encode_name], field.type, field.encode_name
    elif get_origin(kind) is dict and isinstance(data, dict):
        for key, value in data.items():
            yield value, get_args(kind)[1], str(key)
    elif get_origin(kind) is list and isinstance(data, list):
        for index, value in enumerate(data):
            yield value, get_args(kind)[0], index


def _misfit_keys(data: Any, kind: Any) -> Iterator[str]:
    if not (_is_struct(kind) and isinstance(data, dict)):
        return
    fields = {field.encode_name: field for field in _fields(kind)}
    config = kind.__struct_config__
    if config.forbid_unknown_fields:
        for key in data:
            if key not in fields and key != config.tag_field:
                yield f"Object contains unknown field `{key}`"
    for name, field in fields.items():
        if field.required and name not in data:
            yield f"Object missing required field `{name}`"
