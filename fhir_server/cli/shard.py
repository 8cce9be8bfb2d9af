"""`fhir-server shard`: spread the record over the shards of a MongoDB cluster."""

import asyncio
import re
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fhir_server.cli.options import AsJson, DataDir, complain, expected_failures, print_json, quiet_logs, settings_of
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.store.sharding import Act

WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")

CHOSEN = (
    "An id is unique on its shard. Those that the server makes never meet. Of two clients that choose the same new id at the same "
    "moment, for resources of two different patients, both would succeed."
)
LIMITS = (
    "Reads by id, and searches that name no patient, ask all shards.",
    CHOSEN,
    "An update that gives a resource to another patient moves it between shards, which MongoDB does for one resource at a time.",
)
WITH_ZONES = (
    "With zones a search by patient asks all shards too, for it does not say the zone. Without them it asks one."
)

app = typer.Typer(help="Spread the record over the shards of a MongoDB cluster.", no_args_is_help=True)

Zones = Annotated[
    list[str] | None,
    typer.Option(
        "--zone",
        help="ZONE=SHARD[,SHARD…]: what is stamped with this zone of residency (record.zone) lies on these shards only. "
        "May be given several times.",
        show_default="over all shards, whatever the zone",
    ),
]
All = Annotated[
    bool, typer.Option("--all", help="All types of the patient compartment, not only those that are stored.")
]


@app.command("plan")
def plan(*, data_dir: DataDir = None, zones: Zones = None, every: All = False, as_json: AsJson = False) -> None:
    """Print the commands that spread the record, each with its reason. Nothing is changed."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        acts = asyncio.run(_plan(settings, _read(zones), every=every, carry_out=False))
    _show(acts, zoned=bool(zones), as_json=as_json)


@app.command("apply")
def apply(*, data_dir: DataDir = None, zones: Zones = None, every: All = False, as_json: AsJson = False) -> None:
    """Run these commands through a mongos. Run it again when a new type is stored."""
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        acts = asyncio.run(_plan(settings, _read(zones), every=every, carry_out=True))
    if as_json:
        print_json({"done": len(acts)})
    else:
        Console(highlight=False).print(
            f"{len(acts)} commands were carried out. The balancer moves the data from now on."
        )


async def _plan(settings: Settings, zones: dict[str, list[str]], *, every: bool, carry_out: bool) -> "tuple[Act, ...]":
    from fhir_server.store import sharding
    from fhir_server.store.client import check, connect
    from fhir_server.store.embedded import embedded
    from profiles.definitions.registry import load

    definitions = load()
    held = definitions.compartments["Patient"].members
    members = sorted({"Patient", *(name for name, links in held.items() if links)} & definitions.resource_types)
    name = settings.mongo.database
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        await check(client, name)
        if carry_out:
            await sharding.require_router(client)
        types = members if every else await sharding.stored(client[name], members)
        large = bool(await sharding.stored(client[name], (sharding.CHUNKS,)))
        acts = sharding.plan(sharding.Layout(name, types, zones, large, settings.keeps_trail))
        if carry_out:
            await sharding.apply(client, acts)
    return acts


def _read(zones: list[str] | None) -> dict[str, list[str]]:
    """Return the shards of each zone.

    Raises:
        typer.Exit: One is not of the form.
    """
    found: dict[str, list[str]] = {}
    for text in zones or ():
        zone, _, shards = text.partition("=")
        names = shards.split(",")
        if not all(WORD.fullmatch(word) for word in (zone, *names)) or zone in found:
            complain(f"--zone {text}: write ZONE=SHARD or ZONE=SHARD,SHARD, each zone once (letters, digits, . _ -).")
            raise typer.Exit(2)
        found[zone] = names
    taken = [shard for shards in found.values() for shard in shards]
    if len({*taken}) < len(taken):
        complain(
            "A shard belongs to one zone only, or what has to stay in one zone would lie on the shards of another."
        )
        raise typer.Exit(2)
    return found


def _show(acts: "tuple[Act, ...]", *, zoned: bool, as_json: bool) -> None:
    limits = [*LIMITS, *([WITH_ZONES] if zoned else [])]
    if as_json:
        print_json({"commands": [{"why": act.why, "mongosh": act.shell} for act in acts], "limits": limits})
        return
    console = Console(highlight=False)
    for act in acts:
        console.print(f"// {act.why}", style="dim", soft_wrap=True, markup=False)
        console.print(act.shell, soft_wrap=True, markup=False)
    console.print()
    for text in limits:
        console.print(f"// {text}", style="dim", soft_wrap=True, markup=False)
