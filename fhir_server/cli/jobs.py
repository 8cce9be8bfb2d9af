"""`fhir-server jobs`: the background work of a record, for whoever runs the machine."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.cli.posting import BASE, reason
from fhir_server.model.request import Pairs
from fhir_server.settings import Settings

app = typer.Typer(help="List background jobs, stop them, or try them again.", no_args_is_help=True)

Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only jobs of a kind, such as export.")]
States = Annotated[
    list[str] | None, typer.Option("--state", help="Only jobs in a state: queued, leased, done, failed, cancelled.")
]
Count = Annotated[int, typer.Option("--count", min=1, max=1000, help="Most jobs that are listed.")]
Id = Annotated[str, typer.Argument(help="Id of the job.")]

COLUMNS = ("id", "kind", "state", "created", "attempt", "client", "error")
Row = dict[str, Any]


@app.command("list")
def list_(
    *, data_dir: DataDir = None, kind: Kinds = None, state: States = None, count: Count = 50, as_json: AsJson = False
) -> None:
    """List jobs, the newest first."""
    pairs = (*(("kind", one) for one in kind or ()), *(("state", one) for one in state or ()), ("_count", str(count)))
    rows = _asked(data_dir, "GET", "$jobs", pairs)
    if as_json:
        print_json({"jobs": rows})
        return
    table = Table(*COLUMNS, "progress")
    for row in rows:
        told = ", ".join(f"{name} {value}" for name, value in row.get("progress", {}).items())
        table.add_row(*(str(row.get(name, "")) for name in COLUMNS), told)
    if rows:
        Console().print(table)
    else:
        Console().print("There is no such job.")


@app.command()
def cancel(job: Id, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop a job: at once where nobody works on it, else when its worker hears of it."""
    _show(_asked(data_dir, "DELETE", "$jobs", (("job", job),)), as_json=as_json)


@app.command()
def retry(job: Id, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Try a job again that was given up, from where it was."""
    _show(_asked(data_dir, "POST", "$retry-job", (("job", job),)), as_json=as_json)


def _show(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print_json(rows[0])
        return
    job = rows[0]
    Console().print(f"Job {job['id']} ({job['kind']}) is {'stopping' if job.get('stopping') else job['state']}.")


def _asked(data_dir: DataDir, method: str, operation: str, pairs: Pairs) -> list[Row]:
    """Return the jobs of an answer; say what was refused, and end."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        return asyncio.run(_ask(settings, method, operation, pairs))


async def _ask(settings: Settings, method: str, operation: str, pairs: Pairs) -> list[Row]:
    from fhir_server.main import running
    from fhir_server.model.request import FhirRequest

    async with running(settings) as service:
        answer = await service.dispatch(FhirRequest(method, (operation,), BASE, pairs))
    if answer.status >= 300:
        complain(reason(answer.resource))
        raise typer.Exit(1)
    return [_row(one["part"]) for one in answer.resource.get("parameter", ())]


def _row(parts: Sequence[Row]) -> Row:
    """Return a job as plain values."""
    row: Row = {}
    for part in parts:
        if "part" in part:
            name, value = (_value(one) for one in part["part"])
            row.setdefault(part["name"], {})[name] = value
        else:
            row[part["name"]] = _value(part)
    return row


def _value(part: Row) -> Any:
    return next(value for name, value in part.items() if name.startswith("value"))
