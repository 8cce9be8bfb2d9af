"""`fhir-server audit`: the trail, looked at from outside of the server."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.audit.verify import Report

app = typer.Typer(help="The audit trail.", no_args_is_help=True)

Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="JWK set with the public keys to believe, kept from /.well-known/audit-keys; else the published ones.",
    ),
]


@app.callback()
def _several() -> None:
    """The audit trail."""


@app.command()
def verify(*, data_dir: DataDir = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Check every row, link and seal; name what was altered, removed, or put elsewhere. Exit code 1 where something was."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        report = asyncio.run(_verified(settings, keys))
    if as_json:
        print_json({"sound": report.is_sound, **asdict(report)})
    else:
        _show(report)
    if not report.is_sound:
        raise typer.Exit(1)


async def _verified(settings: Settings, keys: Path | None) -> "Report":
    from fhir_server.audit.verify import verify
    from fhir_server.store.chain import Chain
    from fhir_server.store.client import connect
    from fhir_server.store.clock import Clock
    from fhir_server.store.embedded import embedded
    from fhir_server.store.trail import Trail

    async with embedded(settings) as connection:
        client = connect(connection.url, settings)
        try:
            database = client[settings.mongo.database]
            chain = Chain(Trail(database).database)
            believed = _believed(keys) if keys else {row["_id"]: row["jwk"] for row in await chain.keys()}
            return await verify(chain, await Clock(database).told(), believed)
        finally:
            await client.close()


def _believed(file: Path) -> dict[str, Any]:
    import json

    try:
        return {key["kid"]: key for key in json.loads(file.read_text())["keys"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        complain(f"{file} is not a JWK set such as /.well-known/audit-keys gives: {error}")
        raise typer.Exit(2) from None


def _show(report: "Report") -> None:
    console = Console(soft_wrap=True)
    rate = report.rows / report.seconds if report.seconds else 0
    console.print(
        f"{report.rows:,} rows in {report.links:,} links of {report.lanes:,} lanes, {report.seals:,} seals; "
        f"{report.seconds:.1f} s, {rate:,.0f} rows a second"
    )
    for fault in report.faults:
        where = f"lane {fault.lane}, link {fault.number}: " if fault.lane else ""
        row = f" Row {fault.event}." if fault.event else ""
        console.print(f"{where}{fault.what}{row}", style="red")
    if report.unsealed:
        console.print(f"{report.unsealed:,} links have no seal yet; the next server that runs seals them.")
    if report.is_sound:
        console.print("Nothing was altered, removed or put elsewhere.", style="green")
