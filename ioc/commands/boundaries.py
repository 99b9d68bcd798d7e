"""`ioc boundaries ...`: import, check, list, show, fetch and activate sets of commune boundaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from geo.boundaries import BoundarySet
    from geo.importing import Said
    from geo.report import Report
    from geo.store import Stored
    from ioc.settings import Settings

#: Exit code where a file was read and is not good enough.
REFUSED = 1

app = typer.Typer(
    name="boundaries",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Sets of commune boundaries: import, check, list, show, fetch, activate.",
)

_File = Annotated[Path, typer.Argument(help="A file, a folder of files, or a ZIP.", metavar="FILE|DIR|ZIP")]
_Code = Annotated[str | None, typer.Option(help="Property with a commune's code.  [default: found by name]")]
_Name = Annotated[str | None, typer.Option(help="Property with its name.  [default: found by name]")]
_ProvinceColumn = Annotated[
    str | None, typer.Option(help="Property with its province's code.  [default: found by name]")
]
_Province = Annotated[str | None, typer.Option(help="Code of the province of all communes, such as 92.")]
_Crs = Annotated[
    str | None, typer.Option(help="Coordinate system instead of what the file says.", metavar="EPSG:...")
]
_Layer = Annotated[str | None, typer.Option(help="Layer of a file that has several.")]
_From = Annotated[str | None, typer.Option(help="First instant it holds, such as 2025-07-01T00:00:00+07:00.")]
_Until = Annotated[str | None, typer.Option(help="First instant it no longer holds.  [default: still holds]")]
_Tolerance = Annotated[
    float | None, typer.Option(help="Overlaps and gaps up to so many m² are repaired.  [default: 100]")
]
_Accept = Annotated[
    list[str] | None,
    typer.Option(help="Take errors of this check for warnings; can be given several times.", metavar="CHECK"),
]
_ReportFile = Annotated[Path | None, typer.Option("--report", help="Write the report there as JSON.")]
_Json = Annotated[bool, typer.Option("--json", help="For a machine.")]


@app.command("import")
def import_(
    file: _File,
    id: Annotated[str, typer.Option(help="Name of the set, such as can-tho-2025.")],
    valid_from: _From = None,
    valid_until: _Until = None,
    source: Annotated[str, typer.Option(help="Where it comes from.  [default: the file's name]")] = "",
    licence: Annotated[str, typer.Option(help="What its licence is.")] = "",
    approximate: Annotated[bool, typer.Option("--approximate", help="It is no official map.")] = False,
    code_column: _Code = None,
    name_column: _Name = None,
    province_column: _ProvinceColumn = None,
    province: _Province = None,
    crs: _Crs = None,
    layer: _Layer = None,
    tolerance: _Tolerance = None,
    accept: _Accept = None,
    report: _ReportFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only.")] = False,
) -> None:
    """Check a map of communes and keep it as a boundary set; exit with 1, and keep nothing, where it is refused.

    Reads what GDAL reads: GeoJSON, GeoPackage, Shapefile, FlatGeobuf, a folder of one-feature files.

    Example: `ioc boundaries import communes.gpkg --id hau-giang-2020 --valid-until 2025-07-01T00:00:00+07:00`
    """
    said = _said(
        id=id,
        valid_from=valid_from,
        valid_until=valid_until,
        source=source,
        licence=licence,
        approximate=approximate,
        code_column=code_column,
        name_column=name_column,
        province_column=province_column,
        province=province,
        crs=crs,
        layer=layer,
        tolerance=tolerance,
        accept=accept,
    )
    _take(file, said, report, None if dry_run else _settings())


@app.command()
def check(
    file: _File,
    valid_from: _From = None,
    valid_until: _Until = None,
    code_column: _Code = None,
    name_column: _Name = None,
    province_column: _ProvinceColumn = None,
    province: _Province = None,
    crs: _Crs = None,
    layer: _Layer = None,
    tolerance: _Tolerance = None,
    accept: _Accept = None,
    report: _ReportFile = None,
) -> None:
    """Check a map of communes as `import` does, and keep nothing; exit with 1 where it would be refused."""
    said = _said(
        id="checked",
        valid_from=valid_from,
        valid_until=valid_until,
        code_column=code_column,
        name_column=name_column,
        province_column=province_column,
        province=province,
        crs=crs,
        layer=layer,
        tolerance=tolerance,
        accept=accept,
    )
    _take(file, said, report, None)


@app.command()
def fetch(
    id: Annotated[str, typer.Argument(help="A set of the catalogue, such as can-tho-2025.")],
    base: Annotated[
        str | None, typer.Option("--from", help="Address of a copy of the files.", metavar="URL")
    ] = None,
    accept: _Accept = None,
    report: _ReportFile = None,
) -> None:
    """Fetch official boundaries from a public data set, check each file's SHA-256, and import them.

    Interrupted and started again it goes on where it stopped. Uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    """
    from geo.catalogue import find_entry
    from geo.importing import Said, check_said
    from ioc.artifacts import to_stderr
    from ioc.downloads import fetch_files

    settings, entry = _settings(), find_entry(id)
    directory = settings.cache_dir / "boundaries" / f"{entry.id}-{entry.commit[:12]}"
    said = Said(
        id=entry.id,
        source=entry.source,
        licence=entry.licence,
        valid_from=entry.valid_from,
        province=entry.province,
        accept=frozenset(accept or ()),
    )
    check_said(said)
    fetch_files(entry.manifest(), base or entry.base, directory, to_stderr)
    _take(directory, said, report, settings)


@app.command("list")
def list_(as_json: _Json = False) -> None:
    """List the sets that were imported, and what the catalogue offers."""
    from geo.catalogue import ENTRIES
    from geo.store import store_directory, stored_sets
    from ioc.commands.tables import columns

    found = stored_sets(store_directory(_settings().state_dir))
    if as_json:
        typer.echo(json.dumps([_as_dict(stored) for stored in found], ensure_ascii=False, indent=2))
        return
    rows = [
        (
            stored.id,
            stored.version,
            "yes" if stored.approximate else "no",
            str(stored.communes),
            stored.valid_from.isoformat() if stored.valid_from else "",
            stored.valid_until.isoformat() if stored.valid_until else "",
            stored.licence,
            stored.source,
        )
        for stored in found
    ]
    head = ("id", "version", "approximate", "communes", "valid from", "valid until", "licence", "source")
    typer.echo(_clean(columns([head, *rows])) if rows else "no boundaries were imported")
    offered = ", ".join(entry.id for entry in ENTRIES if entry.id not in {stored.id for stored in found})
    if offered:
        typer.echo(f"can be fetched: {offered}")


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="ID or ID@VERSION of an imported set.", metavar="ID")],
    as_json: _Json = False,
) -> None:
    """Show an imported set: its communes with their areas in km²."""
    import shapely

    from geo.metres import in_metres
    from geo.store import find_stored, load_stored, store_directory
    from ioc.commands.tables import columns

    stored = find_stored(store_directory(_settings().state_dir), id)
    boundaries: BoundarySet = load_stored(stored)
    areas = (shapely.area(in_metres(boundaries.geometries)) / 1e6).tolist()
    if as_json:
        communes = [
            {
                "code": commune.code,
                "name": commune.name,
                "province": commune.province,
                "area_km2": round(area, 3),
            }
            for commune, area in zip(boundaries.communes, areas, strict=True)
        ]
        typer.echo(json.dumps({**_as_dict(stored), "communes": communes}, ensure_ascii=False, indent=2))
        return
    facts = [
        ("set", stored.ref + (" (approximate)" if stored.approximate else "")),
        ("source", stored.source),
        ("licence", stored.licence or "not stated"),
        ("valid from", stored.valid_from.isoformat() if stored.valid_from else "not stated"),
        ("valid until", stored.valid_until.isoformat() if stored.valid_until else "still holds"),
        ("file", str(stored.path)),
    ]
    rows = [
        (commune.code, commune.name, commune.province, f"{area:10.2f}")
        for commune, area in zip(boundaries.communes, areas, strict=True)
    ]
    table = columns([("code", "name", "province", "  area km²"), *rows])
    typer.echo(_clean(columns(facts) + "\n\n" + table))
    typer.echo(f"{len(rows)} communes, {sum(areas):.1f} km²")


@app.command()
def activate(
    id: Annotated[str, typer.Argument(help="ID or ID@VERSION of an imported set.", metavar="ID")],
) -> None:
    """Judge by an imported set from now on, for the days that it holds; a running system switches at once.

    Another version of the same set is replaced. Workers on other machines wait until the set is imported there.
    """
    from geo.activation import active_sets
    from geo.store import find_stored, store_directory

    settings = _settings()
    directory = store_directory(settings.state_dir)
    stored = find_stored(directory, id)
    refs = [active.ref for active in active_sets(directory) if active.id != stored.id]
    _switch(settings, [*refs, stored.ref])
    typer.echo(f"{stored.ref} is active")


@app.command()
def deactivate(
    id: Annotated[str, typer.Argument(help="ID or ID@VERSION of an active set.", metavar="ID")],
) -> None:
    """Go back to the default for the days of a set that was activated; a running system switches at once."""
    from geo.activation import active_refs
    from geo.store import store_directory

    settings = _settings()
    refs = active_refs(store_directory(settings.state_dir))
    kept = [ref for ref in refs if id not in (ref, ref.partition("@")[0])]
    if kept == refs:
        raise UserError(
            f"boundaries {id} are not active",
            f"active: {', '.join(refs) or 'none'}",
            "see ioc boundaries list",
        )
    _switch(settings, kept)
    typer.echo(f"{id} is not active any more")


def _switch(settings: Settings, refs: list[str]) -> None:
    """Put these sets in force: first here, then on the running system, if there is one."""
    from geo.activation import active_refs, write_active
    from geo.store import store_directory
    from streams.admin import is_running
    from streams.configuration import publish_configuration
    from streams.shelf import installed_registry

    directory = store_directory(settings.state_dir)
    before = active_refs(directory)
    write_active(directory, refs)
    try:
        installed_registry(settings)
        running = is_running(settings)
        if running:
            published = publish_configuration(settings)
            typer.echo(f"configuration {published.hash} takes effect with the next clock record")
    except BaseException:
        write_active(directory, before)
        raise
    if not running:
        typer.echo(
            f"no running system under prefix {settings.topic_prefix!r}: it takes effect at the next start"
        )


def _said(
    *,
    valid_from: str | None,
    valid_until: str | None,
    tolerance: float | None,
    accept: list[str] | None,
    **others: object,
) -> Said:
    from geo.coverage import TOLERANCE_M2
    from geo.importing import Said
    from ioc.commands.arguments import time_with_zone

    return Said(
        valid_from=time_with_zone(valid_from, "--valid-from"),
        valid_until=time_with_zone(valid_until, "--valid-until"),
        tolerance_m2=TOLERANCE_M2 if tolerance is None else tolerance,
        accept=frozenset(accept or ()),
        **others,  # type: ignore[arg-type]
    )


def _take(path: Path, said: Said, report_file: Path | None, settings: Settings | None) -> None:
    """Examine, tell, and keep what is accepted; `settings` None: keep nothing."""
    from geo.importing import examine
    from geo.store import keep, store_directory

    report, boundaries = examine(path, said)
    if report_file is not None:
        _write(report, report_file)
    typer.echo(report.text())
    if boundaries is None:
        raise typer.Exit(REFUSED)
    if settings is not None:
        kept = keep(boundaries, report, store_directory(settings.state_dir))
        typer.echo(f"kept as {kept}")


def _write(report: Report, path: Path) -> None:
    from geo.store import write_report
    from ioc.errors import UserError

    try:
        write_report(report, path)
    except OSError as error:
        raise UserError("--report cannot be written", f"{path}: {error}", "name another file") from None


def _as_dict(stored: Stored) -> dict[str, object]:
    return {
        "id": stored.id,
        "version": stored.version,
        "approximate": stored.approximate,
        "communes": stored.communes,
        "valid_from": stored.valid_from and stored.valid_from.isoformat(),
        "valid_until": stored.valid_until and stored.valid_until.isoformat(),
        "source": stored.source,
        "licence": stored.licence,
        "file": str(stored.path),
    }


def _clean(table: str) -> str:
    from geo.report import printable

    return "\n".join(printable(line) for line in table.split("\n"))


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
