"""transaction: all entries of a bundle or none (R4 3.1.0.11.2).

The steps are those of the specification: identities first, then references, then DELETE, POST, PUT and PATCH, GET, all
in one unit of work. A transient conflict with another writer repeats the whole walk with the same ids.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from fhir_server.bundle import answer, entries
from fhir_server.bundle.entries import ORDER, Entry
from fhir_server.bundle.references import Links
from fhir_server.context import Context
from fhir_server.interactions import conditional, representation, resolution
from fhir_server.interactions.resolution import Matches
from fhir_server.model.errors import BadRequest, FhirError, PreconditionFailed
from fhir_server.model.request import FhirResponse
from fhir_server.repository import Repository
from fhir_server.repository.pending import NONE_DRAFTED, Drafted

READS = frozenset({"GET", "HEAD"})
WRITES = frozenset({"POST", "PUT"})


async def transaction(ctx: Context, resource: dict[str, Any]) -> FhirResponse:
    """Return 200 with a transaction-response whose entries stand in the order of the request.

    Raises:
        BadRequest: The bundle is malformed, two entries have one identity, or a `urn:uuid` reference leads nowhere.
        PreconditionFailed: A conditional reference does not match exactly one resource.
        FhirError: Whatever refused an entry; nothing was stored.
    """
    if issues := ctx.repository.intake.check_frame(resource):
        raise BadRequest("The bundle is not valid.", issues=issues)
    parsed = entries.parse(resource.get("entry", []), ctx.request, ctx.settings.server.max_entries)
    entries.refuse_clashes(parsed)
    links = Links(parsed, ctx.base, ctx.link_members)
    resolution.refuse_ungranted(parsed, ctx.repository)
    conditions = resolution.conditions(parsed)
    locks = resolution.locks(parsed, conditions)
    leaving = await resolution.leaving(parsed, conditions, ctx.repository)

    async def walk(repository: Repository) -> list[FhirResponse]:
        found = await resolution.matches(parsed, conditions, repository)
        unconditional = [resolution.resolved(entry, found) for entry in parsed]
        resolution.refuse_contradictions(unconditional, found, leaving)
        await resolution.expect(unconditional, found, repository)
        links.point(await resolution.targets(unconditional, found, links, repository))
        return await _Run(ctx, repository, links, found).answers(unconditional)

    types = {entry.resource_type for entry in parsed if entry.request.resource is not None}
    # Of what the caller cannot delete nobody needs to be warned.
    warned = await ctx.repository.rights.within(leaving, "d")
    async with ctx.repository.leaving(warned) as mark:
        drafted = await _ahead(parsed, links, ctx.repository) if not conditions else NONE_DRAFTED
        answers = await ctx.repository.exclusively(locks, types & ctx.definitions.resource_types, walk, drafted, mark)
    return FhirResponse(200, {}, answer.response_bundle("transaction-response", answers, ctx.base))


async def _ahead(parsed: Sequence[Entry], links: Links, repository: Repository) -> Drafted:
    """Return the drafts of the resources of a bundle without conditions, as far as their links do not depend on what is stored."""
    if links.versioned:
        return NONE_DRAFTED
    links.point(await resolution.targets(parsed, {}, links, repository))
    return await repository.drafted(
        ((entry.resource_type, entry.assigned), entry.request.resource)
        for entry in parsed
        if entry.request.resource is not None
        and entry.method in WRITES
        and entry.assigned
        and not links.conditional(entry.index)
    )


class _Run:
    """The entries on their way through the pipeline, in the specification's order."""

    def __init__(self, ctx: Context, repository: Repository, links: Links, found: Matches) -> None:
        self._ctx = ctx
        self._repository = repository
        self._links = links
        self._found = found
        self._answers: dict[int, FhirResponse] = {}

    async def answers(self, unconditional: Sequence[Entry]) -> list[FhirResponse]:
        """Return the answers in the order of the bundle."""
        ordered = sorted(unconditional, key=lambda entry: (ORDER[entry.method], entry.index))
        reads = [entry for entry in ordered if entry.method in READS]
        referring = [entry for entry in ordered if self._links.conditional(entry.index)]
        waiting = {entry.index for entry in (*reads, *referring)}
        for entry in ordered:
            if entry.index not in waiting:
                await self._ask(entry)
        if referring:
            await self._ask_referring(referring)
        if reads:
            await self._repository.flush()
        for entry in reads:
            await self._ask(entry)
        return [self._answers[entry.index] for entry in unconditional]

    async def _ask_referring(self, referring: list[Entry]) -> None:
        """Send the entries with conditional references, each when there is what its references find.

        The specification resolves these references last, so they may find what the bundle itself writes; and what a later
        entry writes must not make a reference ambiguous that was not before.
        """
        links, found = self._links, dict[str, str]()
        late = {entry.resource_type for entry in referring}
        while referring:
            await self._repository.send()
            asked = {text for entry in referring for text in links.conditional(entry.index)}
            for text in sorted(asked - found.keys()):
                if target := await self._target(text):
                    found[text] = target
            ready = [entry for entry in referring if links.conditional(entry.index) <= found.keys()]
            if not ready:
                raise self._unfound(min(asked - found.keys()))
            for entry in ready:
                links.refer(entry.index, found)
                await self._ask(entry)
            referring = [entry for entry in referring if entry not in ready]
        again = [text for text in sorted(found) if text.partition("?")[0] in late]
        if again:
            await self._repository.send()
        for text in again:
            if await self._target(text) != found[text]:
                raise self._unfound(text)

    async def _target(self, text: str) -> str:
        """Return `Type/id` of what a conditional reference finds now, empty where that is nothing."""
        resource_type, _, query = text.partition("?")
        place = self._links.place(text)
        if resource_type not in self._ctx.definitions.resource_types:
            raise BadRequest(f"'{resource_type[:60]}' is not a resource type of FHIR R4.", expression=place)
        try:
            criteria = conditional.parse(resource_type, query, f"The conditional reference to a {resource_type}")
            found = await self._repository.matches(criteria.resource_type, criteria.pairs, most=2)
        except FhirError as error:
            issues = [replace(issue, expression=place) for issue in error.issues]
            raise type(error)(str(error), issues=issues, headers=error.headers) from None
        if len(found) > 1:
            raise PreconditionFailed(
                f"The conditional reference to a {resource_type} matches more than one resource; it must match exactly one. "
                "Use criteria that match one, such as a business identifier, or refer to it by id.",
                expression=place,
            )
        return f"{resource_type}/{found[0].id}" if found else ""

    def _unfound(self, text: str) -> PreconditionFailed:
        return PreconditionFailed(
            f"The conditional reference to a {text.partition('?')[0]} matches no resource; it must match exactly one. Create "
            "the target first, put it into the bundle, or refer to it by id.",
            expression=self._links.place(text),
        )

    async def _ask(self, entry: Entry) -> None:
        if resolution.settled(entry, self._found):
            stored = self._found[entry.index]
            asked = msgspec.structs.replace(self._ctx, request=entry.request)
            found = representation.found(asked, stored) if stored else representation.deleted(asked, None)
            self._answers[entry.index] = found
            return
        request = entry.request
        if entry.method == "PUT" and self._found.get(entry.index) and request.resource is not None:
            request = msgspec.structs.replace(request, resource={**request.resource, "id": entry.assigned})
        self._answers[entry.index] = await entries.ask(self._ctx, replace(entry, request=request), self._repository)
