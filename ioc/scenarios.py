"""Finding a recorded scenario by the name under which it ships, or by its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ioc.errors import UserError
from ioc.settings import Settings

#: Where the scenarios lie that ship: a directory each, with these files.
SCENARIOS = Path(__file__).resolve().parent.parent / "streams" / "scenarios"
RECORDING = "scenario.ndjson.gz"
INVENTORY = "inventory.yaml"
SUBSCRIPTIONS = "subscriptions.yaml"
MAINTENANCE = "maintenance.yaml"

#: What may lie beside a recording, by the setting that it is for.
BESIDE = {
    "inventory_file": INVENTORY,
    "subscriptions_file": SUBSCRIPTIONS,
    "maintenance_file": MAINTENANCE,
}


@dataclass(frozen=True)
class Scenario:
    """A recording to replay, and what it brings: its sources, who is told, and what is worked at."""

    name: str
    recording: Path
    #: Files by the setting that they are for.
    files: dict[str, Path]

    def over(self, settings: Settings) -> dict[str, Path]:
        """What to set: its files, where the settings name none of that kind."""
        return {name: path for name, path in self.files.items() if getattr(settings, name) is None}


def shipped() -> list[str]:
    """The names of the scenarios that ship, as they are typed."""
    return sorted(path.parent.name.replace("_", "-") for path in SCENARIOS.glob(f"*/{RECORDING}"))


def find_scenario(name: str) -> Scenario:
    """The scenario of that name, or the recording in that file.

    An inventory, subscriptions and maintenance windows beside the recording belong to it. Raises `UserError` where
    there is no such scenario.
    """
    directory = SCENARIOS / name.replace("-", "_")
    recording = directory / RECORDING if name in shipped() else Path(name).expanduser()
    if not recording.is_file():
        raise UserError(
            f"no scenario {name}",
            "neither a file nor one that ships",
            f"give a file (.ndjson or .ndjson.gz), or one of: {', '.join(shipped()) or 'none ships'}",
        )
    beside = {name: recording.with_name(file) for name, file in BESIDE.items()}
    return Scenario(
        name if recording.parent == directory else recording.name.split(".")[0],
        recording.resolve(),
        {name: path.resolve() for name, path in beside.items() if path.is_file()},
    )
