"""Which search parameters this process works by, and how it comes to work by others: as a whole, between two requests.

A request keeps the repository that it began with, so that what it has parsed is what it runs. Writes are different: their
entries are those of the newest edition that this process knows at the moment they are sent (`Intake.renewed`).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

from fhir_server.intake import Intake
from fhir_server.model.errors import NotYet
from fhir_server.model.queue import LIVE
from fhir_server.model.request import FhirRequest, Pairs
from fhir_server.repository.door import Repository
from fhir_server.search import edition as editions
from fhir_server.search.backfill import KIND
from fhir_server.search.edition import Added

STATEMENT = ("metadata",)
FORM = "_search"
HAS = "_has:"


class Editions:
    """The edition of now.

    Args:
        repository: With FHIR's own definitions, as every edition extends it.

    Attributes:
        current: The newest edition that this process knows.
        repository: The repository that works by it.
        intake: Makes index entries by it.
    """

    def __init__(self, repository: Repository) -> None:
        self.current = editions.first(repository.definitions)
        self.repository = repository
        self.intake: Intake = repository.intake
        self._store = repository.store
        self._turn = asyncio.Lock()

    async def refresh(self) -> bool:
        """Work by the newest edition that there is; return whether it is another than before.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if await self._store.parameters.version() == self.current.version:
            return False
        async with self._turn:
            register = await self._store.parameters.read()
            if register.version <= self.current.version:
                return False
            following = editions.following(self.current, register.version, register.rows)
            pages = replace(self.repository.pages, definitions=following.searchable)
            self.intake.adopt(following.extracted)
            self.repository = replace(self.repository, definitions=following.searchable, pages=pages)
            self.current = following
        return True

    async def renew(self) -> int:
        """Do the same; return the version."""
        await self.refresh()
        return self.current.version

    def matter_to(self, request: FhirRequest) -> bool:
        """Return whether a request may depend on search parameters that were added, so that only the newest edition will do.

        The capability statement lists all, bundles may refer by any. A search by a parameter that this process does not know
        fails; then it is time to `refresh`.
        """
        codes = self.current.codes
        if request.path == STATEMENT:
            return True
        return bool(codes) and (not request.path or not codes.isdisjoint(_words(request)))

    async def refuse_unready(self, request: FhirRequest, resource_type: str | None = None) -> None:
        """Refuse a request that searches by an added parameter which is not complete yet.

        Args:
            request: The request.
            resource_type: The type that it searches, empty for several: what its parameters name is looked up, in chains,
                includes and sort keys too. `None` after a search was refused for its parameters: then every word of it may be
                what was meant.

        Raises:
            NotYet: It does.
        """
        building = self.current.building
        if not building:
            return
        if resource_type is None:
            named = _words(request)
            found = (one for one in building if one.parameter.code in named)
        else:
            asked = {each for name, value in _pairs(request) for each in _asked(name, value, resource_type)}
            found = (
                one
                for one in building
                if any(code == one.parameter.code and kind in {"", *one.parameter.base} for code, kind in asked)
            )
        added = next(found, None)
        if added is not None:
            raise await self._not_yet(added)

    async def _not_yet(self, added: Added) -> NotYet:
        """Return the refusal of a search by a parameter that is building, with how far it is."""
        job = await self._store.jobs.get(added.job)
        name = f"The search parameter '{added.parameter.code}' of SearchParameter/{added.id}"
        if job is None or not job.is_live:  # another one may be doing its work by now
            job = next(iter(await self._store.jobs.jobs(KIND, LIVE, 1)), job)
        if job is None or not job.is_live:
            why = f": {job.error}" if job and job.error else ""
            return NotYet(
                f"{name} is not complete: indexing what was stored before ended{why or ' early'}. Start it again with POST "
                "$reindex."
            )
        done, total = job.progress.get("done", 0), job.progress.get("total")
        how_far = f"{done} of about {total} resources are indexed" if total is not None else "it is about to begin"
        return NotYet(
            f"{name} cannot be searched by yet: what was stored before is being indexed, {how_far}. See "
            f"$reindex-status?job={job.id}, and try again later."
        )


def _pairs(request: FhirRequest) -> Pairs:
    """Return the parameters of a request in its URL, its search form, or its condition."""
    texts = [request.headers.get("if-none-exist", "")]
    if request.path[-1:] == (FORM,):
        texts.append(request.body.decode(errors="replace"))
    more = [pair for text in texts if text for pair in parse_qsl(text.partition("?")[2] or text)]
    return (*request.query, *more)


def _asked(name: str, value: str, resource_type: str) -> Iterator[tuple[str, str]]:
    """Yield the parameters that one of a search names, each with the type that it is of, empty for any."""
    if name == "_sort":
        yield from ((key.lstrip("-"), resource_type) for key in value.split(","))
    elif name.partition(":")[0] in {"_include", "_revinclude"}:
        source, _, rest = value.partition(":")
        yield rest.partition(":")[0], source
    elif name.startswith(HAS):
        source, _, rest = name.removeprefix(HAS).partition(":")
        reference, _, code = rest.partition(":")
        yield reference, source
        yield from _asked(code, value, source)
    else:
        head, _, rest = name.partition(".")
        code, _, target = head.partition(":")
        yield code, resource_type
        if rest:
            yield from _asked(rest, value, target)


def _words(request: FhirRequest) -> frozenset[str]:
    return editions.words(_pairs(request))
