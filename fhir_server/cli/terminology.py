"""`fhir-server terminology`: code systems come from release files, are listed, and go."""

import asyncio
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from fhir_server.cli.load import bar
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.store.loading import Progress as Stage
    from fhir_server.store.systems import SystemRow
    from fhir_server.vocabulary.loading import Loaded
    from terminology.load.formats import Options
    from terminology.load.release import Release

app = typer.Typer(
    help="Code systems: SNOMED CT, LOINC, ICD and others, from their release files.", no_args_is_help=True
)

SHOWN = 8
FIRST = 20
"""Files of an archive that are looked at to know a package."""

Paths = Annotated[
    list[Path], typer.Argument(help="Files, folders or archives of one release; or FHIR packages.", metavar="PATH…")
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="rf2, loinc, rxnorm, icd-10-cm, claml, who, cvx, codesystem or csv.",
        show_default="found by the files",
    ),
]
Url = Annotated[str, typer.Option("--url", help="System URI, for formats that do not imply it.")]
Version = Annotated[str, typer.Option("--version", help="Version, where the files do not tell it.")]
Language = Annotated[str, typer.Option("--language", help="Of displays, where a release has several.")]
Date = Annotated[str, typer.Option("--date", help="YYYYMMDD: state at that day, of a full release of SNOMED CT.")]
Module = Annotated[str, typer.Option("--module", help="SCTID of the module of an edition of SNOMED CT.")]
Mapping = Annotated[
    Path | None,
    typer.Option("--mapping", help="JSON file that says which column is what.", exists=True, dir_okay=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the whole release, and write nothing.")]
One = Annotated[str, typer.Argument(metavar="URL[|VERSION]", help="What is dropped.")]


@app.command()
def load(
    paths: Paths,
    *,
    format_: Format = "",
    url: Url = "",
    version: Version = "",
    language: Language = "en",
    date: Date = "",
    module: Module = "",
    mapping: Mapping = None,
    dry_run: DryRun = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Load a release of a code system beside the versions that are there. It counts when all of it is stored.

    The paths of one command are one release: those of an edition of SNOMED CT, or a delta with what it changes. An interrupted load
    goes on where it was when the command is given again.
    """
    from terminology.load.formats import FORMATS, Options
    from terminology.load.mapped import Columns
    from terminology.load.mapped import mapping as columns

    settings = settings_of(data_dir)
    quiet_logs()
    if format_ and format_ not in FORMATS:
        complain(f"There is no format '{format_}': {', '.join(FORMATS)} are read.")
        raise typer.Exit(2)
    with expected_failures(), _readable():
        how = columns(mapping.read_bytes(), mapping.name) if mapping else Columns()
        said = Options(url, version, language, date, module, how, _resource)
        guides = [path for path in paths if not format_ and _is_package(path)]
        packages = _packages(settings, guides, dry_run=dry_run)
        done = [one for _, loaded in packages for one in loaded]
        if rest := [path for path in paths if path not in guides]:
            done.append(_release(settings, rest, said, format_ or ("csv" if mapping else ""), dry_run=dry_run))
    if as_json:
        texts = [text for text, _ in packages]
        print_json({"loaded": [_as_json(one) for one in done], "packages": texts, "written": not dry_run})
        return
    for text, _ in packages:
        Console(highlight=False).print(text, soft_wrap=True, markup=False)
    for one in done:
        _say(one, dry_run=dry_run)


@app.command("list")
def list_(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the code systems that are loaded from releases."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        rows = asyncio.run(_listed(settings))
    if as_json:
        print_json({"code_systems": [_row(row) for row in rows]})
        return
    if not rows:
        Console(highlight=False).print("No code system is loaded. `fhir-server terminology load` loads a release.")
        return
    table = Table(
        Column("code system", overflow="fold"),
        Column("version", overflow="fold"),
        "state",
        "concepts",
        "edges",
        "since",
    )
    for row in rows:
        state = row.state if row.state == "loaded" else "not whole: load it again, or drop it"
        count = row.head.count if row.state == "loaded" else row.done
        table.add_row(row.head.url, row.head.version, state, f"{count:,}", f"{row.edges:,}", f"{row.at:%Y-%m-%d %H:%M}")
    Console(highlight=False).print(table)


@app.command()
def drop(asked: One, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Drop a version of a code system, with the ValueSets and ConceptMaps of its release, which stay in the history."""
    settings = settings_of(data_dir)
    quiet_logs()
    url, _, version = asked.partition("|")
    with expected_failures():
        canonical, resources = asyncio.run(_dropped(settings, url, version))
    if as_json:
        print_json({"dropped": canonical, "resources": resources})
    else:
        Console(highlight=False).print(
            f"{canonical} is dropped, with {resources} resources.", soft_wrap=True, markup=False
        )


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what is wrong with a release into one sentence on stderr and exit code 1."""
    from terminology.load.release import BrokenRelease

    try:
        yield
    except BrokenRelease as error:
        complain(str(error))
        raise typer.Exit(1) from None


def _packages(settings: Settings, paths: Sequence[Path], *, dry_run: bool) -> "list[tuple[str, list[Loaded]]]":
    """Install FHIR packages, and load those of their code systems that are too large for a resource."""
    from fhir_server.cli.package import installed, readable
    from fhir_server.vocabulary.loading import Loading, large
    from profiles.packages.package import read

    done = []
    for path in paths:
        with readable():
            package = read(path)
        releases = list(large(package))
        if dry_run:
            done.append((f"{package.key} can be read.", [Loading.checked(one) for one in releases]))
            continue
        text = installed(settings, str(path))
        done.append((text, asyncio.run(_loaded(settings, releases)) if releases else []))
    return done


def _release(settings: Settings, paths: Sequence[Path], said: "Options", name: str, *, dry_run: bool) -> "Loaded":
    from fhir_server.cli import service
    from fhir_server.vocabulary.loading import Loading
    from terminology.load import formats
    from terminology.load.files import Files

    with bar() as progress:
        task = progress.add_task("unpacking", total=None)
        said = replace(said, tell=lambda file: progress.update(task, description=f"reading {file[:40]}"))
        with Files(paths) as files:
            release = formats.read(files, said, name)
            progress.update(task, description="checking" if dry_run else "loading", total=release.head.count or None)
            if dry_run:
                return Loading.checked(release, lambda count: progress.update(task, completed=count))

            def tell(now: "Stage") -> None:
                stage = "loading" if now.stage == "concepts" else "making indexes"
                progress.update(task, description=stage, completed=now.done, total=now.total or None)

            [done] = service.run(_loaded(settings, [release], tell))
            return done


async def _loaded(
    settings: Settings, releases: "Sequence[Release]", tell: "Callable[[Stage], None]" = lambda _: None
) -> "list[Loaded]":
    from fhir_server.cli import service

    async with service.working(settings) as running:
        return [await running.releases.load(one, tell) for one in releases]


async def _listed(settings: Settings) -> "list[SystemRow]":
    from fhir_server.main import running

    async with running(settings) as service:
        return await service.releases.rows()


async def _dropped(settings: Settings, url: str, version: str) -> tuple[str, int]:
    from fhir_server.main import running

    async with running(settings) as service:
        head, resources = await service.releases.drop(url, version)
        return head.canonical, resources


def _is_package(path: Path) -> bool:
    """Return whether a file is a FHIR package."""
    if not path.name.endswith((".tgz", ".tar.gz")) or not path.is_file():
        return False
    try:
        with tarfile.open(path, "r|gz") as archive:
            return any(member.name.removeprefix("./").startswith("package/") for member in islice(archive, FIRST))
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return False


def _resource(data: bytes) -> Any:
    """Return the resource that JSON or XML says."""
    from terminology.load.resource import decoded

    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return decoded(data)
    from profiles.definitions.registry import load as definitions
    from profiles.xml.reader import Reader

    return Reader(definitions()).read(data)


def _as_json(one: "Loaded") -> dict[str, Any]:
    return {
        "url": one.head.url,
        "version": one.head.version,
        "concepts": one.tally.concepts,
        "inactive": one.tally.inactive,
        "designations": one.tally.designations,
        "properties": one.tally.properties,
        "edges": one.tally.edges,
        "resources": one.resources,
        "notes": list(one.notes),
        "resumed": one.resumed,
        "unchanged": one.unchanged,
        "seconds": round(one.seconds, 1),
    }


def _row(row: "SystemRow") -> dict[str, Any]:
    return {
        "url": row.head.url,
        "version": row.head.version,
        "title": row.head.title,
        "state": row.state,
        "concepts": row.head.count if row.state == "loaded" else row.done,
        "edges": row.edges,
        "at": row.at.isoformat(),
    }


def _say(one: "Loaded", *, dry_run: bool) -> None:
    console = Console(highlight=False)
    tally = one.tally
    if one.unchanged:
        console.print(f"{one.head.canonical} was loaded already, from the same files.", soft_wrap=True, markup=False)
    else:
        what = "can be loaded" if dry_run else "is loaded"
        console.print(f"{one.head.canonical} {what}.", soft_wrap=True, markup=False)
        rate = tally.concepts / one.seconds if one.seconds else 0
        table = Table(show_header=False)
        for name, text in {
            "concepts": f"{tally.concepts:,}",
            "inactive": f"{tally.inactive:,}",
            "designations": f"{tally.designations:,}",
            "properties": f"{tally.properties:,}",
            "edges": f"{tally.edges:,}",
            "taken over": f"{one.resumed:,}" if one.resumed else "",
            "resources": ", ".join(f"{count:,} {kind}" for kind, count in sorted(one.resources.items())),
            "seconds": f"{one.seconds:,.1f} ({rate:,.0f} concepts a second)",
        }.items():
            if text:
                table.add_row(name, text)
        console.print(table)
    for text in one.notes[:SHOWN]:
        console.print(f"  - {text}", soft_wrap=True, markup=False)
    if len(one.notes) > SHOWN:
        console.print(f"  - and {len(one.notes) - SHOWN} more, which --json shows")
