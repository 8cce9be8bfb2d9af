"""The authorization server of a deployment: settings and a record to a realm, and to the gate that requests pass.

Everything that sign-in, tokens and pages rest on is put together here; `smart_auth` itself knows neither settings nor FHIR.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fhir_server.access.bearer import Gate
from fhir_server.access.granted import Check
from fhir_server.access.grants import Grants
from fhir_server.access.standings import Standings
from fhir_server.facilities.house import House
from fhir_server.http.bind import is_loopback
from fhir_server.http.patient_directory import Answer, Directory
from fhir_server.settings import Settings, TrustedIssuer
from fhir_server.store import Store
from fhir_server.store.authorization import Authorization
from profiles.definitions.registry import Definitions
from smart_auth import opaque, rotation
from smart_auth.external import External, Issuer
from smart_auth.fetch import Guarded
from smart_auth.key_sets import KeySets
from smart_auth.messages import Messenger
from smart_auth.outbox import Folder, Sender, Smtp
from smart_auth.passwords import Passwords
from smart_auth.realm import Policy, Realm
from smart_auth.tokens import TokenCheck


def policy(settings: Settings) -> Policy:
    """Return the rules of a deployment."""
    auth, base = settings.auth, settings.service_base
    place = urlsplit(base)
    token = auth.registration_token.get_secret_value() if auth.registration_token else ""
    return Policy(
        issuer=f"{place.scheme}://{place.netloc}/auth",
        base=base,
        name=auth.name,
        registration=auth.registration,
        registration_token=opaque.digest(token) if token else "",
        staff_second_factor=auth.staff_second_factor,
        portal=auth.portal,
        development=is_loopback(place.hostname or ""),
        access_life=timedelta(minutes=auth.access_minutes),
        refresh_life=timedelta(days=auth.refresh_days),
        grant_life=timedelta(days=auth.grant_days),
        session_idle=timedelta(minutes=auth.session_idle_minutes),
        session_life=timedelta(hours=auth.session_hours),
    )


def realm(
    settings: Settings,
    store: Store,
    records: Authorization,
    grants: Grants,
    answer: Answer,
) -> Realm:
    """Return the authorization server.

    Args:
        settings: Effective settings.
        store: The record, for its clock and its secret.
        records: Where clients, people and grants are kept.
        grants: Compiles what callers reach, by the definitions of now.
        answer: Answers a request within a scope; what the pages show of patients is asked so.
    """
    rules = policy(settings)

    def check(resource_type: str, name: str, value: str) -> str:
        return Check(grants.definitions(), settings.search)(resource_type, name, value)

    return Realm(
        policy=rules,
        store=records,
        clock=store.clock.now,
        secret=store.secret,
        key_sets=KeySets(Guarded(development=rules.development), store.clock.now),
        directory=Directory(answer, grants, rules.base),
        passwords=Passwords(),
        types=grants.definitions().resource_types,
        check=check,
        messenger=messenger(settings, store.clock.now),
    )


def messenger(settings: Settings, clock: Callable[[], datetime]) -> Messenger:
    """Return what carries letters to people."""
    way = settings.messages
    sender = Sender(way.sender, settings.auth.name)
    if way.way == "folder":
        return Folder(way.folder or settings.data_dir / "messages", sender, clock)
    password = way.password.get_secret_value() if way.password else ""
    return Smtp(way.host, way.port, way.security, sender, clock, way.user, password)


def grants(
    settings: Settings, store: Store, records: Authorization, house: House, definitions: Callable[[], Definitions]
) -> Grants:
    """Return what compiles the reach of callers.

    Args:
        settings: Effective settings.
        store: The record.
        records: Where clients, people and grants are kept.
        house: The tree of organizations.
        definitions: FHIR definitions of now.
    """
    return Grants(Standings(store, house, settings), definitions, settings, records, store.clock.now)


def gate(settings: Settings, realm: Realm, grants: Grants) -> Gate:
    """Return what every request from outside passes."""
    return Gate(
        TokenCheck(realm),
        realm.store.epoch,
        grants,
        realm=realm.policy.base,
        external=[_external(one, realm) for one in settings.auth.issuers],
    )


async def found(records: Authorization, realm: Realm) -> None:
    """Prepare the records, and make the first keys where there are none.

    Raises:
        Unavailable: The database cannot be reached.
    """
    await records.open()
    await rotation.found(realm)


def _external(issuer: TrustedIssuer, realm: Realm) -> External:
    return External(Issuer(issuer.issuer, issuer.jwks_uri, frozenset(issuer.algorithms)), realm, realm.key_sets)
