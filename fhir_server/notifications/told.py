"""What `$status` and `$events` answer of Subscriptions that the caller may read."""

from collections.abc import Collection, Sequence
from typing import Any

from fhir_server.access.mandate import same
from fhir_server.model import instant
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.request import Pairs
from fhir_server.notifications.content import happenings
from fhir_server.notifications.register import Subscribed, read
from fhir_server.repository import Repository
from fhir_server.subscriptions.asked import CONTENTS, TYPE, Asked
from fhir_server.subscriptions.notification import Standing, bundle, status

MOST = 1000
MOST_EVENTS = 100


async def standings(repository: Repository, ids: Collection[str], statuses: Collection[str]) -> list[Standing]:
    """Return how Subscriptions stand, of those that the caller may read.

    Args:
        repository: Of the caller.
        ids: Which; none for all.
        statuses: Those with one of these; none for all.

    Raises:
        Forbidden: The caller may read none.
    """
    asked: list[tuple[str, str]] = [("_id", ",".join(ids))] if ids else []
    asked += [("status", ",".join(statuses))] if statuses else []
    pairs: Pairs = tuple(asked)
    found = await repository.matches(TYPE, pairs, MOST)
    return await _standings(repository, [one.id for one in found])


async def standing(repository: Repository, subscription: str) -> Standing:
    """Return how a Subscription stands.

    Raises:
        NotFound: The caller may read none of this id.
        Gone: It was deleted.
    """
    await repository.read(TYPE, subscription)
    (found,) = await _standings(repository, [subscription])
    return found


async def own(repository: Repository, ids: Sequence[str]) -> set[str]:
    """Return those of some Subscriptions that were last written by who asks."""
    rows = await repository.store.subscriptions.rows(ids)
    return {row["_id"] for row in rows if "mandate" in row and same(row["mandate"], repository.scope)}


async def _standings(repository: Repository, ids: Sequence[str]) -> list[Standing]:
    rows = {row["_id"]: row for row in await repository.store.subscriptions.rows(ids)}
    return [_standing(repository, one, rows.get(one)) for one in ids]


def _standing(repository: Repository, subscription: str, row: Any) -> Standing:
    if row is None or repository.offer is None:  # stored before anything was told of
        return Standing(subscription, "off", 0, "")
    return read(row, repository.offer, repository).standing


def searchset(found: Sequence[Standing], base: str, now: Any) -> dict[str, Any]:
    """Return a Bundle of Parameters that tell how Subscriptions stand."""
    rows = [status(one, "query-status", base) for one in found]
    entries = [{"fullUrl": f"urn:uuid:{row['id']}", "resource": row, "search": {"mode": "match"}} for row in rows]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "timestamp": instant.text(now),
        "total": len(entries),
        **({"entry": entries} if entries else {}),
    }


async def events(  # noqa: PLR0917 - what is asked for
    repository: Repository, subscription: str, since: int, until: int, level: str, base: str
) -> dict[str, Any]:
    """Return the Bundle of the events of a Subscription from one number to another, as far as the caller may know of them now.

    Raises:
        NotFound: The caller may read no Subscription of this id.
        BadRequest: It has no topic.
    """
    await repository.read(TYPE, subscription)
    one, asked = await _served(repository, subscription)
    told: list[Any] = []
    if since <= min(until, one.number):
        found = await repository.store.subscriptions.events(one.run, since, min(until, one.number), MOST_EVENTS)
        told = await happenings(repository, one, found)
    asked = _at_level(asked, level)
    return bundle(one.standing, asked, "query-event", base, repository.store.clock.now(), told)


async def _served(repository: Repository, subscription: str) -> tuple[Subscribed, Asked]:
    row = await repository.store.subscriptions.row(subscription)
    if row is None or "run" not in row or repository.offer is None:
        raise NotFound(f"Subscription/{subscription} was never served, so there are no events of it.")
    one = read(row, repository.offer, repository)
    if one.asked is None or not one.asked.is_topical:
        raise BadRequest("Events are told again of Subscriptions to a topic; the criteria of this one are a search.")
    return one, one.asked


def _at_level(asked: Asked, level: str) -> Asked:
    """Return what is asked for at a level of content, which is never more than the Subscription asks for."""
    if not level:
        return asked
    wanted = next((place for place, known in enumerate(CONTENTS) if known == level), None)
    if wanted is None:
        raise BadRequest(
            f"'{level[:40]}' is no content level. It is one of {', '.join(CONTENTS)}.", expression="http.content"
        )
    content = CONTENTS[min(wanted, CONTENTS.index(asked.content))]
    return Asked(asked.topic, asked.criteria, asked.channel, asked.endpoint, asked.headers, asked.media, content)
