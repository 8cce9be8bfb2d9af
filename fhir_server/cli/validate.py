"""`fhir-server validate`: what is wrong with files, or with everything that is stored."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.cli import sources
from fhir_server.cli.load import bar
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.cli.posting import BASE, reason
from fhir_server.model import json
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.main import Service

LOOK_EVERY = 0.2
GRAVE = frozenset({"fatal", "error"})

Files = Annotated[list[Path] | None, typer.Argument(help="Files, folders or tar archives of JSON, XML or NDJSON.")]
All = Annotated[bool, typer.Option("--all", help="Everything that is stored, as a job whose report is kept.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="Only this type, with --all; may be given several times.")
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", help="Profile to conform to beside those that are claimed; may be given several times."),
]
Since = Annotated[
    str, typer.Option("--since", help="Only what was written since then, with --all: 2026-11-21T08:00:00Z.")
]
Examples = Annotated[int, typer.Option("--examples", min=0, max=50, help="Ids of each kind of finding in the report.")]
Report = Annotated[str, typer.Option("--report", help="Show what a job has found so far; `last` for the newest one.")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it is done, and do it here if no server does.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked about."""

    files: Sequence[Path]
    types: Sequence[str]
    profiles: Sequence[str]
    since: str
    examples: int
    report: str
    wait: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One finding in a file."""

    file: str
    place: str
    severity: str
    code: str
    text: str
    expression: str


def validate(
    files: Files = None,
    *,
    data_dir: DataDir = None,
    everything: All = False,
    types: Types = None,
    profiles: Profiles = None,
    since: Since = "",
    examples: Examples = 5,
    report: Report = "",
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with files, or with everything that is stored (--all), by the base definitions and by profiles.

    With --all it is queued for the servers of this record, which do it beside their other work; it goes on after a restart. Exit
    code 1 when anything has an error.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    if bool(files) + everything + bool(report) != 1:
        complain("Name files, or say --all for everything that is stored, or --report for what was found before.")
        raise typer.Exit(2)
    asked = Asked(files or [], types or [], profiles or [], since, examples, report, wait)
    with expected_failures():
        if files:
            found = asyncio.run(_of_files(settings, asked))
            _tell_files(found, as_json=as_json)
            failing = any(one.severity in GRAVE for one in found)
        else:
            job = asyncio.run(_of_stored(settings, asked))
            _tell_stored(job, as_json=as_json)
            failing = job.state in {"failed", "cancelled"} or bool(job.result.get("failing"))
    if failing:
        raise typer.Exit(1)


async def _of_files(settings: Settings, asked: Asked) -> list[Found]:
    from fhir_server.main import running
    from profiles.xml.reader import Reader

    found: list[Found] = []
    query = tuple(("profile", one) for one in asked.profiles)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            files = sources.find(asked.files, Path(scratch))
        except FileNotFoundError as error:
            complain(str(error))
            raise typer.Exit(2) from None
        async with running(settings) as service:
            reader = Reader(service.definitions)
            for source in files:
                for place, resource in sources.resources(source, reader):
                    if isinstance(resource, str):
                        found.append(Found(source.name, place, "fatal", "structure", resource, ""))
                        continue
                    answer = await service.dispatch(FhirRequest("POST", ("$validate",), BASE, query, resource=resource))
                    found += _issues(source.name, place, json.decode(answer.body))
    return found


def _issues(file: str, place: str, outcome: Mapping[str, Any]) -> Iterator[Found]:
    for row in outcome["issue"]:
        expression = (row.get("expression") or [""])[0]
        yield Found(file, place, row["severity"], row["code"], row["details"]["text"], expression)


def _tell_files(found: Sequence[Found], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in found])
        return
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        where = ": ".join(part for part in (one.file, one.place, one.expression) if part)
        console.print(f"{where}: {one.severity}: {one.text}", markup=False)


async def _of_stored(settings: Settings, asked: Asked) -> JobRecord:
    from fhir_server.main import running, working

    async with (working if asked.wait else running)(settings) as service:
        queue = service.store.jobs
        job = await queue.get(asked.report or await _begun(service, asked))
        if asked.report == "last":
            job = await _last(service)
        if job is None:
            complain(f"There is no job {asked.report}. Jobs that have ended are kept for a month.")
            raise typer.Exit(1)
        with bar() as progress:
            task = progress.add_task("validate", total=None)
            while asked.wait and job.is_live:
                at = dict(job.progress)
                name = at.get("type") or "validate"
                progress.update(task, completed=at.get("done", 0), total=at.get("total"), description=name)
                await asyncio.sleep(LOOK_EVERY)
                job = await queue.get(job.id) or job
        return job


async def _begun(service: "Service", asked: Asked) -> str:
    rows = [*(("type", one) for one in asked.types), *(("profile", one) for one in asked.profiles)]
    rows += [("examples", str(asked.examples)), *([("since", asked.since)] if asked.since else [])]
    answer = await service.dispatch(FhirRequest("POST", ("$validate-stored",), BASE, tuple(rows)))
    if answer.status != 202:
        complain(reason(answer.resource))
        raise typer.Exit(1)
    job: str = answer.resource["parameter"][0]["valueId"]
    return job


async def _last(service: "Service") -> JobRecord | None:
    from typing import get_args

    from fhir_server.model.queue import State
    from fhir_server.repository.surveying import KIND

    return next(iter(await service.store.jobs.jobs(KIND, get_args(State), 1)), None)


def _tell_stored(job: JobRecord, *, as_json: bool) -> None:
    from fhir_server.repository.surveying import findings

    tally = job.result or job.checkpoint.get("tally", {})
    rows = findings(tally.get("kinds", ()))
    if as_json:
        counts = {name: tally[name] for name in ("done", "failing", "other") if name in tally}
        print_json(
            {
                "job": job.id,
                "state": job.state,
                **{name: value for name, value in job.payload.items() if value and name != "examples"},
                **counts,
                "packages": list(job.result.get("packages", ())),
                "findings": [asdict(row) for row in rows],
                **({"error": job.error} if job.error else {}),
            }
        )
        return
    console = Console(highlight=False)
    if rows:
        console.print(_table(rows))
    if job.state == "done":
        more = f" {tally['other']} findings of other kinds are not shown." if tally["other"] else ""
        console.print(f"{tally['done']} resources were looked at, {tally['failing']} of them have errors.{more}")
    elif job.is_live:
        so_far = f" {tally['done']} resources were looked at so far." if tally else ""
        console.print(
            f"Job {job.id} is {job.state}.{so_far} See fhir-server validate --report {job.id}, or add --wait."
        )
    else:
        complain(job.error or "somebody stopped it", job.state)


def _table(rows: Sequence[Any]) -> Table:
    table = Table("severity", "count", "path", "message", "profile", "examples")
    for row in rows:
        examples = ", ".join(f"{row.type}/{one}" for one in row.examples)
        table.add_row(row.severity, str(row.count), row.path or row.type, row.message, row.profile, examples)
    return table
