"""Conditions of conditional interactions: a search that must find at most one (R4 3.1.0.8.1, 3.1.0.4.3, 3.1.0.7.1)."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from fhir_server.context import Context
from fhir_server.model import ids
from fhir_server.model.errors import BadRequest, Conflict, MultipleMatches
from fhir_server.model.request import PRESENTATION, Pairs
from fhir_server.model.stored import Stored
from fhir_server.repository import Repository

RESULT_PARAMETERS = frozenset(
    {
        "_sort",
        "_count",
        "_include",
        "_revinclude",
        "_summary",
        "_elements",
        "_explain",
        "_total",
        "_contained",
        "_containedType",
        "_score",
    }
)


@dataclass(frozen=True, slots=True)
class Criteria:
    """A condition: resource type and search parameters."""

    resource_type: str
    pairs: Pairs

    @property
    def lock(self) -> str:
        """Name of the lock that makes this condition exclusive."""
        return f"{self.resource_type}?{urlencode(sorted(self.pairs))}"


def parse(resource_type: str, query: str, where: str) -> Criteria:
    """Return the criteria of a query string.

    Args:
        resource_type: Type that is searched.
        query: `identifier=http://x|1&…`, with or without a leading `?` or `Type?`.
        where: Name of the place for messages, such as `If-None-Exist`.

    Raises:
        BadRequest: There is no criterion, or a parameter that does not select.
    """
    text = query.removeprefix(resource_type).removeprefix("?")
    return checked(resource_type, selecting(tuple(parse_qsl(text, keep_blank_values=True))), where)


def checked(resource_type: str, pairs: Pairs, where: str) -> Criteria:
    """Return the criteria, refusing an empty condition and parameters that shape results."""
    if not any(value for _, value in pairs):
        raise BadRequest(
            f"{where} has no search parameter with a value. A condition needs at least one, such as identifier=system|value."
        )
    for name, _ in pairs:
        if name.split(":")[0] in RESULT_PARAMETERS:
            raise BadRequest(f"{where} contains '{name[:60]}', which does not select resources. Leave it out.")
    return Criteria(resource_type, pairs)


def criteria(ctx: Context, query: str, where: str) -> Criteria:
    """Return the criteria that a header of this request states."""
    return parse(ctx.resource_type, query, where)


def criteria_of_url(ctx: Context) -> Criteria:
    """Return the criteria in the URL of a conditional update, patch or delete."""
    return checked(ctx.resource_type, selecting(ctx.request.query), f"{ctx.request.method} {ctx.resource_type}")


def selecting(pairs: Pairs) -> Pairs:
    """Return the parameters without those that say how the answer is written."""
    return tuple(pair for pair in pairs if pair[0] not in PRESENTATION)


async def match(repository: Repository, criteria: Criteria, ignoring: Collection[str] = frozenset()) -> Stored | None:
    """Return the one resource that fulfils the condition, or `None`.

    Args:
        repository: Where it is looked for.
        criteria: The condition.
        ignoring: Ids that do not count.

    Raises:
        MultipleMatches: More than one does.
        InvalidParameter: The condition is not a valid search.
    """
    matching = await repository.matches(criteria.resource_type, criteria.pairs, most=2 + len(ignoring))
    found = [stored for stored in matching if stored.id not in ignoring]
    if len(found) > 1:
        raise MultipleMatches(
            f"The condition {criteria.resource_type}?{'&'.join(name for name, _ in criteria.pairs)} matches more than one "
            "resource. Use criteria that match one, such as a business identifier."
        )
    return found[0] if found else None


async def refuse_taken(repository: Repository, resource_type: str, resource_id: object) -> None:
    """Refuse to create, by a conditional update, under an id that another instance has.

    Raises:
        BadRequest: It is not a logical id.
        Conflict: There is such an instance, and it does not fulfil the condition.
    """
    if not isinstance(resource_id, str) or not ids.valid(resource_id):
        raise BadRequest(f"The id in the body is not valid: {ids.RULE}.", expression=f"{resource_type}.id")
    if not (await repository.upcoming(resource_type, resource_id)).creates:
        raise Conflict(
            f"Nothing fulfils the condition, so this update would create {resource_type}/{resource_id}; but that is there "
            "already. Send the resource without id, or update that instance by its id.",
            expression=f"{resource_type}.id",
        )
