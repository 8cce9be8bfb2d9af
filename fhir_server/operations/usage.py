"""CodeSystem/$usage: where a code is used in the record, as counts by type and by facility (docs/terminology-usage.md)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, TooCostly
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.usage import ORGANIZATION, Codes, Used, used
from fhir_server.search.codes import MOST_CODES
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology import versions
from terminology.concept import NOT_ENUMERATED

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

Json = dict[str, Any]

DEFINITION = OperationDefinition(
    url=f"{OWN}usage",
    code="usage",
    resource=("CodeSystem",),
    system=False,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("code", "in", 0, 1, "code"),
        OperationParameter("coding", "in", 0, 1, "Coding"),
        OperationParameter("below", "in", 0, 1, "boolean"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("thorough", "in", 0, 1, "boolean"),
        OperationParameter("type", "in", 0, None, "code"),
        OperationParameter("codes", "out", 1, 1, "unsignedInt"),
        OperationParameter(
            "searched",
            "out",
            0,
            None,
            "",
            (
                OperationParameter("type", "out", 1, 1, "code"),
                OperationParameter("basis", "out", 1, 1, "code"),
                OperationParameter("parameter", "out", 0, None, "code"),
                OperationParameter("passed", "out", 0, None, "code"),
            ),
        ),
        OperationParameter(
            "use",
            "out",
            0,
            None,
            "",
            (
                OperationParameter("type", "out", 1, 1, "code"),
                OperationParameter("facility", "out", 0, 1, "Reference"),
                OperationParameter("count", "out", 1, 1, "unsignedInt"),
            ),
        ),
    ),
)


async def usage(ctx: Context) -> FhirResponse:
    """Return 200 with the counts.

    Raises:
        BadRequest: It is not said which code, what is below it is not known, or a type is none.
        Forbidden: The caller may be told of none of the types.
        TooCostly: Too much is below the code, or the time limit was reached.
    """
    asked = parameters.read(ctx, DEFINITION)
    system, code = _concept(asked)
    for name in asked["type"]:
        if name not in ctx.definitions.resource_types:
            raise BadRequest(f"'{name[:60]}' is not a resource type of FHIR R4.", expression="http.type")
    version = next(iter(asked["version"]), "")
    codes = await _below(ctx, system, code, version) if asked["below"] == (True,) else frozenset({(system, code)})
    found = await used(ctx.repository, codes, asked["type"], thorough=asked["thorough"] == (True,))
    shown = await _shown(ctx, {keeper for row in found for keeper in row.counts if keeper})
    rows = [
        {"name": "system", "valueUri": system},
        {"name": "code", "valueCode": code},
        {"name": "codes", "valueUnsignedInt": len(codes)},
        *(_searched(row) for row in found),
        *(one for row in found for one in _uses(row, shown)),
    ]
    return FhirResponse(200, {}, json.encode({"resourceType": "Parameters", "parameter": rows}))


def _concept(asked: parameters.Values) -> tuple[str, str]:
    """Return the system and the code that are asked about."""
    coding = asked["coding"][0] if asked["coding"] else {}
    given = {"system": asked["system"], "code": asked["code"]}
    found = {name: values[0] if values else coding.get(name, "") for name, values in given.items()}
    if not all(isinstance(one, str) and one for one in found.values()) or (coding and any(given.values())):
        raise BadRequest(
            "Say which code is looked for: 'system' and 'code', or 'coding' with both.", expression="http.code"
        )
    return found["system"], found["code"]


async def _below(ctx: Context, system: str, code: str, version: str) -> Codes:
    """Return a concept with all that stands below it, by the newest version that is at hand or the one that is named.

    Raises:
        BadRequest: The code system, its version or the code is not known.
        TooCostly: There are too many.
    """
    found = await versions.code_system(await ctx.vocabulary.catalogue(ctx.repository), system, version)
    named = f"{system[:200]}|{version[:60]}" if version else system[:200]
    if found is None:
        raise BadRequest(
            f"The code system '{named}' is not known here, so what is below its codes is not known either. Load it, or leave "
            "'below' out to count the code alone.",
            expression="http.system",
        )
    concept = await found.find(code)
    if concept is None:
        raise BadRequest(
            f"The code system '{found.head.canonical}' has no code '{code[:60]}', so nothing is below it. Leave 'below' out "
            "to count the code alone.",
            expression="http.code",
        )
    if concept.ordinal == NOT_ENUMERATED:
        return frozenset({(system, code)})
    ordinals = await found.descendants(concept.ordinal)
    if len(ordinals) >= MOST_CODES:
        raise TooCostly(
            f"{len(ordinals):,} codes are below '{code[:60]}'; at most {MOST_CODES:,} are counted together. Choose a code further "
            "down.",
            expression="http.code",
        )
    return frozenset((system, one) for one in (code, concept.code, *await found.codes([*ordinals])))


async def _shown(ctx: Context, keepers: Iterable[str]) -> dict[str, str]:
    """Return the facilities that the caller may read, by id, with their names."""
    shown = await ctx.repository.rights.within([(ORGANIZATION, one) for one in sorted(keepers)], "r")
    tree = await ctx.repository.house.now()
    return {name: one.name if (one := tree.get(name)) else "" for _, name in shown}


def _searched(row: Used) -> Json:
    return {
        "name": "searched",
        "part": [
            {"name": "type", "valueCode": row.resource_type},
            {"name": "basis", "valueCode": row.basis},
            *({"name": "parameter", "valueCode": one} for one in row.parameters),
            *({"name": "passed", "valueCode": one} for one in row.passed),
        ],
    }


def _uses(row: Used, shown: Mapping[str, str]) -> Iterator[Json]:
    """Yield a count for each facility, and one for all those together that the caller may not read."""
    others = [count for keeper, count in row.counts.items() if keeper not in shown]
    for keeper in sorted(shown.keys() & row.counts.keys()):
        display = {"display": shown[keeper]} if shown[keeper] else {}
        facility = {"reference": f"{ORGANIZATION}/{keeper}", **display}
        yield _use(row, [{"name": "facility", "valueReference": facility}], row.counts[keeper])
    if others:
        told = [count for count in others if count is not None]
        yield _use(row, [], sum(told) if len(told) == len(others) else None)


def _use(row: Used, facility: list[Json], count: int | None) -> Json:
    masked = {"_valueUnsignedInt": {"extension": [{"url": ABSENT, "valueCode": "masked"}]}}
    told = {"name": "count", **(masked if count is None else {"valueUnsignedInt": count})}
    return {"name": "use", "part": [{"name": "type", "valueCode": row.resource_type}, *facility, told]}


OPERATION = Operation(
    DEFINITION,
    usage,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Where a code is used in the record, by type and facility",
    success=((200, "Parameters with counts; small ones of what the caller may not read are masked."),),
)
