"""JSON Schemas of the files that people write, for their editors. They are made from the records that read them.

A schema holds the form alone: what must fit together is told by `ioc rules check`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ioc.yamlfile import Scalar

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema(kind: type[Struct], title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a file that is read as `kind`."""
    (schema,), parts = msgspec.json.schema_components(
        [kind], schema_hook=_scalar, ref_template="#/$defs/{name}"
    )
    for name, part in parts.items():
        _default_kind(part)
        part.pop("title", None)
        parts[name] = _without_discriminators(part)
    return {"$schema": _DIALECT, "title": title, **schema, "$defs": parts}


def _scalar(kind: type) -> dict[str, Any]:
    if issubclass(kind, Scalar):
        return {"type": "string", "pattern": kind.PATTERN, "description": kind.MEANING}
    raise NotImplementedError(kind)


def _default_kind(part: dict[str, Any]) -> None:
    """The word at `kind` shows what it is; without one a rule is a ladder."""
    word = part.get("properties", {}).get("kind", {}).get("enum")
    if word is None or part.get("required", [None])[0] != "kind":
        return
    part["properties"]["kind"]["description"] = part.get("description", "")
    if word == ["ladder"]:
        part["properties"]["kind"]["default"] = "ladder"
        part["required"].remove("kind")


def _without_discriminators(part: Any) -> Any:
    """OpenAPI's word, which JSON Schema does not know."""
    if isinstance(part, dict):
        return {key: _without_discriminators(value) for key, value in part.items() if key != "discriminator"}
    return [_without_discriminators(value) for value in part] if isinstance(part, list) else part
