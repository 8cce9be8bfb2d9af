"""`fhir-server client`: the apps and services that may ask for tokens, and what to paste into them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fhir_server.cli import client_policy
from fhir_server.cli.administering import administered
from fhir_server.cli.options import AsJson, DataDir, complain, print_json
from smart_auth.records import Client

if TYPE_CHECKING:
    from fhir_server.main import Service
    from smart_auth.realm import Realm

app = typer.Typer(help="The apps and services that may ask for tokens.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client_id.")]
Kind = Annotated[
    Literal["public", "confidential", "backend"],
    typer.Option(
        "--kind",
        help="public: an app on people's devices, without a secret. confidential: an app with a server that keeps a secret, "
        "or a key (--jwks, --jwks-uri). backend: a service with a key, to which nobody signs in.",
    ),
]
Name = Annotated[str, typer.Option("--name", help="What people read when the app asks them.")]
Redirects = Annotated[
    list[str] | None,
    typer.Option("--redirect-uri", help="Where answers are sent, exactly as the app writes it; may be repeated."),
]
Launches = Annotated[
    list[str] | None, typer.Option("--launch-uri", help="Where an EHR opens the app; may be repeated.")
]
Scope = Annotated[
    str,
    typer.Option(
        "--scope", help="The most that it may ask for; a backend has just this.", show_default="what people may grant"
    ),
]
Jwks = Annotated[
    Path | None,
    typer.Option("--jwks", help="File with its public keys as a JWK set.", exists=True, dir_okay=False, readable=True),
]
JwksUri = Annotated[str, typer.Option("--jwks-uri", help="URL of its public keys.")]


@app.command()
def add(
    *,
    kind: Kind,
    name: Name,
    redirect_uri: Redirects = None,
    launch_uri: Launches = None,
    scope: Scope = "",
    jwks: Jwks = None,
    jwks_uri: JwksUri = "",
    facility: client_policy.Facilities = None,
    type_: client_policy.Types = None,
    purpose: client_policy.Purpose = "",
    advisory: client_policy.Advisory = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Register an app or service, and print what to paste into it. A secret is shown this once."""
    keys = _key_set(jwks)

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import administration

        keyed = bool(keys or jwks_uri) and kind == "confidential"
        wanted = administration.Registration(
            "asymmetric" if keyed else kind, name, redirect_uri or (), launch_uri or (), scope, keys, jwks_uri,
            facilities=facility or (), types=type_ or (), purpose=purpose, advisory=advisory,
        )  # fmt: skip
        await client_policy.check(service, facility or [], type_ or [], purpose)
        return registration(service.realm, *await administration.add_client(service.realm, wanted))

    _tell(administered(data_dir, work), "is registered", as_json=as_json)


@app.command(name="list")
def list_(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all apps and services, those that registered themselves among them."""

    async def work(service: "Service") -> list[tuple[Client, dict[str, Any]]]:
        from smart_auth import administration

        found = await administration.clients(service.realm)
        return [(client, registration(service.realm, client)) for client in found]

    rows = administered(data_dir, work)
    if as_json:
        print_json({"clients": [row for _, row in rows]})
        return
    table = Table("client_id", "name", "kind", "redirect URIs", "scope", "for", "state")
    for client, _ in rows:
        uris = "\n".join(client.redirect_uris)
        cells = (client.id, client.name, client.kind, uris, client.scope, meant_for(client), state(client))
        table.add_row(*map(escape, cells))
    Console().print(table)


@app.command()
def show(client_id: Id, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one app or service: its registration, its policy, and whether it may work."""

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import administration

        client = await administration.find_client(service.realm, client_id)
        return {**registration(service.realm, client), "state": state(client)}

    found = administered(data_dir, work)
    if as_json:
        print_json(found)
        return
    table = Table(show_header=False, box=None)
    for name, value in found.items():
        shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        table.add_row(name, escape(shown))
    Console().print(table)


@app.command()
def rotate(
    client_id: Id, *, jwks: Jwks = None, jwks_uri: JwksUri = "", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Give an app another secret, or other keys (--jwks, --jwks-uri). The old ones are void at once."""
    keys = _key_set(jwks)

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import administration

        realm = service.realm
        if keys or jwks_uri:
            return registration(
                realm, await administration.replace_keys(realm, client_id, jwks=keys, jwks_uri=jwks_uri)
            )
        secret = await administration.rotate_secret(realm, client_id)
        return registration(realm, await administration.find_client(realm, client_id), secret)

    _tell(administered(data_dir, work), "has new credentials", as_json=as_json)


@app.command()
def disable(client_id: Id, *, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Keep an app or service out at once: it loses all that it was granted."""

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import administration

        return registration(service.realm, await administration.disable_client(service.realm, client_id))

    _tell(administered(data_dir, work), "is disabled", as_json=as_json)


@app.command()
def enable(client_id: Id, *, scope: Scope = "", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Let a disabled app work again, or one that registered itself and waits for approval.

    People have to agree anew to what it was granted before.
    """

    async def work(service: "Service") -> dict[str, Any]:
        from smart_auth import administration

        return registration(service.realm, await administration.enable_client(service.realm, client_id, scope))

    _tell(administered(data_dir, work), "is enabled", as_json=as_json)


def registration(realm: "Realm", client: Client, secret: str = "") -> dict[str, Any]:
    """Return what to paste into an app: its registration in the words of RFC 7591, and where the server is."""
    from smart_auth import register

    return {
        **register.described(realm, client),
        **({"client_secret": secret} if secret else {}),
        **({"disabled": True} if client.disabled else {}),
        "fhir_base": realm.policy.base,
        "token_endpoint": realm.policy.url("token"),
        "smart_configuration": f"{realm.policy.base}/.well-known/smart-configuration",
    }


def meant_for(client: Client) -> str:
    """Return what the policy of a client says, empty where it says nothing."""
    rows = {
        "facilities": ", ".join(client.facilities),
        "types": ", ".join(client.types),
        "purpose": client.purpose,
        "": "advises only" if client.advisory else "",
    }
    return "\n".join(f"{name} {value}".strip() for name, value in rows.items() if value)


def state(client: Client) -> str:
    """Return in a word whether a client may work."""
    if client.disabled:
        return "disabled"
    return "waits for approval" if client.pending else "active"


def _key_set(file: Path | None) -> Any:
    """Return a JWK set, also where the file holds one key."""
    if file is None:
        return None
    from fhir_server.model import json
    from fhir_server.model.errors import FhirError

    try:
        found = json.parse(file.read_bytes())
    except (OSError, FhirError) as error:
        complain(f"{file} is not readable as JSON: {error}")
        raise typer.Exit(2) from None
    return {"keys": [found]} if isinstance(found, dict) and "kty" in found else found


def _tell(told: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    say = partial(Console(highlight=False).print, soft_wrap=True, markup=False)
    say(f"{told['client_name']} {said}.")
    if told.get("disabled"):
        return
    lines = {
        "client_id": told["client_id"],
        "client_secret": told.get("client_secret", ""),
        "FHIR base (iss, aud)": told["fhir_base"],
        "token endpoint": told["token_endpoint"],
        "redirect URIs": " ".join(told.get("redirect_uris", [])),
        "launch URIs": " ".join(told.get("launch_uris", [])),
        "scope": told.get("scope", "whatever people grant it"),
        "facilities": " ".join(told.get("facilities", [])),
        "types": " ".join(told.get("types", [])),
        "purpose": told.get("purpose", ""),
        "advises only": "yes" if told.get("advisory") else "",
        "keys at": told.get("jwks_uri", ""),
    }
    say("Paste this into the app:\n")
    for name, value in lines.items():
        if value:
            say(f"  {name:<22}{value}")
    if told.get("client_secret"):
        say("\nThe secret is not shown again. Keep it on a server, never in an app that people install.")
    say(f"\nEverything else is at {told['smart_configuration']}")
