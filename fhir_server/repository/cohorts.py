"""Who belongs to a Group: the members that a stored one lists, and those of virtual Groups, who are found by custody.

The virtual Group of an Organization, `Group/facility.[id]`, is read and searched like any other, by whoever may see what the
Organization keeps. It lists nobody: its members are as many as the patients of a country. They are asked for here, page by page.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fhir_server.access.scope_filter import Letter
from fhir_server.facilities import nodes
from fhir_server.facilities.cohort import PREFIX, TYPE, cohort, organization_of, resource
from fhir_server.model import instant, json, reference
from fhir_server.model.errors import InvalidParameter, NotFound
from fhir_server.model.query import Query, Where
from fhir_server.model.stored import Hit, Stored
from fhir_server.repository.pages import SearchPage
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import And, Chain, Concepts, Expression, Hierarchy, InText, Not, Or, ReverseChain
from fhir_server.search.match import matches
from fhir_server.search.parse import SearchRequest
from fhir_server.store.facilities import ORGANIZATION

if TYPE_CHECKING:
    from fhir_server.repository.holdings import Holdings

AT_ONCE = 1_000
DEEPEST = 10
"""Groups that lie inside of each other are followed so far."""

MANAGER, ID = "managing-entity", "_id"
MILLISECOND = timedelta(milliseconds=1)

Json = Mapping[str, Any]


async def members(repository: "Holdings", group_id: str, after: str, at: datetime) -> list[str]:
    """Return the ids of the next members of a Group that are Patients, in order; none at the end.

    Args:
        repository: Within the rights of who asks.
        group_id: Its id.
        after: The id before, empty for the first.
        at: The moment whose members are wanted, not longer ago than some hours.

    Raises:
        NotFound: There is no such Group, or none that may be read.
        Unavailable: The database cannot be reached.
    """
    if not is_virtual(TYPE, group_id):
        found = sorted({one async for one in _listed(repository, group_id, at, frozenset())})
        start = bisect_right(found, after)
        return found[start : start + AT_ONCE]
    await named(repository, group_id)
    tree = await repository.house.now()
    whose = cohort(tree, organization_of(group_id), at, repository.rules.zone)
    where = repository.scope.shown("Patient")
    return await repository.store.cohorts.patients(whose.custodians, whose.zones, where, after, at, AT_ONCE)


async def named(repository: "Holdings", group_id: str) -> Stored:
    """Return a Group whose members the caller may ask for.

    That is one that the caller may read. Systems ask for scopes of what they export, and Groups are seldom among it: without any
    scope for Groups, they name one that is kept by an Organization that they are registered for.

    Raises:
        NotFound: There is none that the caller may name.
        Forbidden: The grant says nothing of Groups, and is not that of a system.
    """
    if not is_virtual(TYPE, group_id):
        found = await repository.store.read(TYPE, group_id, _reach(repository)[1])
    else:
        found = await _one(repository, group_id, _reach(repository)[0])
    if found is None:
        raise NotFound(f"There is no {TYPE}/{group_id}.")
    return found


def is_virtual(resource_type: str, resource_id: str) -> bool:
    """Return whether an instance is a virtual Group, if it is there at all."""
    return resource_type == TYPE and bool(organization_of(resource_id))


async def group(repository: "Holdings", group_id: str, letter: Letter) -> Stored:
    """Return a virtual Group; its version is that of the Organization.

    Raises:
        NotFound: There is no such Organization, or the caller may not see what it keeps.
    """
    found = await _one(repository, group_id, repository.scope.expression(TYPE, letter))
    if found is None:
        raise NotFound(f"There is no {TYPE}/{group_id}.")
    return found


async def asked(repository: "Holdings", request: SearchRequest) -> Sequence[Hit]:
    """Return the virtual Groups that a search is for: those of the Organizations, or of the ids, that it names.

    Raises:
        InvalidParameter: They do not fit a page beside others.
    """
    if request.resource_type != TYPE or request.contained != "false" or _leads_elsewhere(request.expression):
        return ()
    organizations = [*_named(request.applied)]
    if not organizations:
        return ()
    may = repository.scope.expression(TYPE, "s")
    found = [doc for doc in await _virtual(repository, organizations, may) if matches(request.expression, doc)]
    if found and request.summary != "count" and len(found) >= request.count:
        raise InvalidParameter(
            f"The search finds {len(found)} Groups that are the patients of an Organization, and perhaps others. Ask for pages of at "
            f"least {len(found) + 1}, with _count.",
            expression="http._count",
        )
    return [Hit(TYPE, doc["_id"], doc["j"], doc) for doc in found]


def leaving_room(request: SearchRequest, virtual: Sequence[Hit]) -> SearchRequest:
    """Return the search for stored Groups, on whose last page there is room for the virtual ones."""
    fits = not virtual or request.summary == "count"
    return request if fits else replace(request, count=request.count - len(virtual))


def beside(virtual: Sequence[Hit], found: SearchPage) -> SearchPage:
    """Return a page with the virtual Groups: the last one lists them, every one counts them."""
    if not virtual:
        return found
    total = None if found.total is None else found.total + len(virtual)
    listed = [*found.matches, *virtual] if not found.next else found.matches
    return replace(found, matches=listed, total=total)


def _reach(repository: "Holdings") -> tuple[Expression, Where]:
    """Return which Groups the caller may name, of virtual and of stored ones."""
    scope, who = repository.scope, repository.scope.principal
    is_left_open = who.audience == "system" and (not who.types or TYPE in who.types)
    if is_left_open and not repository.rights.has(TYPE, "r"):
        custody = scope.standing.custody
        return custody, compiled(custody, TYPE, repository.definitions)
    repository.rights.require([TYPE], "r")
    return scope.expression(TYPE, "r"), scope.where(TYPE, "r")


async def _one(repository: "Holdings", group_id: str, may: Expression) -> Stored | None:
    """Return a virtual Group, if it is there and the caller may see it."""
    for doc in await _virtual(repository, [organization_of(group_id)], may):
        return Stored(TYPE, group_id, doc["v"], doc["lu"], doc["j"], envelope=doc)
    return None


async def _virtual(repository: "Holdings", organizations: Collection[str], may: Expression) -> list[dict[str, Any]]:
    """Return the virtual Groups of Organizations as they would be stored, those that the caller may see."""
    tree = await repository.house.now()
    known = [one for one in organizations if one in tree]
    if not known:
        return []
    query = Query(ORGANIZATION, Where("clause", {"_id": {"$in": known}}), (), len(known), fields=("v", "lu", "o"))
    found = []
    for row in await repository.store.rows(query):
        organization = tree.get(row["_id"])
        if organization is None:
            continue
        moment = row["lu"].replace(tzinfo=UTC)
        bare = dict(resource(organization))
        own = {"versionId": str(row["v"]), "lastUpdated": instant.text(moment)}
        whole = {"resourceType": TYPE, "id": bare["id"], "meta": own, **bare}
        doc = {
            "_id": bare["id"],
            "v": int(row["v"]),
            "lu": moment,
            "o": row["o"],
            "rg": repository.rules.zone,
            "f": organization.id,
            **repository.intake.fields(bare),
            "r": whole,
            "j": json.encode(whole),
        }
        if matches(may, doc):
            found.append(doc)
    return sorted(found, key=lambda doc: str(doc["_id"]))


async def _listed(repository: "Holdings", group_id: str, at: datetime, above: frozenset[str]) -> AsyncIterator[str]:
    """Yield the Patients that a stored Group lists, and those of the Groups in it that may be read."""
    try:
        stored = await _version(repository, group_id, at)
    except NotFound:
        if above:
            return
        raise
    listed = json.decode(stored.body)
    if listed.get("type") != "person" or not listed.get("actual"):
        return
    inside = above | {group_id}
    reading = repository.intake.reading
    for row in listed.get("member", ()):
        start, end = nodes.span(row.get("period"), reading.zone)
        if row.get("inactive") is True or not start <= at < end:
            continue
        found = reference.local(row.get("entity", {}).get("reference", ""), reading.base)
        if found is None:
            continue
        if found.resource_type == "Patient":
            yield found.id
        elif found.resource_type == TYPE and found.id not in inside and len(inside) < DEEPEST:
            async for one in _listed(repository, found.id, at, inside):
                yield one


async def _version(repository: "Holdings", group_id: str, at: datetime) -> Stored:
    """Return a stored Group as it was at a moment; one that was made later, as it is.

    Raises:
        NotFound: There is none that may be read.
    """
    _, where = _reach(repository)
    found = await repository.store.history(TYPE, group_id, lambda _: where, at=(at, at + MILLISECOND), count=1)
    if found and not found[0].deleted:
        return found[0]
    now = await repository.store.read(TYPE, group_id, where)
    if now is None:
        raise NotFound(f"There is no {TYPE}/{group_id}.")
    return now


def _named(applied: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the ids of the Organizations that a search names, by themselves or in the id of their Group."""
    for name, value in applied:
        code, _, modifier = name.partition(":")
        for text in value.split(","):
            if code == MANAGER and modifier in {"", ORGANIZATION}:
                yield text.rpartition("/")[2]
            elif name == ID and text.startswith(PREFIX):
                yield organization_of(text)


def _leads_elsewhere(expression: Expression) -> bool:
    match expression:
        case Chain() | ReverseChain() | Hierarchy() | Concepts() | InText():
            return True
        case And(items) | Or(items):
            return any(map(_leads_elsewhere, items))
        case Not(item):
            return _leads_elsewhere(item)
    return False
