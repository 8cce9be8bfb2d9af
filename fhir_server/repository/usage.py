"""Where codes are used: counts of the resources that hold them, by type and by the facility that keeps them.

What a caller may search is counted exactly: the same number is the total of a search. Who speaks for facilities without reading
their records (administrators) is told of them as the reports of an Organization tell: small counts are masked, and what a
label restricts or a hold keeps from its patient is not counted (docs/terminology-usage.md).
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fhir_server.facilities.rollup import SMALL
from fhir_server.model.errors import Forbidden, TooCostly
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.repository.door import Repository
from fhir_server.repository.reports import has_scope
from fhir_server.repository.sides import DUTY
from fhir_server.search import compile as compiler
from fhir_server.search.expression import any_of
from fhir_server.search.layout import SELECTIVE, indexes, leads
from fhir_server.search.params import Param, params
from fhir_server.search.types import token
from profiles.definitions.registry import Definitions

ORGANIZATION = "Organization"
TRAIL = "AuditEvent"
HANDLING = frozenset({"_tag", "_security"})
"""Parameters of what a resource is handled by, not of what it says."""

UNRESTRICTED = Where("clause", {"sl": None, "held": None, "adv": None})

Basis = Literal["search", "report"]
"""Whether the counts are those of the caller's own searches, or those of a report on facilities that the caller speaks for."""

Codes = Collection[tuple[str, str]]
"""(system, code) pairs."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was found of one type.

    Attributes:
        resource_type: The type.
        parameters: Search parameters that were asked.
        passed: Those that no index leads to, which were not asked.
        basis: What the counts are.
        counts: By id of the facility, empty where nobody keeps it; `None` for a count that is masked.
    """

    resource_type: str
    parameters: tuple[str, ...]
    passed: tuple[str, ...]
    basis: Basis
    counts: Mapping[str, int | None]


async def used(repository: Repository, codes: Codes, types: Collection[str], *, thorough: bool = False) -> list[Used]:
    """Return where codes are used, of each type that the caller may be told of: those in which some are found or might be.

    Args:
        repository: As the caller reaches it.
        codes: What is looked for; a resource that holds several of them counts once.
        types: Resource types, none for all.
        thorough: Whether elements that no index leads to are looked at as well, which reads every resource of their types.

    Raises:
        Forbidden: The caller is a patient, or may be told of none of the types.
        TooCostly: The time limit was reached.
    """
    who = repository.scope.principal
    if who.audience == "patient":
        raise Forbidden("Where codes are used is told to staff, administrators and systems, not to patients.")
    limit = repository.pages.limits.time_limit_ms
    until = time.monotonic() + limit / 1000
    stored = frozenset(await repository.types())
    # Whether anything was ever stored of a type is not told, unless something of it is counted.
    asked = sorted((frozenset(types) or stored | SELECTIVE.keys()) - {TRAIL})
    reach = {name: found for name in asked if (found := await _reach(repository, name))[1] != NOTHING}
    if types and not reach:
        repository.rights.require(sorted(types), "s")
    rows = []
    for name, (basis, access) in reach.items():
        held, passed = _places(name, repository.definitions, thorough=thorough)
        left = int((until - time.monotonic()) * 1000)
        if left <= 0:
            raise TooCostly(
                f"Counting took longer than {limit / 1000:g} seconds. Name a narrower code, or the types that matter.",
                expression="http.type",
            )
        counts = await _counts(repository, name, held, codes, access, left) if name in stored else {}
        if counts or passed or types:
            rows.append(Used(name, _codes(held), _codes(passed), basis, _told(counts, basis)))
    return rows


async def _reach(repository: Repository, resource_type: str) -> tuple[Basis, Where]:
    """Return by what right a caller is told of a type, and of which of its resources."""
    searched = repository.scope.where(resource_type, "s")
    if searched != NOTHING:
        return "search", searched
    return "report", await _spoken_for(repository) & UNRESTRICTED


async def _spoken_for(repository: Repository) -> Where:
    """Return the filter for what is kept by those whom the caller speaks for (`sides.speaks_for`)."""
    scope = repository.scope
    if not has_scope(repository):
        return NOTHING
    match scope.principal.audience:
        case "server" | "administrator":
            return ANYTHING
        case "staff" if scope.has_duty(DUTY):
            tree = await repository.house.now()
            place = scope.facility or tree.root
            return ANYTHING if place == tree.root else Where("clause", {"f": {"$in": sorted(tree.below(place))}})
        case _:
            return NOTHING


def _places(resource_type: str, definitions: Definitions, *, thorough: bool) -> tuple[list[Param], list[Param]]:
    """Return the parameters of a type that hold codes: those that are asked, and those that are not."""
    coded = [
        one
        for one in params(resource_type, definitions).values()
        if one.type == "token" and one.stored and one.value_types & token.CODED and one.code not in HANDLING
    ]
    held = [one for one in coded if thorough or leads(one, definitions)]
    return held, [one for one in coded if one not in held]


async def _counts(  # noqa: PLR0917 - what is counted, of what, for whom, and for how long
    repository: Repository, resource_type: str, held: Sequence[Param], codes: Codes, access: Where, left: int
) -> Mapping[str, int]:
    definitions, reading = repository.definitions, repository.pages.reading
    wanted = any_of(token.listed(one, codes, reading) for one in held)
    where = compiler.compile(wanted, resource_type, definitions)
    names = {spec.name for spec in indexes(resource_type, definitions)}
    led = [name for name in ("code_date", "code_updated") if name in names]
    hint = led[0] if led and _codes(held) == _primary(held) else None
    return await repository.store.counting.holding(resource_type, where, access, hint, left)


def _primary(held: Iterable[Param]) -> tuple[str, ...]:
    return _codes(one for one in held if one.primary_code)


def _codes(held: Iterable[Param]) -> tuple[str, ...]:
    return tuple(sorted(one.code for one in held))


def _told(counts: Mapping[str, int], basis: Basis) -> Mapping[str, int | None]:
    """Return what may be told of the counts."""
    return {keeper: None if basis == "report" and count < SMALL else count for keeper, count in counts.items()}
