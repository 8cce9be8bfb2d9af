"""`fhir-server package`: implementation guides come, go and are listed."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from fhir_server.cli.load import bar
from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.guides import Installed
    from fhir_server.main import Service
    from fhir_server.store import PackageRow
    from profiles.packages.library import Missing

app = typer.Typer(help="Implementation guides: FHIR packages that this server works by.", no_args_is_help=True)

LOOK_EVERY = 0.2
SHOWN = 8

Asked = Annotated[
    list[str], typer.Argument(metavar="FILE|NAME@VERSION…", help="Package files, or packages of the registry.")
]
One = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="What is removed.")]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait", help="Stay until their search parameters are active; do the indexing here if no server does."
    ),
]
Needed = Annotated[
    bool, typer.Option("--all-dependencies", help="Install nothing if anything that is depended on is missing.")
]
Force = Annotated[bool, typer.Option("--force", help="Although another installed guide depends on it.")]


@app.command()
def install(
    asked: Asked,
    *,
    wait: Wait = False,
    all_dependencies: Needed = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Install guides with what they depend on, as far as it is at hand. What is installed already is left alone.

    Dependencies are taken from the files of this command, from the folder of the setting packages.folder and, where a guide is
    asked for as NAME@VERSION, from the registry. Those that are not found are told; the guide is installed without them.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        done, failures = asyncio.run(_install(settings, asked, wait=wait, strict=all_dependencies))
    if as_json:
        print_json({"installed": [_as_json(one) for one in done], "not_found": failures})
        return
    for one in done:
        _say(one, failures)
    if any(each.fate == "building" for one in done for each in one.parameters):
        Console(highlight=False).print("What is stored is being indexed for them by a server; --wait does it here.")


@app.command("list")
def list_(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the guides that are installed."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        rows, missing = asyncio.run(_listed(settings))
    if as_json:
        print_json({"packages": [_row(row, missing) for row in rows]})
        return
    if not rows:
        Console(highlight=False).print("No guide is installed.")
        return
    table = Table(Column("package", no_wrap=True), "state", "resources", "title", "not installed, but needed")
    for row in rows:
        state = row.state if row.state == "installed" else f"{row.state}: not whole, install it again or remove it"
        lacking = [f"{one.key} ({one.instead} instead)" if one.instead else one.key for one in missing.get(row.key, ())]
        table.add_row(row.key, state, str(len(row.served)), row.title, ", ".join(lacking))
    Console(highlight=False).print(table)


@app.command()
def remove(asked: One, *, force: Force = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Remove a guide. Its resources are deleted, and stay in the history; its search parameters end."""
    settings = settings_of(data_dir)
    quiet_logs()
    name, _, version = asked.replace("#", "@").partition("@")
    with expected_failures():
        row = asyncio.run(_removed(settings, name, version, force=force))
    if as_json:
        print_json({"removed": row.key, "resources": len(row.served)})
    else:
        Console(highlight=False).print(f"{row.key} is removed, with its {len(row.served)} resources.", soft_wrap=True)


async def _install(
    settings: Settings, asked: Sequence[str], *, wait: bool, strict: bool
) -> "tuple[list[Installed], dict[str, str]]":
    from fhir_server.guides.gathering import Gathering
    from fhir_server.guides.registry import Registry
    from fhir_server.main import running, working
    from profiles.packages.library import Library

    rules = settings.packages
    registry = Registry(rules.registry, rules.max_bytes, rules.timeout_seconds) if rules.registry else None
    gathering = Gathering(rules.max_bytes, rules.folder, registry)
    with readable():
        await gathering.find(asked)
    async with (working if wait else running)(settings) as service:
        installed = [(row.name, row.version) for row in await service.packages.rows() if row.state == "installed"]
        with readable():
            found = await gathering.complete(installed)
        if strict:
            together = Library([*service.shelf.library.packages.values(), *found.packages])
            keys = {package.key for package in found.packages}
            lacking = [one.key for one in together.missing() if one.package in keys]
            if lacking:
                complain(
                    f"{_listing(sorted(set(lacking)))} cannot be found, so nothing is installed. Name their files too."
                )
                raise typer.Exit(1)
        done = []
        with bar() as progress:
            task = progress.add_task("install", total=len(found.packages))
            for package in found.packages:
                progress.update(task, description=package.key[:40])
                done.append(await service.packages.install(package))
                progress.advance(task)
        if wait:
            await _indexed(service)
        # What was missing may have come since; and what was building may be active.
        again = [await service.packages.told(one.key, was_there=one.was_there) for one in done]
        return again, dict(found.failures)


def installed(settings: Settings, asked: str) -> str:
    """Install one guide with what it depends on; return what it came to in a sentence."""
    [*_, one], _ = asyncio.run(_install(settings, [asked], wait=False, strict=False))
    total = sum(one.resources.values())
    more = f"; {len(one.notes)} notes, which `fhir-server package install` shows" if one.notes else ""
    return f"{one.key} {'was installed already' if one.was_there else 'is installed'} as a package: {total} resources{more}."


@contextmanager
def readable() -> Iterator[None]:
    """Turn what is wrong with a package into one sentence on stderr and exit code 1."""
    from profiles.packages.archive import PackageError

    try:
        yield
    except PackageError as error:
        complain(str(error))
        raise typer.Exit(1) from None


async def _indexed(service: "Service") -> None:
    """Return when no search parameter waits for being indexed any more, or nobody works on it."""
    from fhir_server.model.queue import LIVE
    from fhir_server.search.backfill import KIND

    await service.editions.refresh()
    while service.editions.current.building and await service.store.jobs.jobs(KIND, LIVE, 1):
        await asyncio.sleep(LOOK_EVERY)
        await service.editions.refresh()


async def _listed(settings: Settings) -> "tuple[list[PackageRow], dict[str, list[Missing]]]":
    from fhir_server.main import running

    async with running(settings) as service:
        missing: dict[str, list[Missing]] = {}
        for one in service.shelf.library.missing():
            missing.setdefault(one.package, []).append(one)
        return await service.packages.rows(), missing


async def _removed(settings: Settings, name: str, version: str, *, force: bool) -> "PackageRow":
    from fhir_server.main import running

    async with running(settings) as service:
        return await service.packages.remove(name, version, force=force)


def _as_json(one: "Installed") -> dict[str, Any]:
    return {
        "package": one.key,
        "was_there": one.was_there,
        "resources": dict(one.resources),
        "parameters": [
            {"url": each.url, "code": each.code, "fate": each.fate, **({"reason": each.reason} if each.reason else {})}
            for each in one.parameters
        ],
        "notes": list(one.notes),
        **_lacking(one.missing),
    }


def _lacking(missing: "Sequence[Missing]") -> dict[str, Any]:
    return {
        "missing": [one.key for one in missing],
        "instead": {one.key: one.instead for one in missing if one.instead},
    }


def _row(row: "PackageRow", missing: "dict[str, list[Missing]]") -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "title": row.title,
        "state": row.state,
        "sha256": row.sha256,
        "resources": len(row.served),
        "dependencies": dict(row.dependencies),
        **_lacking(missing.get(row.key, [])),
    }


def _say(one: "Installed", failures: dict[str, str]) -> None:
    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False)

    counts = ", ".join(f"{number} {name}" for name, number in one.resources.items())
    total = sum(one.resources.values())
    say(f"{one.key} {'was installed already' if one.was_there else 'is installed'}: {total} resources ({counts}).")
    fates = Counter(each.fate for each in one.parameters)
    if one.parameters:
        added, same = fates["active"] + fates["building"], fates["same"]
        say(f"  Search parameters: {added} added, {same} said by others already, {fates['impossible']} not possible.")
    impossible = [f"'{each.code}' ({each.url}): {each.reason}" for each in one.parameters if each.fate == "impossible"]
    for text in _first(impossible) + _first(one.notes):
        say(f"  - {text}")
    gone = [each.key for each in one.missing if not each.instead]
    other = [f"{each.instead} instead of {each.key}" for each in one.missing if each.instead]
    if other:
        say(f"  Of what it depends on, another version is installed, and taken: {_listing(other)}.")
    if gone:
        say(f"  It depends on {_listing(gone)}, not installed: what it takes from there cannot be checked.")
    for each in one.missing:
        if each.key in failures:
            say(f"  - {failures[each.key]}")


def _first(texts: Sequence[str]) -> list[str]:
    more = [f"and {len(texts) - SHOWN} more, which --json shows"] if len(texts) > SHOWN else []
    return [*texts[:SHOWN], *more]


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
