"""transaction: all entries of a bundle or none (R4 3.1.0.11.2).

The steps are those of the specification: identities first, then references, then DELETE, POST, PUT and PATCH, GET, all
in one unit of work. A transient conflict with another writer repeats the whole walk with the same ids.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_server.bundle import answer, entries
from fhir_server.bundle.entries import ORDER, Entry
from fhir_server.bundle.references import Links
from fhir_server.context import Context
from fhir_server.interactions import conditional
from fhir_server.interactions.conditional import Criteria
from fhir_server.model.errors import BadRequest, FhirError, PreconditionFailed
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Stored
from fhir_server.repository import Repository


async def transaction(ctx: Context, resource: dict[str, Any]) -> FhirResponse:
    """Return 200 with a transaction-response whose entries stand in the order of the request.

    Raises:
        BadRequest: An entry is malformed, two have one identity, or a `urn:uuid` reference leads nowhere.
        PreconditionFailed: A conditional reference does not match exactly one resource.
        FhirError: Whatever refused an entry; nothing was stored.
    """
    rows = resource.get("entry", [])
    if not isinstance(rows, list):
        raise BadRequest("Bundle.entry must be an array.", expression="Bundle.entry")
    parsed = entries.parse(rows, ctx.request, ctx.settings.server.max_entries)
    entries.refuse_clashes(parsed)
    links = _links(ctx, parsed)
    conditions = {entry.index: criteria for entry in parsed if (criteria := _condition(entry))}
    locks = _locks(conditions)

    async def walk(repository: Repository) -> list[FhirResponse]:
        found = {index: await conditional.match(repository, criteria) for index, criteria in conditions.items()}
        resolved = [_resolved(entry, found[entry.index]) if entry.index in found else entry for entry in parsed]
        entries.refuse_clashes([entry for entry in resolved if not _settled(entry, found)])
        await _link(resolved, links, repository)
        places = {(entry.resource_type, entry.assigned): entry.at("resource") for entry in resolved if entry.assigned}
        changed = [
            (entry.resource_type, entry.assigned) for entry in resolved if entry.assigned and entry.method != "POST"
        ]
        await repository.expect(changed, places)
        return await _run(ctx, resolved, found, repository)

    deleted = [(entry.resource_type, entry.assigned) for entry in parsed if entry.method == "DELETE" and entry.assigned]
    types = {entry.resource_type for entry in parsed if entry.request.resource is not None}
    async with ctx.repository.leaving(deleted):
        answers = await ctx.repository.exclusively(locks, types & ctx.definitions.resource_types, walk)
    return FhirResponse(200, {}, answer.response_bundle("transaction-response", answers, ctx.base))


def _condition(entry: Entry) -> Criteria | None:
    """Return the condition of an entry: If-None-Exist of a create, or the query of a conditional PUT, PATCH, DELETE."""
    request = entry.request
    if entry.method == "POST" and "if-none-exist" in request.headers:
        return conditional.parse(entry.resource_type, request.headers["if-none-exist"], entry.at("request.ifNoneExist"))
    if entry.method in {"PUT", "PATCH", "DELETE"} and len(request.path) == 1:
        return conditional.checked(entry.resource_type, request.query, entry.at("request.url"))
    return None


def _links(ctx: Context, parsed: list[Entry]) -> Links:
    resources = {entry.at("resource"): entry.request.resource for entry in parsed if entry.request.resource is not None}
    full_urls = [entry.full_url for entry in parsed if entry.full_url]
    return Links(resources, full_urls, ctx.link_members)


def _locks(conditions: Mapping[int, Criteria]) -> list[str]:
    """Return the locks of the conditions, in one order for all transactions so that none waits for another in a ring.

    Raises:
        BadRequest: Two entries have the same condition, so they would be one resource.
    """
    first: dict[str, int] = {}
    for index, criteria in conditions.items():
        other = first.setdefault(criteria.lock, index)
        if other != index:
            raise BadRequest(
                f"Entries {other} and {index} of the bundle have the same condition, so they name one resource. Give it one entry.",
                expression=f"Bundle.entry[{index}].request",
            )
    return sorted(first)


def _resolved(entry: Entry, found: Stored | None) -> Entry:
    """Return a conditional entry as the unconditional one that it turned out to be."""
    request = replace(entry.request, headers={k: v for k, v in entry.request.headers.items() if k != "if-none-exist"})
    if found:
        if entry.method == "POST":
            return replace(entry, request=request, assigned=found.id)
        body = {**request.resource, "id": found.id} if entry.method == "PUT" and request.resource else request.resource
        stated = request.resource.get("id", found.id) if request.resource else found.id
        if stated != found.id:
            raise BadRequest(
                f"Entry {entry.index} has the id '{str(stated)[:64]}', but its condition finds '{found.id}'.",
                expression=entry.at("resource.id"),
            )
        path = (entry.resource_type, found.id)
        return replace(entry, request=replace(request, path=path, query=(), resource=body), assigned=found.id)
    if entry.method == "PUT" and request.resource is not None:
        stated = request.resource.get("id")
        if isinstance(stated, str):
            return replace(
                entry, request=replace(request, path=(entry.resource_type, stated), query=()), assigned=stated
            )
        return replace(entry, request=replace(request, method="POST", query=()), assigned=entry.fresh)
    return replace(entry, request=request)


def _settled(entry: Entry, found: Mapping[int, Stored | None]) -> bool:
    """Whether nothing is left to do: a conditional create whose resource is there, a conditional delete of nothing."""
    if entry.index not in found:
        return False
    return (
        (found[entry.index] is not None)
        if entry.method == "POST"
        else (entry.method == "DELETE" and not entry.assigned)
    )


async def _link(resolved: list[Entry], links: Links, repository: Repository) -> None:
    """Write what every link inside the bundle and every conditional reference leads to."""
    targets = {entry.full_url: entry.identity for entry in resolved if entry.full_url and entry.identity}
    for text in links.conditional:
        targets[text] = await _reference_target(repository, text, links)
    links.point(targets)


async def _reference_target(repository: Repository, text: str, links: Links) -> str:
    resource_type, _, query = text.partition("?")
    criteria = conditional.parse(resource_type, query, f"The conditional reference to a {resource_type}")
    found = await repository.matches(criteria.resource_type, criteria.pairs, most=2)
    if len(found) != 1:
        raise PreconditionFailed(
            f"The conditional reference to a {resource_type} matches {'more than one' if found else 'no'} resource; it must "
            "match exactly one. Create the target first, or refer to it by id.",
            expression=links.place(text),
        )
    return f"{resource_type}/{found[0].id}"


async def _run(
    ctx: Context, resolved: list[Entry], found: Mapping[int, Stored | None], repository: Repository
) -> list[FhirResponse]:
    """Send each entry through the whole pipeline in the specification's order; return the answers in the bundle's."""
    answers: dict[int, FhirResponse] = {}
    flushed = False
    for entry in sorted(resolved, key=lambda entry: (ORDER[entry.method], entry.index)):
        if entry.method in {"GET", "HEAD"} and not flushed:
            await repository.flush()
            flushed = True
        if _settled(entry, found):
            answers[entry.index] = _settled_answer(ctx, entry, found[entry.index])
            continue
        try:
            answers[entry.index] = await ctx.enter(entry.request, repository, entry.assigned)
        except FhirError as error:
            raise entries.located(error, entry) from None
    return [answers[entry.index] for entry in resolved]


def _settled_answer(ctx: Context, entry: Entry, stored: Stored | None) -> FhirResponse:
    if stored is None:
        return FhirResponse(204)
    location = f"{ctx.base}/{stored.resource_type}/{stored.id}/_history/{stored.vid}"
    return FhirResponse(200, {"ETag": f'W/"{stored.vid}"', "Location": location}, version=stored)
