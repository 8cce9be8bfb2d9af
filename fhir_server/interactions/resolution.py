"""Conditional entries of a transaction as the unconditional ones that they turn out to be (R4 3.1.0.11.2).

Conditions are evaluated before anything is written, those of creates without what the bundle deletes, because deletions
come first. Whatever else would depend on the order of the entries is refused.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from fhir_server.access.scope_filter import Letter
from fhir_server.bundle import entries
from fhir_server.bundle.entries import Entry
from fhir_server.bundle.references import Links, Target
from fhir_server.interactions import conditional
from fhir_server.interactions.conditional import Criteria
from fhir_server.model.errors import BadRequest, Conflict, FhirError
from fhir_server.model.stored import Stored
from fhir_server.repository import Repository, demanded

LETTERS: Mapping[str, Letter] = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}

Matches = Mapping[int, Stored | None]
"""What fulfils the condition of each conditional entry, by its index."""


def conditions(parsed: Sequence[Entry]) -> dict[int, Criteria]:
    """Return the conditions: If-None-Exist of creates, the query of conditional PUT, PATCH and DELETE, by index."""
    return {entry.index: criteria for entry in parsed if (criteria := _condition(entry))}


def refuse_ungranted(parsed: Sequence[Entry], repository: Repository) -> None:
    """Refuse writes of which nothing of the grant speaks, before anything is prepared or looked for.

    Conditional entries are judged by what was asked for, whatever their conditions make of them.

    Raises:
        Forbidden: The grant has no letter for an entry.
    """
    for entry in parsed:
        path = entry.request.path
        writes = entry.method in LETTERS and (len(path) == 1 or (len(path) == 2 and entry.method != "POST"))
        if not writes or entry.resource_type not in repository.definitions.resource_types:
            continue
        try:
            repository.rights.require([entry.resource_type], LETTERS[entry.method])
        except FhirError as error:
            raise entries.located(error, entry) from None


def locks(parsed: Sequence[Entry], criteria: Mapping[int, Criteria]) -> list[str]:
    """Return the locks of the conditions, in one order for all transactions so that none waits for another in a ring.

    Raises:
        BadRequest: Two entries have the same condition, so they would be one resource; only a deletion and a create may.
    """
    seen: dict[str, list[Entry]] = {}
    for entry in parsed:
        if entry.index not in criteria:
            continue
        others = seen.setdefault(criteria[entry.index].lock, [])
        for other in others:
            if {entry.method, other.method} != {"DELETE", "POST"}:
                raise BadRequest(
                    f"Entries {other.index} and {entry.index} of the bundle have the same condition, so they name one "
                    "resource. Give it one entry.",
                    expression=entry.at("request"),
                )
        others.append(entry)
    return sorted(seen)


async def matches(parsed: Sequence[Entry], criteria: Mapping[int, Criteria], repository: Repository) -> Matches:
    """Return what fulfils the conditions; of a create, what does so when the bundle's deletions are done.

    Raises:
        MultipleMatches: Several instances fulfil one.
        PreconditionFailed: Nothing does, although the entry has an `ifMatch`.
    """
    going = {(entry.resource_type, entry.assigned) for entry in parsed if entry.method == "DELETE" and entry.assigned}
    found: dict[int, Stored | None] = {}
    for entry in sorted(parsed, key=lambda entry: entry.method != "DELETE"):
        if entry.index not in criteria:
            continue
        ignoring = {name for kind, name in going if entry.method == "POST" and kind == entry.resource_type}
        match = found[entry.index] = await _match(entry, criteria[entry.index], repository, ignoring)
        if match and entry.method == "DELETE":
            going.add((entry.resource_type, match.id))
    return found


async def leaving(
    parsed: Sequence[Entry], criteria: Mapping[int, Criteria], repository: Repository
) -> list[tuple[str, str]]:
    """Return the instances that the bundle is going to delete, as far as can be told before it has begun."""
    deletions = [entry for entry in parsed if entry.method == "DELETE"]
    found = await matches(deletions, criteria, repository)
    conditional_ones = [(stored.resource_type, stored.id) for stored in found.values() if stored]
    return conditional_ones + [(entry.resource_type, entry.assigned) for entry in deletions if entry.assigned]


def resolved(entry: Entry, found: Matches) -> Entry:
    """Return an entry as an unconditional one; one without condition as it is.

    Raises:
        BadRequest: The id in the body is not that of the match.
    """
    if entry.index not in found:
        return entry
    match = found[entry.index]
    request = msgspec.structs.replace(
        entry.request, headers={k: v for k, v in entry.request.headers.items() if k != "if-none-exist"}
    )
    stated = request.resource.get("id") if request.resource else None
    if entry.method == "POST":
        return replace(entry, request=request, assigned=match.id if match else entry.assigned)
    if match:
        if stated is not None and stated != match.id:
            raise BadRequest(
                f"Entry {entry.index} has the id '{str(stated)[:64]}', but its condition finds '{match.id}'.",
                expression=entry.at("resource.id"),
            )
        path = (entry.resource_type, match.id)
        return replace(entry, request=msgspec.structs.replace(request, path=path, query=()), assigned=match.id)
    if entry.method == "PUT" and isinstance(stated, str):
        return replace(
            entry,
            request=msgspec.structs.replace(request, path=(entry.resource_type, stated), query=()),
            assigned=stated,
        )
    if entry.method == "PUT":
        return replace(entry, request=msgspec.structs.replace(request, method="POST", query=()), assigned=entry.fresh)
    return entry


def settled(entry: Entry, found: Matches) -> bool:
    """Whether nothing is left to do: a conditional create whose resource is there, a conditional delete of nothing."""
    if entry.index not in found:
        return False
    return found[entry.index] is not None if entry.method == "POST" else entry.method == "DELETE" and not entry.assigned


def refuse_contradictions(unconditional: Sequence[Entry], found: Matches, leaving: Sequence[tuple[str, str]]) -> None:
    """Refuse two writes of one instance, and to delete what nobody was warned of.

    Raises:
        BadRequest: Two entries contradict each other.
        Conflict: A condition finds another instance than before the transaction began.
    """
    entries.refuse_clashes([entry for entry in unconditional if not settled(entry, found)])
    deleted = {entry.identity for entry in unconditional if entry.method == "DELETE" and entry.assigned}
    if not deleted <= {"/".join(each) for each in leaving}:
        raise Conflict("What a conditional DELETE of the bundle finds is changing. Send the bundle again.")


async def expect(unconditional: Sequence[Entry], found: Matches, repository: Repository) -> None:
    """Let the repository prepare for the writes.

    Raises:
        Conflict: A conditional update whose condition finds nothing would create under an id that is taken.
    """
    places = {(entry.resource_type, entry.assigned): entry.at("resource") for entry in unconditional if entry.assigned}
    changed = [
        ((each.resource_type, each.assigned), LETTERS[each.method])
        for each in unconditional
        if each.assigned and each.method in {"DELETE", "PUT", "PATCH"}
    ]
    await repository.expect(changed, places)
    for entry in unconditional:
        if entry.method == "PUT" and entry.index in found and not found[entry.index]:
            try:
                await conditional.refuse_taken(repository, entry.resource_type, entry.assigned)
            except FhirError as error:
                raise entries.located(error, entry) from None


async def targets(
    unconditional: Sequence[Entry], found: Matches, links: Links, repository: Repository
) -> dict[str, Target]:
    """Return what the fullUrls of the bundle lead to."""
    versioned = links.versioned
    return {
        entry.full_url: Target(
            entry.identity, await _version(entry, found, repository) if entry.full_url in versioned else 0
        )
        for entry in unconditional
        if entry.full_url and entry.identity
    }


def _condition(entry: Entry) -> Criteria | None:
    request = entry.request
    try:
        if entry.method == "POST" and "if-none-exist" in request.headers:
            return conditional.parse(entry.resource_type, request.headers["if-none-exist"], "The ifNoneExist")
        if entry.method in {"PUT", "PATCH", "DELETE"} and len(request.path) == 1:
            pairs = conditional.selecting(request.query)
            return conditional.checked(entry.resource_type, pairs, f"{entry.method} {entry.resource_type}")
    except FhirError as error:
        raise entries.located(error, entry) from None
    return None


async def _match(entry: Entry, criteria: Criteria, repository: Repository, ignoring: Collection[str]) -> Stored | None:
    try:
        found = await conditional.match(repository, criteria, ignoring)
        if not found and entry.method != "POST":
            demand = demanded(entry.request.headers)
            demand.check(None, f"a {entry.resource_type} that fulfils the condition")
    except FhirError as error:
        raise entries.located(error, entry) from None
    return found


async def _version(entry: Entry, found: Matches, repository: Repository) -> int:
    """Return the version of the instance when the bundle is done."""
    match = found.get(entry.index)
    if match and settled(entry, found):
        return match.vid
    return (await repository.upcoming(entry.resource_type, entry.assigned)).version
