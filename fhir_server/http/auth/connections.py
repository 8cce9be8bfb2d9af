"""The apps that a person has connected: one entry for each, however often it was allowed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smart_auth import revoke
from smart_auth.language import Language
from smart_auth.realm import Realm
from smart_auth.records import Client, Grant, User
from smart_auth.scopes.words import lines


@dataclass(frozen=True, slots=True)
class Connection:
    """An app.

    Attributes:
        id: Its client_id.
        client: Its name.
        said: What it may do, in a few words each.
        records: Whose records, where it is about single ones.
        since: When it was allowed first.
        used: When it was used last.
        until: When its access ends at the latest, where it keeps it without the person; else `None`.
        online: Whether it keeps access as long as the person is signed in.
    """

    id: str
    client: str
    said: Sequence[str]
    records: str
    since: datetime
    used: datetime
    until: datetime | None
    online: bool


async def shown(realm: Realm, user: User, acting_as: str, language: Language) -> list[Connection]:
    """Return the apps that a person has connected, the last used first."""
    grants: dict[str, list[Grant]] = {}
    for grant in await revoke.connected(realm, user):
        grants.setdefault(grant.client_id, []).append(grant)
    return [await _connection(realm, user, acting_as, language, mine) for mine in grants.values()]


async def _connection(
    realm: Realm, user: User, acting_as: str, language: Language, grants: Sequence[Grant]
) -> Connection:
    client_id = grants[0].client_id
    client = await realm.store.get(Client, client_id)
    scopes = realm.scopes(" ".join(grant.scope for grant in grants))
    titles: list[str] = []
    for patient in dict.fromkeys(grant.context.patient for grant in grants if grant.context.patient):
        chart = await realm.directory.patient(user, acting_as, patient)
        titles.append(chart.title if chart else patient)
    return Connection(
        client_id,
        client.name if client else client_id,
        [line.title for line in lines(scopes, language) if line.scope not in {"offline_access", "online_access"}],
        ", ".join(titles),
        min(grant.created for grant in grants),
        max(grant.used or grant.created for grant in grants),
        max((grant.expires for grant in grants if grant.access == "offline" and grant.expires), default=None),
        any(grant.access == "online" for grant in grants),
    )
