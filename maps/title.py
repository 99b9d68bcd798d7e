"""The heading of the wall, from the setting or from the name of the province."""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import closing
from pathlib import Path

from ioc.settings import Settings


def wall_title(settings: Settings) -> dict[str, str]:
    """The heading in each language, such as TRUNG TÂM ĐIỀU HÀNH – TP. CẦN THƠ."""
    if settings.wall_title:
        return {"vi": settings.wall_title, "en": settings.wall_title}
    name = _province_name(settings.provinces[0]) if len(settings.provinces) == 1 else ""
    after = f" – {name.upper()}" if name else ""
    return {"vi": f"TRUNG TÂM ĐIỀU HÀNH{after}", "en": f"OPERATIONS CENTRE{after}"}


def _province_name(code: str) -> str:
    """Name of a province as the package vietnamadminunits has it; empty where it does not know the code."""
    spec = importlib.util.find_spec("vietnamadminunits")
    if spec is None or not spec.submodule_search_locations:
        return ""
    path = Path(spec.submodule_search_locations[0]) / "data" / "dataset.db"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            row = database.execute(
                "SELECT province FROM admin_units WHERE provinceCode = ? LIMIT 1", (code,)
            ).fetchone()
    except sqlite3.Error:
        return ""
    return str(row[0]).replace("Thành phố ", "TP. ") if row else ""
