"""`fhir-server doctor`: what is wrong with this deployment, and how to mend it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fhir_server.cli.config import consequences
from fhir_server.cli.options import AsJson, DataDir, errors, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

SAMPLE = 200
"""Resources of each type whose references are followed, unless all are asked for."""
MOST = 20
"""Most flaws of one kind and type that are named."""
MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "error": "[red]error[/]"}

Mend = Annotated[bool, typer.Option("--mend", help="Remove files of large content that belong to no resource.")]
Every = Annotated[bool, typer.Option("--all", help="Check every stored resource, not a sample; may take long.")]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: ok, warning or error, what was found, and what to do about it."""

    level: str
    text: str
    remedy: str = ""


def doctor(*, data_dir: DataDir = None, check_all: Every = False, mend: Mend = False, as_json: AsJson = False) -> None:
    """Say what is wrong and how to mend it: settings, MongoDB, disk, stored versions, references, guides.

    Changes nothing unless --mend is given. Exit code 1 when there is an error, 0 when there are only warnings.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures(), errors.status("Looking") if errors.is_terminal else errors:
        lines = asyncio.run(_examine(settings, check_all=check_all, mend=mend))
    wrong = [line for line in lines if line.level == "error"]
    if as_json:
        rows = [{"level": line.level, "text": line.text, "remedy": line.remedy} for line in lines]
        print_json({"healthy": not wrong, "findings": rows})
    else:
        _show(lines)
    if wrong:
        raise typer.Exit(1)


async def _examine(settings: Settings, *, check_all: bool, mend: bool) -> list[Line]:
    from fhir_server.store.client import MongoUnavailable, connect
    from fhir_server.store.embedded import embedded
    from fhir_server.store.health import findings

    lines = list(_ground(settings))
    try:
        async with embedded(settings) as connection:
            client = connect(connection.url, settings)
            async with client:
                found = await findings(client, settings, mend=mend)
                lines += [Line(finding.level, finding.text, finding.remedy) for finding in found]
                if not any(finding.level == "error" for finding in found) or check_all:
                    database = client[settings.mongo.database]
                    lines += [line async for line in _record(database, check_all=check_all)]
                    lines += [line async for line in _guides(database)]
    except MongoUnavailable as error:
        text, _, remedy = str(error).partition("; ")
        lines.append(Line("error", text, remedy))
    return lines


def _ground(settings: Settings) -> list[Line]:
    """Return what can be said without a database."""
    from profiles.definitions import registry

    version = ".".join(map(str, sys.version_info[:3]))
    lines = [Line("ok", f"Python {version}")]
    try:
        definitions = registry.load()
        lines.append(Line("ok", f"FHIR {definitions.version}, {len(definitions.resource_types)} resource types"))
    except (OSError, ValueError) as error:
        lines.append(Line("error", f"the FHIR definitions cannot be read: {error}", "fhir-server definitions build"))
    lines += [Line("warning", text, "fhir-server config") for text in consequences(settings)]
    return lines


async def _record(database: Any, *, check_all: bool) -> AsyncIterator[Line]:
    """Yield what is wrong with stored resources, beyond the sample that the database's own findings look at."""
    from fhir_server.store.integrity import flaws
    from fhir_server.store.links import dangling

    names = await database.list_collection_names()
    types = sorted(name for name in names if name[0].isupper() and not name.endswith("_h"))
    found = 0
    for name in types:
        shown = 0
        checks = [dangling(database, name, None if check_all else SAMPLE)]
        if check_all:
            checks.append(flaws(database, name, None))
        for check in checks:
            async for flaw in check:
                shown += 1
                if shown <= MOST:
                    yield Line("error", f"{flaw.resource}: {flaw.text}", "Write it again, or restore it from a backup")
        if shown > MOST:
            yield Line("error", f"{shown - MOST} more {name} resources have flaws", "fhir-server doctor --all --json")
        found += shown
    if not found:
        extent = "all resources" if check_all else f"up to {SAMPLE} resources"
        yield Line("ok", f"the references of {extent} of each of {len(types)} types lead somewhere")


async def _guides(database: Any) -> AsyncIterator[Line]:
    """Yield what is wrong with installed guides: those that are not whole, and those whose content is damaged."""
    from fhir_server.store import Packages

    packages = Packages(database)
    rows = await packages.rows()
    whole = 0
    for row in rows:
        again = f"fhir-server package install, with the file of {row.key}"
        if row.state == "installing":
            yield Line("warning", f"the guide {row.key} is installed in part, and not worked by", again)
        elif row.state == "removing":
            remedy = f"fhir-server package remove {row.name}@{row.version}"
            yield Line("warning", f"the guide {row.key} is removed in part, and not worked by", remedy)
        elif await packages.content(row) is None:
            yield Line("error", f"the content of the guide {row.key} is not what was stored", again)
        else:
            whole += 1
    if rows and whole == len(rows):
        yield Line("ok", f"{whole} implementation guides are installed")


def _show(lines: list[Line]) -> None:
    table = Table.grid(padding=(0, 2))
    for line in lines:
        remedy = f"\n[dim]→ {escape(line.remedy)}[/]" if line.remedy else ""
        table.add_row(MARKS[line.level], f"{escape(line.text)}{remedy}")
    console = Console(highlight=False)
    console.print(table)
    counts = {level: sum(line.level == level for line in lines) for level in MARKS}
    console.print(f"\n{counts['error']} errors, {counts['warning']} warnings", style="bold")
