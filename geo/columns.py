"""Which property of a file holds a commune's code, name and province, and what it says."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import geopandas
import pandas

from ioc.errors import UserError

#: Names that a property goes by, best first, as `plain` spells them.
CODE_NAMES = (
    "code",
    "ma",
    "maxa",
    "maphuongxa",
    "maphuong",
    "communecode",
    "wardcode",
    "unitcode",
    "adm3pcode",
    "adm2pcode",
)
NAME_NAMES = (
    "fullname",
    "tendaydu",
    "name",
    "ten",
    "tenxa",
    "tenphuongxa",
    "communename",
    "wardname",
    "unitname",
    "commune",
)
PROVINCE_NAMES = ("provincecode", "matinh", "maprovince", "matinhthanh", "adm1pcode")

#: Digits of an official code of a commune and of a province.
CODE_DIGITS, PROVINCE_DIGITS = 5, 2


def plain(text: str) -> str:
    """Text without case, accents and signs: Mã_Xã is maxa."""
    decomposed = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in decomposed if letter.isascii() and letter.isalnum())


def find_column(frame: geopandas.GeoDataFrame, names: Sequence[str]) -> str | None:
    """The first of the frame's properties that goes by one of the names; None where none does."""
    present = {plain(str(column)): str(column) for column in frame.columns if column != frame.geometry.name}
    return next((present[name] for name in names if name in present), None)


def properties(frame: geopandas.GeoDataFrame) -> str:
    """The names of all properties, for a message."""
    return ", ".join(str(column) for column in frame.columns if column != frame.geometry.name) or "none"


def require_column(frame: geopandas.GeoDataFrame, names: Sequence[str], what: str, path: Path) -> str:
    """The property that holds `what`. Raises `UserError` naming those that are there."""
    found = find_column(frame, names)
    if found is None:
        raise UserError(
            f"boundaries file has no property with the {what} of a commune",
            f"{path}: its properties are {properties(frame)}",
            f"name one of them {names[0] if what != 'province code' else 'province_code'}",
        )
    return found


def texts(frame: geopandas.GeoDataFrame, column: str, digits: int, path: Path) -> list[str]:
    """A property as text; official codes that were stored as numbers get their leading zeros back.

    Raises `UserError` where it is empty in a feature.
    """
    values = frame[column]
    if values.isna().any():
        raise UserError(
            f"property {column} is empty in {int(values.isna().sum())} of {len(frame)} features",
            f"{path}: the first is feature {int(values.isna().argmax()) + 1}",
            "complete the file",
        )
    if pandas.api.types.is_numeric_dtype(values):
        return [f"{value:0{digits}.0f}" for value in values]
    found = [unicodedata.normalize("NFC", str(value)).strip() for value in values]
    if "" in found:
        raise UserError(
            f"property {column} is empty", f"{path}: feature {found.index('') + 1}", "complete the file"
        )
    return found
