"""As much of JSON Schema as the schemas here use; a word that it does not know is an error, never passed over."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
#: Words that say nothing about what is valid.
_TALK = {"$schema", "$defs", "title", "description", "default"}
_DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def fits(data: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether data as YAML gives it is valid."""
    if isinstance(data, date):  # YAML's times are texts in JSON
        data = data.isoformat()
    return all(_holds(word, rule, data, schema, root) for word, rule in schema.items() if word not in _TALK)


def _holds(word: str, rule: Any, data: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    match word:
        case "$ref":
            target = root
            for part in rule.removeprefix("#/").split("/"):
                target = target[part]
            return fits(data, target, root)
        case "type":
            return isinstance(data, _TYPES[rule]) and (rule == "boolean" or not isinstance(data, bool))
        case "enum":
            return data in rule
        case "anyOf":
            return any(fits(data, one, root) for one in rule)
        case "pattern":
            return not isinstance(data, str) or re.search(rule, data) is not None
        case "format":
            assert rule == "date-time"
            return not isinstance(data, str) or _DATE_TIME.search(data) is not None
        case "properties":
            return not isinstance(data, dict) or all(
                fits(data[key], part, root) for key, part in rule.items() if key in data
            )
        case "required":
            return not isinstance(data, dict) or all(key in data for key in rule)
        case "additionalProperties":
            return not isinstance(data, dict) or all(
                rule is not False and fits(value, rule if isinstance(rule, dict) else {}, root)
                for key, value in data.items()
                if key not in schema.get("properties", {})
            )
        case "propertyNames":
            return not isinstance(data, dict) or all(fits(key, rule, root) for key in data)
        case "items":
            return not isinstance(data, list) or all(fits(item, rule, root) for item in data)
        case "minItems" | "minLength":
            return not isinstance(data, list | str) or len(data) >= rule
        case "maxItems" | "maxLength":
            return not isinstance(data, list | str) or len(data) <= rule
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            if not isinstance(data, int | float):
                return True
            return {
                "minimum": data >= rule,
                "maximum": data <= rule,
                "exclusiveMinimum": data > rule,
                "exclusiveMaximum": data < rule,
            }[word]
    raise NotImplementedError(f"{word} in {schema}")
