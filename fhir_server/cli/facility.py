"""`fhir-server facility`: where organizations stand, and which networks they are members of."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree as Drawing

from fhir_server.cli.administering import administered
from fhir_server.cli.options import AsJson, DataDir, complain, print_json
from fhir_server.facilities.agreement import Agreement, Rollup, TreatmentAccess
from fhir_server.facilities.establishment import KINDS, Establishment
from fhir_server.facilities.nodes import MEMBER, ORG_LEVEL, Affiliation

if TYPE_CHECKING:
    from datetime import datetime

    from fhir_server.facilities.tree import Tree
    from fhir_server.main import Service

app = typer.Typer(
    help="Where organizations stand, and which networks they are members of. What is done here is done by the operator: nobody "
    "else has to accept it.",
    no_args_is_help=True,
)

Level = Literal["sovereign", "region", "network", "facility", "department"]

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the Organization.")]
Network = Annotated[str, typer.Argument(metavar="NETWORK", help="Id of the network's Organization.")]
OfLevel = Annotated[Level, typer.Option("--level", help="Where it stands.")]
Name = Annotated[str, typer.Option("--name", help="Its name.")]
Parent = Annotated[
    str, typer.Option("--parent", help="Id of the Organization that it is part of.", show_default="none")
]
Kind = Annotated[str, typer.Option("--kind", help=f"Of a facility: {', '.join(KINDS)}.")]
To = Annotated[str, typer.Option("--to", help="Id of the Organization that it becomes part of; empty for the top.")]
Access = Annotated[
    TreatmentAccess, typer.Option("--treatment-access", help="Who of the other members treats its patients.")
]
Counts = Annotated[Rollup, typer.Option("--rollup", help="What reports of the network count of it.")]
Emergency = Annotated[bool, typer.Option("--emergency", help="Staff of other members may break the glass.")]
Listed = Annotated[bool, typer.Option("--directory", help="The network lists it.")]
Zone = Annotated[str, typer.Option("--residency", help="Zone that its records stay in.", show_default="any")]
Override = Annotated[bool, typer.Option("--override", help="Although inpatients are shared.")]
Members = Annotated[
    bool, typer.Option("--members", help="Networks with their members, in place of what is part of what.")
]


@app.command()
def add(
    organization: Id,
    *,
    name: Name,
    level: OfLevel = "facility",
    parent: Parent = "",
    kind: Kind = "clinic",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add an Organization; a facility with the Location of its site."""
    if kind not in KINDS:
        complain(f"--kind is one of {', '.join(KINDS)}.")
        raise typer.Exit(2)
    resources = [_organization(organization, name, level, parent)]
    if level == "facility":
        resources = [*Establishment(organization, name, kind, parent=parent).resources()]

    async def work(service: "Service") -> list[str]:
        from fhir_server.cli.founding import stored

        return await stored(service, organization, resources)

    added = administered(data_dir, work)
    if not added:
        complain(f"Organization/{organization} is there already.")
        raise typer.Exit(1)
    _tell({"added": added}, f"{', '.join(added)} is added.", as_json=as_json)


@app.command()
def move(organization: Id, *, to: To, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make an Organization part of another one. No record is rewritten; who stands above it reaches it from the next request on."""

    async def work(service: "Service") -> None:
        def moved(resource: dict[str, Any]) -> dict[str, Any]:
            rest = {key: value for key, value in resource.items() if key != "partOf"}
            return {**rest, "partOf": {"reference": f"Organization/{to}"}} if to else rest

        await service.repository.patch("Organization", organization, moved)

    administered(data_dir, work)
    where = f"part of Organization/{to}" if to else "at the top"
    _tell({"moved": organization, "to": to}, f"Organization/{organization} is {where}.", as_json=as_json)


@app.command()
def join(
    organization: Id,
    network: Network,
    *,
    treatment_access: Access = "none",
    rollup: Counts = "none",
    emergency: Emergency = False,
    directory: Listed = False,
    residency: Zone = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an Organization a member of a network, from now on."""
    agreement = Agreement(treatment_access, rollup, directory, emergency, residency=residency)

    async def work(service: "Service") -> str:
        from fhir_server.repository.membership import accept, invite

        repository = service.repository
        invited = await invite(repository, Affiliation("", network, organization, agreement=agreement))
        return (await accept(repository, invited.affiliation.id)).id

    affiliation = administered(data_dir, _listed(work))
    said = f"Organization/{organization} is a member of Organization/{network}: OrganizationAffiliation/{affiliation}."
    _tell({"joined": organization, "network": network, "affiliation": affiliation}, said, as_json=as_json)


@app.command()
def leave(
    organization: Id, network: Network, *, override: Override = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """End the membership of an Organization in a network, from now on. Its records stay with it."""

    async def work(service: "Service") -> list[str]:
        from fhir_server.repository import membership

        ended = await membership.leave(service.repository, organization, network, override=override)
        return [one.id for one in ended]

    ended = administered(data_dir, _listed(work))
    said = f"Organization/{organization} has left Organization/{network}."
    _tell({"left": organization, "network": network, "affiliations": ended}, said, as_json=as_json)


@app.command()
def tree(
    organization: Annotated[str, typer.Argument(metavar="[ID]", help="Where to begin.")] = "",
    *,
    members: Members = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what is part of what, or the members of networks."""

    async def work(service: "Service") -> "tuple[Tree, datetime]":
        return await service.repository.house.now(), service.store.clock.now()

    found, now = administered(data_dir, work)
    if organization and organization not in found:
        complain(f"There is no Organization/{organization}.")
        raise typer.Exit(1)
    rows = [_row(found, one, now, members=members) for one in _tops(found, organization, now, members=members)]
    if as_json:
        print_json({"organizations": rows})
        return
    for row in rows:
        Console(highlight=False).print(_drawn(row, Drawing(_label(row))))


def _listed(work: Callable[["Service"], Awaitable[Any]]) -> Callable[["Service"], Awaitable[Any]]:
    """Return the work, whose refusal names all that stands against it."""

    async def listed(service: "Service") -> Any:
        from fhir_server.model.errors import FhirError
        from smart_auth.administration import Unacceptable

        try:
            return await work(service)
        except FhirError as error:
            raise Unacceptable("\n".join(issue.text for issue in error.issues)) from error

    return listed


def _organization(organization: str, name: str, level: str, parent: str) -> dict[str, Any]:
    part = {"partOf": {"reference": f"Organization/{parent}"}} if parent else {}
    kind = {"coding": [{"system": ORG_LEVEL, "code": level, "display": level.capitalize()}]}
    return {"resourceType": "Organization", "id": organization, "active": True, "type": [kind], "name": name, **part}


def _tops(found: "Tree", organization: str, now: "datetime", *, members: bool) -> list[str]:
    if organization:
        return [organization]
    if members:
        return sorted({one.network for one in found.affiliations.values() if MEMBER in one.codes and one.holds(now)})
    return sorted(one.id for one in found.organizations if not one.parent)


def _row(found: "Tree", organization: str, now: "datetime", *, members: bool, depth: int = 20) -> dict[str, Any]:
    one = found.get(organization)
    below = found.children(organization, MEMBER if members else "", now) if depth else ()
    return {
        "id": organization,
        "name": one.name if one else "",
        "level": found.level(organization),
        "below": [_row(found, each, now, members=members, depth=depth - 1) for each in below],
    }


def _label(row: dict[str, Any]) -> str:
    level = f" [dim]{row['level']}[/]" if row["level"] else ""
    return f"{escape(row['id'])}{level}  {escape(row['name'])}"


def _drawn(row: dict[str, Any], drawing: Drawing) -> Drawing:
    for below in row["below"]:
        _drawn(below, drawing.add(_label(below)))
    return drawing


def _tell(value: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        Console(highlight=False).print(said, soft_wrap=True, markup=False)
