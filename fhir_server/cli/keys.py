"""`fhir-server keys`: the keys with which the server signs id tokens."""

from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from fhir_server.cli.administering import administered
from fhir_server.cli.options import AsJson, DataDir, complain, print_json
from smart_auth.records import Key

if TYPE_CHECKING:
    from fhir_server.main import Service

app = typer.Typer(help="The keys with which the server signs id tokens.", no_args_is_help=True)

STATES = {"signing": "signs", "next": "signs after the next rotation", "retired": "signs no more"}


@app.command(name="list")
def list_(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys that are published: the one that signs, the one after it, and those that have signed."""

    async def work(service: "Service") -> list[Key]:
        from smart_auth import rotation

        return await rotation.ring(service.realm)

    _show(administered(data_dir, work), as_json=as_json)


@app.command()
def rotate(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let the next key sign. The one before stays published until nothing that it signed is valid any more.

    Running servers follow at once, and apps know the next key already.
    """

    async def work(service: "Service") -> list[Key]:
        from smart_auth import rotation

        if not await rotation.rotate(service.realm):
            complain("Somebody else rotated the keys at this moment.")
            raise typer.Exit(1)
        return await rotation.ring(service.realm)

    _show(administered(data_dir, work), as_json=as_json)


def _show(found: list[Key], *, as_json: bool) -> None:
    if as_json:
        print_json({"keys": [_described(key) for key in found]})
        return
    table = Table("kid", "algorithm", "state", "made", "published until")
    for key in found:
        until = f"{key.until:%Y-%m-%d %H:%M} UTC" if key.until else ""
        table.add_row(key.id, key.algorithm, STATES[key.state], f"{key.created:%Y-%m-%d %H:%M} UTC", until)
    Console().print(table)


def _described(key: Key) -> dict[str, Any]:
    return {
        "kid": key.id,
        "algorithm": key.algorithm,
        "state": key.state,
        "created": key.created.isoformat(),
        **({"until": key.until.isoformat()} if key.until else {}),
    }
