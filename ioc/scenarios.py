"""Finding a recorded scenario by the name under which it ships, or by its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ioc.errors import UserError

#: Where the scenarios lie that ship: a directory each, with these files.
SCENARIOS = Path(__file__).resolve().parent.parent / "streams" / "scenarios"
RECORDING = "scenario.ndjson.gz"
INVENTORY = "inventory.yaml"


@dataclass(frozen=True)
class Scenario:
    """A recording to replay, and the inventory of its sources where it brings one."""

    name: str
    recording: Path
    inventory: Path | None


def shipped() -> list[str]:
    """The names of the scenarios that ship, as they are typed."""
    return sorted(path.parent.name.replace("_", "-") for path in SCENARIOS.glob(f"*/{RECORDING}"))


def find_scenario(name: str) -> Scenario:
    """The scenario of that name, or the recording in that file.

    An inventory beside the recording belongs to it. Raises `UserError` where there is no such scenario.
    """
    directory = SCENARIOS / name.replace("-", "_")
    recording = directory / RECORDING if name in shipped() else Path(name).expanduser()
    if not recording.is_file():
        raise UserError(
            f"no scenario {name}",
            "neither a file nor one that ships",
            f"give a file (.ndjson or .ndjson.gz), or one of: {', '.join(shipped()) or 'none ships'}",
        )
    inventory = recording.with_name(INVENTORY)
    return Scenario(
        name if recording.parent == directory else recording.name.split(".")[0],
        recording.resolve(),
        inventory.resolve() if inventory.is_file() else None,
    )
