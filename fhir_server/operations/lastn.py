"""Observation/$lastn: the last observations of each kind (R4 Observation-lastn)."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters
from fhir_server.repository.latest import found, shown
from fhir_server.search.parse import parse
from fhir_server.search.results import RESULTS
from profiles.definitions.model import OperationDefinition, OperationParameter

TYPE = "Observation"
WHOSE = frozenset({"patient", "subject"})
WRONG = ("status:not", "entered-in-error")
MOST = 1000

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    code="lastn",
    resource=(TYPE,),
    system=False,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("max", "in", 0, 1, "positiveInt"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def lastn(ctx: Context) -> FhirResponse:
    """Return 200 with the last observations of each kind and patient, the kind that was seen last first.

    Raises:
        BadRequest: It is not said whose, or with a parameter that is no criterion.
        Forbidden: Observations may not be searched.
        TooCostly: There are too many to look through.
    """
    pairs = parameters.pairs(ctx, DEFINITION)
    most = _most([value for name, value in pairs if name == "max"])
    criteria = tuple((name, value) for name, value in pairs if name != "max")
    _refuse(criteria)
    meant = criteria if any(name.partition(":")[0] == "status" for name, _ in criteria) else (*criteria, WRONG)
    reading = ctx.repository.pages.reading
    request = parse(TYPE, meant, ctx.definitions, ctx.settings.search, strict=True, reading=reading)
    rows = await found(ctx.repository, request)
    kept = _last(rows, most)
    if len(kept) > MOST:
        raise BadRequest(
            f"That are {len(kept)} observations; {MOST} are given at once. Ask for one category or for some codes.",
            expression="http.max",
        )
    hits = await shown(ctx.repository, TYPE, kept)
    entries = answer.search_entries(ctx.base, hits, answer.MATCH)
    url = f"{ctx.base}/{TYPE}/$lastn?{urlencode(pairs)}"
    return FhirResponse(200, {}, answer.resource_bundle("searchset", [("self", url)], entries, total=len(hits)))


def _most(values: list[str]) -> int:
    """Return how many of each kind."""
    if not values:
        return 1
    (text, *others) = values
    if others or not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise BadRequest("'max' is given once, as a whole number from 1.", expression="http.max")
    return int(text[:9])


def _refuse(criteria: Iterable[tuple[str, str]]) -> None:
    names = [name.partition(":")[0].partition(".")[0] for name, value in criteria if value]
    for name in names:
        if name in RESULTS:
            raise BadRequest(
                f"'{name[:60]}' does not apply to $lastn, which takes max and what Observations can be searched by.",
                expression=f"http.{name[:60]}",
            )
    if WHOSE.isdisjoint(names):
        raise BadRequest("Say whose observations are meant, with patient or subject.", expression="http.patient")


def _last(rows: Iterable[Mapping[str, Any]], most: int) -> list[str]:
    """Return the ids of the last of each kind, kind by kind.

    Args:
        rows: The latest first; with patient, codes and text.
        most: How many of each kind.
    """
    all_rows = list(rows)
    kinds = Kinds()
    for row in all_rows:
        kinds.join([*_codes(row)])
    groups: dict[tuple[Any, Hashable], list[str]] = {}
    for row in all_rows:
        codes = [*_codes(row)]
        group = groups.setdefault((row.get("p"), kinds.of(codes[0]) if codes else None), [])
        if len(group) < most:
            group.append(row["_id"])
    return [one for group in groups.values() for one in group]


def _codes(row: Mapping[str, Any]) -> Iterator[Hashable]:
    """Yield what an observation is of: each of its codings, else its text."""
    codes = row.get("s", {}).get("code") or ()
    yield from [codes] if isinstance(codes, str) else codes
    text = row.get("r", {}).get("code", {}).get("text")
    if not codes and text:
        yield ("text", text)


class Kinds:
    """Which codes are the same kind: those that some observation has together, and what is the same as one of these."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def join(self, codes: list[Hashable]) -> None:
        """Make all of these one kind."""
        for code in codes[1:]:
            self._above[self.of(code)] = self.of(codes[0])

    def of(self, code: Hashable) -> Hashable:
        """Return what stands for the kind of a code."""
        path = []
        while (above := self._above.get(code, code)) != code:
            path.append(code)
            code = above
        for each in path:
            self._above[each] = code
        return code


OPERATION = Operation(
    DEFINITION,
    lastn,
    letters=("s", "s"),
    methods=("GET", "POST"),
    summary="The last observations of each kind",
    success=((200, "A searchset, kind by kind, the latest first."),),
)
