"""A whole authorization server in memory, with apps, people and a small hospital behind it."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smart_auth import authorization_request, authorize, keys, launch, opaque, sessions, token_endpoint
from smart_auth.authorize import Open, Step
from smart_auth.exchange import Answer, Request
from smart_auth.key_sets import Document, KeySets, Unfetched
from smart_auth.memory import MemoryStore
from smart_auth.messages import Message, Undelivered
from smart_auth.passwords import Passwords
from smart_auth.realm import Policy, Realm
from smart_auth.records import AuthMethod, Client, ClientKind, Key, LaunchContext, Link, Session, User
from smart_auth.scopes.choices import Choice, everything
from smart_auth.store import AuthStore, Chart
from tests.smart_auth.apps import ec, key_set, rsa
from tests.smart_auth.clock import START, Clock

ISSUER = "https://a.example/auth"
BASE = "https://a.example/fhir"
TYPES = frozenset({"Patient", "Observation", "Condition", "Encounter"})
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET = "s" * 43
CALLBACK = "https://app.example/callback"
PASSWORD = "lantern gravel otter nine"
QUICK = Passwords(memory_kib=1024, passes=1)


def app(client_id: str, name: str, kind: ClientKind, method: AuthMethod, **more: Any) -> Client:
    return Client(
        client_id,
        name,
        kind,
        method,
        START,
        redirect_uris=(CALLBACK, "http://127.0.0.1/callback", "com.example.app:/callback"),
        launch_uris=("https://app.example/launch",),
        origins=("https://app.example",),
        **more,
    )


CLIENTS = (
    app("public", "Public App", "public", "none"),
    app("secret", "Secret App", "confidential", "client_secret_basic", secret=opaque.digest(SECRET)),
    app("keyed", "Keyed App", "asymmetric", "private_key_jwt", jwks=key_set(rsa(), ec())),
    Client(
        "backend",
        "Backend",
        "backend",
        "private_key_jwt",
        START,
        jwks=key_set(rsa(), ec()),
        scope="system/*.rs system/Observation.c",
        grant_types=("client_credentials",),
    ),
    Client("thief", "Thief", "public", "none", START, redirect_uris=("https://thief.example/callback",)),
)
HASH = QUICK.hash(PASSWORD)
USERS = (
    User(
        "u-ann", "ann", "Ann Lee", "patient", START, HASH, links=(Link("Patient/ann", "ann"),), email="ann@mail.example"
    ),
    User(
        "u-bo",
        "bo",
        "Bo Lee",
        "patient",
        START,
        HASH,
        links=(Link("Patient/bo", "bo"), Link("RelatedPerson/bo-ann", "ann")),
    ),
    User("u-doc", "doc", "Dr Grey", "staff", START, HASH, links=(Link("Practitioner/grey"),), email="doc@x.example"),
    User(
        "u-two", "two", "Dr Two", "staff", START, HASH, links=(Link("PractitionerRole/a"), Link("PractitionerRole/b"))
    ),
)


@cache
def founded() -> tuple[Key, ...]:
    return keys.founded(START)


class Hospital:
    """Implements `PatientDirectory`: patients see who they are or act for, staff see everybody."""

    patients_here = ("ann", "bo", "cy")

    async def patients(self, user: User, acting_as: str, words: str) -> Sequence[Chart]:
        mine = {link.patient for link in user.links if link.patient}
        shown = mine if user.kind == "patient" else set(self.patients_here)
        return [Chart(one, one.title(), "1980-01-01") for one in sorted(shown) if words in one]

    async def patient(self, user: User, acting_as: str, patient: str) -> Chart | None:
        return next((one for one in await self.patients(user, acting_as, "") if one.id == patient), None)

    async def facility(self, acting_as: str) -> str:
        return "north" if acting_as.startswith("PractitionerRole/") else ""

    async def organizations(self) -> Sequence[Mapping[str, Any]]:
        meta = {"lastUpdated": "2026-11-20T08:00:00Z"}
        contact = {
            "telecom": [{"system": "phone", "value": "555"}, {"system": "url", "value": "https://north.example"}]
        }
        return [
            {"resourceType": "Organization", "id": "root", "meta": meta, "name": "General", "contact": [contact]},
            {
                "resourceType": "Organization",
                "id": "n",
                "meta": {"lastUpdated": "2026-11-21T08:00:00Z"},
                "name": "North",
            }
            | contact,
            {"resourceType": "Organization", "id": "s", "meta": meta, "name": "South", "address": [{"city": "S"}]},
        ]

    async def roles(self, user: User) -> Sequence[Chart]:
        return [Chart(one.reference, one.reference.replace("PractitionerRole/", "Ward ")) for one in user.roles]

    async def may_open(self, user: User, acting_as: str, patient: str) -> bool:
        return patient in {chart.id for chart in await self.patients(user, acting_as, "")}

    async def encounters(self, user: User, acting_as: str, patient: str) -> Sequence[Chart]:
        return [Chart(f"{patient}-e1", "Visit"), Chart(f"{patient}-e2", "Stay")]

    async def has_encounter(self, user: User, acting_as: str, patient: str, encounter: str) -> bool:
        return encounter in {f"{patient}-e0", *(chart.id for chart in await self.encounters(user, acting_as, patient))}


async def nothing(url: str) -> Document:
    raise Unfetched("There is nothing.")


def check(resource_type: str, name: str, value: str) -> str:
    return "" if name in {"category", "code"} else f"{resource_type} has no search parameter '{name}'"


class Letterbox:
    """Implements `Messenger`: keeps the letters, or loses them where it is broken."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.broken = False

    async def send(self, message: Message) -> None:
        if self.broken:
            raise Undelivered("The mail server did not take the letter.")
        self.letters.append(message)

    def link(self) -> str:
        """Return the secret of the link in the last letter."""
        found = re.search(r"/password\?link=(\S+)", self.letters[-1].text)
        assert found
        return found[1]


class House:
    """The server, and hands to work with it."""

    def __init__(self, store: AuthStore, policy: Policy | None = None) -> None:
        self.clock = Clock()
        self.store = store
        self.letterbox = Letterbox()
        self.realm = Realm(
            policy or Policy(ISSUER, BASE, staff_second_factor=False),
            store,
            self.clock,
            b"k" * 32,
            KeySets(nothing, self.clock),
            Hospital(),
            QUICK,
            TYPES,
            check,
            messenger=self.letterbox,
        )

    @classmethod
    async def built(cls, policy: Policy | None = None, store: AuthStore | None = None) -> "House":
        house = cls(store or MemoryStore(), policy)
        records: tuple[Key | Client | User, ...] = (*founded(), *CLIENTS, *USERS)
        for record in records:
            await house.store.add(record)
        return house

    @property
    def kinds(self) -> list[str]:
        assert isinstance(self.store, MemoryStore)
        return [event.kind for event in self.store.events]

    async def signed_in(self, user_id: str = "u-ann") -> tuple[Session, User]:
        user = await self.store.get(User, user_id)
        assert user
        _, session = await sessions.begin(self.realm, user, ("pwd",))
        return session, user

    def asking(
        self, client_id: str = "public", scope: str = "openid fhirUser launch/patient patient/*.rs", **more: str
    ) -> Request:
        """Return a request at the authorization endpoint; a parameter that is empty is left out."""
        named = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": "s t+a%te",
            "aud": BASE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | more
        return Request(tuple((name, value) for name, value in named.items() if value), method="GET")

    async def opened(self, request: Request, user_id: str = "u-ann") -> tuple[Open, Step]:
        handle = await authorization_request.begin(self.realm, request)
        session, user = await self.signed_in(user_id)
        open_ = await authorize.find(self.realm, handle, session, user)
        return await authorize.advance(self.realm, open_)

    async def redirected(
        self, request: Request, user_id: str = "u-ann", patient: str = "", choice: Choice | None = None
    ) -> dict[str, str]:
        """Return the answer in the redirect when the person agrees to everything, or to the choice."""
        open_, step = await self.opened(request, user_id)
        if step == "patient":
            open_ = await authorize.choose(self.realm, open_, patient=patient)
            step = await authorize.step(self.realm, open_)
        if step == "encounter":
            open_ = await authorize.choose(self.realm, open_, encounter=f"{open_.asked.context.patient}-e1")
            step = await authorize.step(self.realm, open_)
        asked = self.realm.scopes(open_.asked.scope)
        agreed = None if step == "done" else choice or everything(asked, TYPES)
        return answer_of(await authorize.agree(self.realm, open_, agreed))

    async def code(self, request: Request | None = None, user_id: str = "u-ann", **how: Any) -> str:
        return (await self.redirected(request or self.asking(), user_id, **how))["code"]

    async def launched(self, user_id: str = "u-doc", client_id: str = "public", **context: Any) -> str:
        """Return the launch parameter of an EHR launch."""
        client, user = await self.store.get(Client, client_id), await self.store.get(User, user_id)
        assert client
        assert user
        return (await launch.mint(self.realm, client, user, LaunchContext(**context))).launch

    async def token(self, form: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        return await token_endpoint.respond(self.realm, posted(form, headers))

    async def redeem(self, code: str, client_id: str = "public", **more: str) -> Answer:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": client_id,
            "code_verifier": VERIFIER,
        } | more
        return await self.token({name: value for name, value in form.items() if value})

    async def refresh(self, refresh_token: str, client_id: str = "public", **more: str) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id}
        return await self.token({name: value for name, value in (form | more).items() if value})

    async def offline(
        self, scope: str = "patient/*.rs offline_access openid fhirUser launch/patient"
    ) -> dict[str, Any]:
        """Return a token response with a refresh token."""
        answer = await self.redeem(await self.code(self.asking(scope=scope)))
        assert answer.status == 200, answer.body
        body: dict[str, Any] = answer.body
        return body

    async def disable_client(self, client_id: str) -> None:
        record = await self.store.get(Client, client_id)
        assert record
        await self.store.swap(record, replace(record, disabled=True), felt=True)

    async def disable_user(self, user_id: str) -> None:
        record = await self.store.get(User, user_id)
        assert record
        await self.store.swap(record, replace(record, disabled=True), felt=True)


def posted(form: dict[str, str], headers: dict[str, str] | None = None) -> Request:
    return Request(tuple(form.items()), headers or {}, address="192.0.2.1")


def answer_of(url: str) -> dict[str, str]:
    """Return the parameters of a redirect."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
