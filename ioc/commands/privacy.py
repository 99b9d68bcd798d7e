"""`ioc privacy ...`: who sent a report is sealed, shown to whom it concerns, and erased."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from ioc.settings import Settings
    from streams.identity import Keystore

app = typer.Typer(
    name="privacy",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Who sent a report: seal it, show what is held, erase it (decree 13/2023/NĐ-CP, law 91/2025/QH15).

    ioc privacy seal < reports.ndjson

    ioc privacy show 0912345678

    ioc privacy erase 0912345678 --as an

The keys lie in IOC_PRIVACY_DIR, on the machine that seals. A reporter is called by his account, or by the number that
stands for one; - takes it from standard input, so that it stands in no list of processes.
""",
)

_Reporter = Annotated[
    str, typer.Argument(help="The reporter's account; - : standard input.", metavar="REPORTER")
]


@app.command()
def seal() -> None:
    """Seal the reporters of reports: each line of standard input is a report as it goes to ioc.report.

    Its `reporter` has an `account` and what else is to be known; the same lines come out, sealed.

    A line without a `reporter` comes out as it is. Any other that cannot be sealed ends it: nothing of it comes out.
    """
    from datetime import UTC, datetime

    import msgspec

    from ioc.undecodable import UNDECODABLE
    from streams.identity import reporter_in

    keys = _keystore(_settings())
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    identity_of = msgspec.json.Decoder(dict[str, object]).decode
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            report = decode(line)
            if "reporter" in report and reporter_in(b'{"reporter":%s}' % bytes(report["reporter"])).unsealed:
                id_ = msgspec.json.decode(report.get("id", msgspec.Raw(b"null")), type=str)
                sealed = keys.seal(identity_of(report["reporter"]), id_, datetime.now(UTC))
                report["reporter"] = msgspec.Raw(msgspec.json.encode(sealed))
        except UNDECODABLE:
            # The decoder's message may quote what must not be shown.
            raise UserError(
                "a line is no report that can be sealed",
                f"line {number}",
                'write {"id": ..., "reporter": {"account": ..., ...}, ...}',
            ) from None
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        sys.stdout.buffer.flush()


@app.command()
def show(reporter: _Reporter) -> None:
    """Show what is held of a reporter: his keys, his reports, and who he said he is. For a request of his own."""
    from geo.report import printable
    from streams.reporters import held

    settings = _settings()
    keys = _keystore(settings).keys(_account(reporter))
    if not keys:
        typer.echo(
            "không lưu gì / nothing is held: no key of this reporter, so no report can be told to be his"
        )
        raise typer.Exit(1)
    for key in keys:
        ends = key.expires(settings.identity_days)
        typer.echo(f"khóa / key {key.by}: {key.since:%Y-%m-%d %H:%M} – {ends:%Y-%m-%d %H:%M} UTC")
    found = held(settings, keys)
    for report in found.reports:
        typer.echo(printable(f"{report.at}  {report.time}  {report.category}  {report.text}"))
        who = report.identity
        said = (
            ", ".join(f"{name}: {value}" for name, value in who.items())
            if who
            else "không mở được / not his seal"
        )
        typer.echo(printable(f"    {said}"))
    typer.echo(
        f"{len(found.reports)} phản ánh gốc / raw reports; "
        f"{found.located} sự kiện mang mã băm / located events with his hash. "
        "Bản ghi và cảnh báo không có danh tính / recordings and alerts have no identity."
    )


@app.command()
def erase(
    reporter: _Reporter,
    operator: Annotated[str, typer.Option("--as", help="The operator who does it.", metavar="OPERATOR")],
) -> None:
    """Erase a reporter's keys: who he is can no longer be read anywhere, in no copy of the log either.

    Tells what it did and what it cannot reach. Needs no broker. Ends with 1 where nothing was held.
    """
    from datetime import UTC, datetime

    from ioc.commands.command import known_operator

    settings = _settings()
    asked = known_operator(settings, operator)
    keys = _keystore(settings)
    erasure = keys.erase(_account(reporter), datetime.now(UTC), operator=asked.id)
    if erasure is None:
        typer.echo("không lưu gì / nothing is held: no key of this reporter")
        raise typer.Exit(1)
    typer.echo(f"đã xóa / erased: {len(erasure.hashes)} keys, {', '.join(erasure.hashes)}")
    typer.echo(f"ghi tại / noted in: {keys.folder / 'erased.ndjson'} (no identity in it)")
    typer.echo(
        "không với tới được / out of reach:\n"
        "- copies of the folder of keys, such as backups: they open nothing without the secret, and what they bring\n"
        "  back is not believed where erased.ndjson is kept; erase him there too\n"
        "- reports that named him in plain words: ioc.report keeps them for its 7 days (ioc_unsealed_reports_total)\n"
        "- what he wrote of himself in a report's text, and what the app that he used knows\n"
        "- what the disk itself keeps of a file that was written over"
    )


@app.command()
def expire(
    dry_run: Annotated[bool, typer.Option(help="Only tell how many.")] = False,
) -> None:
    """Erase the keys whose time is over (IOC_IDENTITY_DAYS), and those that a backup brought back.

    To be run daily, by cron or a timer.
    """
    from datetime import UTC, datetime

    settings = _settings()
    keys = _keystore(settings)
    erasure = keys.expire(settings.identity_days, datetime.now(UTC), dry_run=dry_run)
    done = "sẽ xóa / would erase" if dry_run else "đã xóa / erased"
    typer.echo(f"{done}: {len(erasure.hashes) if erasure else 0} keys; {keys.count()} reporters have keys")


def _account(reporter: str) -> str:
    return sys.stdin.readline().rstrip("\r\n") if reporter == "-" else reporter


def _keystore(settings: Settings) -> Keystore:
    from streams.identity import Keystore

    return Keystore(settings.privacy_dir or settings.state_dir / "privacy")


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
