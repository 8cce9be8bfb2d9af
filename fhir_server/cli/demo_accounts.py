"""The people, the app and the service of the demo: made once, told at every run."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fhir_server.cli.linking import looked_up
from fhir_server.demo.accounts import ACCOUNTS, BACKENDS, Account, SampleApp, SampleBackend
from fhir_server.http import sample
from fhir_server.model import json
from smart_auth import accounts, administration, passwords
from smart_auth.records import Client, User

if TYPE_CHECKING:
    from fhir_server.main import Service
    from smart_auth.realm import Realm

CHANGED = "(another one was chosen)"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What is told of an account.

    Attributes:
        login: What is typed.
        password: Its password, or that it was changed.
        kind: patient, staff or administrator.
        name: Who it is.
        about: What can be seen with it.
    """

    login: str
    password: str
    kind: str
    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to sign in with.

    Attributes:
        people: The accounts.
        app: client_id of the public app.
        page: Where it is opened; empty where it is not served.
        redirect_uris: Where it may be.
        services: The backend services, each with the file of its private key.
        second_factor: Whether staff set one up at the first sign-in.
    """

    people: tuple[SignIn, ...]
    app: str
    page: str
    redirect_uris: tuple[str, ...]
    services: tuple[tuple[SampleBackend, Path], ...]
    second_factor: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "people": [asdict(one) for one in self.people],
            "app": {"client_id": self.app, "url": self.page, "redirect_uris": list(self.redirect_uris)},
            "backends": [{"client_id": one.id, "key": str(key), "about": one.about} for one, key in self.services],
            "staffSecondFactor": self.second_factor,
        }


async def made(service: "Service") -> Told:
    """Return the accounts and clients of the demo, after making those that are missing."""
    realm, app = service.realm, SampleApp()
    people = [await _person(service, account) for account in ACCOUNTS]
    site = realm.policy.base.removesuffix("/fhir")
    page, answers = site + app.page, site + app.answers
    if await realm.store.get(Client, app.id) is None:
        wanted = administration.Registration("public", app.name, (answers, *app.redirect_uris), (page,), id=app.id)
        await administration.add_client(realm, wanted)
    services = []
    for backend in BACKENDS:
        key = (service.settings.data_dir / backend.key).absolute()
        await _backend(realm, backend, key)
        services.append((backend, key))
    opened = page if sample.is_served(service.settings) else ""
    return Told(tuple(people), app.id, opened, app.redirect_uris, tuple(services), realm.policy.staff_second_factor)


async def _person(service: "Service", account: Account) -> SignIn:
    realm = service.realm
    found = await realm.store.find(User, login=account.login)
    if found:
        user, password = found[0], _password(realm, account, found[0].name)
        right = await asyncio.to_thread(realm.passwords.check, user.password, password)
        return SignIn(account.login, password if right else CHANGED, user.kind, user.name, account.about)
    who = await looked_up(service.repository, account.references)
    name = who.name or account.name
    password = _password(realm, account, name)
    wanted = accounts.NewUser(
        account.login, name, account.kind, who.links, f"{account.login}@mail.meridia.example", password
    )
    user = await accounts.add(realm, wanted)
    return SignIn(account.login, password, user.kind, user.name, account.about)


def _password(realm: "Realm", account: Account, name: str) -> str:
    """Return the first of the account's passwords that a person could choose."""
    offered = account.passwords(realm.secret)
    return next(one for one in offered if not passwords.weakness(one, login=account.login, name=name))


async def _backend(realm: "Realm", backend: SampleBackend, key: Path) -> None:
    """Register the service; where its key is missing, as in another data directory, give it a new one."""
    client = await realm.store.get(Client, backend.id)
    there = await asyncio.to_thread(key.exists)
    if client and there:
        return
    jwk = await asyncio.to_thread(_read if there else _new_key, key)
    public = {name: value for name, value in jwk.items() if name != "d"}
    if client:
        await administration.replace_keys(realm, backend.id, jwks={"keys": [public]})
        return
    wanted = administration.Registration(
        "backend", backend.name, scope=backend.scope, jwks={"keys": [public]}, id=backend.id,
        facilities=backend.facilities, purpose=backend.purpose, advisory=backend.advisory,
    )  # fmt: skip
    await administration.add_client(realm, wanted)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.decode(file.read_bytes())
    return found


def _new_key(file: Path) -> dict[str, Any]:
    """Return a new private key, which only this program's user may read from its file."""
    from joserfc.jwk import ECKey

    key = ECKey.generate_key("P-384", auto_kid=True)
    jwk = {**key.as_dict(private=True), "kid": key.kid, "alg": "ES384", "use": "sig"}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(json.encode(jwk))
    return jwk


def say(told: Told, console: Console) -> None:
    """Print who can sign in, and what is registered."""
    console.print("\nWho can sign in:")
    table = Table("login", "password", "who")
    for one in told.people:
        table.add_row(one.login, one.password, f"{one.name}, {one.about}")
    console.print(table)
    if told.second_factor:
        text = "Staff set up a second factor at the first sign-in. To try things out without: FHIR_AUTH__STAFF_SECOND_FACTOR=false"
        console.print(text, soft_wrap=True, markup=False)
    console.print("\nRegistered:")
    place = f"{told.page}; " if told.page else ""
    uris = " ".join(told.redirect_uris)
    _rows(
        console,
        (
            ("sample app", f"{place}client_id {told.app}, public; redirects to {uris} at any port"),
            *(
                ("backend service", f"client_id {one.id}, {one.about}; its private key (ES384) is in {key}")
                for one, key in told.services
            ),
        ),
    )


def _rows(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    for name, text in rows:
        console.print(f"  {name:<17}{text}", soft_wrap=True, markup=False)
