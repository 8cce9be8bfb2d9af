"""ValueSet/$expand: the concepts of a value set (R4 ValueSet-expand, with the parameters that R5 and the tools of HL7 add)."""

from collections.abc import Iterator
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, coded, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology import issue, versions
from terminology.catalogue import Catalogue
from terminology.issue import TxError
from terminology.languages import Wanted
from terminology.valueset.expand import Asked, expand
from terminology.versions import PARAMETERS, ConflictingVersions, UnreadableVersion, VersionRules

Json = dict[str, Any]

THRESHOLD = "x-too-costly-threshold"
"""Header by which a client lowers the most concepts of one answer."""

ECHOED = {
    "activeOnly": "valueBoolean",
    "count": "valueInteger",
    "designation": "valueString",
    "exclude-system": "valueUri",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "excludePostCoordinated": "valueBoolean",
    "filter": "valueString",
    "includeDefinition": "valueBoolean",
    "includeDesignations": "valueBoolean",
    "offset": "valueInteger",
}
"""Parameters that the expansion repeats, with the kind of their value."""

REFUSED = {
    "context": "Value sets are not found by the element that they are bound to. Give 'url' or 'valueSet'.",
    "contextDirection": "It says something of 'context', which is not understood. Leave it out.",
    "date": "What a code system was on a day is not known. Name its version with 'system-version'.",
}
"""Parameters of R4 that would change the answer, and that are not understood."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
    code="expand",
    resource=("ValueSet",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("url", "in", 0, 1, "uri"),
        OperationParameter("valueSet", "in", 0, 1, "ValueSet"),
        OperationParameter("valueSetVersion", "in", 0, 1, "string"),
        OperationParameter("context", "in", 0, 1, "uri"),
        OperationParameter("contextDirection", "in", 0, 1, "code"),
        OperationParameter("filter", "in", 0, 1, "string"),
        OperationParameter("date", "in", 0, 1, "dateTime"),
        OperationParameter("offset", "in", 0, 1, "integer"),
        OperationParameter("count", "in", 0, 1, "integer"),
        OperationParameter("includeDesignations", "in", 0, 1, "boolean"),
        OperationParameter("designation", "in", 0, None, "string"),
        OperationParameter("includeDefinition", "in", 0, 1, "boolean"),
        OperationParameter("activeOnly", "in", 0, 1, "boolean"),
        OperationParameter("excludeNested", "in", 0, 1, "boolean"),
        OperationParameter("excludeNotForUI", "in", 0, 1, "boolean"),
        OperationParameter("excludePostCoordinated", "in", 0, 1, "boolean"),
        OperationParameter("exclude-system", "in", 0, None, "canonical"),
        OperationParameter("property", "in", 0, None, "string"),
        *coded.COMMON,
        OperationParameter("_limit", "in", 0, 1, "integer"),
        *(OperationParameter(name, "in", 0, 1, "string") for name in ("uuid", "cache-id", "profile-url")),
        OperationParameter("return", "out", 1, 1, "ValueSet"),
    ),
)
"""`uuid`, `cache-id` and `profile-url` change nothing: they are of tools that keep resources at a server between requests."""


async def expanded(ctx: Context) -> FhirResponse:
    """Return 200 with the ValueSet and its expansion.

    Raises:
        BadRequest: It is not said which value set, or with a parameter that is not understood.
        NotFound: There is no such instance, or none that the caller may see.
    """
    values = parameters.read(ctx, DEFINITION)
    for name, reason in REFUSED.items():
        if values[name]:
            raise BadRequest(f"The parameter '{name}' is not understood here. {reason}", expression=f"http.{name}")
    given = values["valueSet"][0] if values["valueSet"] else await coded.instance(ctx)
    catalogue = await coded.catalogue(ctx, values, *([given] if given else []))
    try:
        asked = _asked(ctx, values)
        answer = await expand(given or await _found(catalogue, asked, *_wanted(values)), catalogue, asked)
    except TxError as error:
        return coded.refused(error)
    return FhirResponse(200, {}, json.encode(answer))


async def _found(catalogue: Catalogue, asked: Asked, url: str, version: str) -> Json:
    """Return the value set of a canonical.

    Raises:
        TxError: There is none.
    """
    try:
        wanted = asked.rules.wanted(url, version).version
    except ConflictingVersions as error:
        raise BadRequest(str(error), expression=f"http.{error.one.parameter}") from None
    resource = await versions.value_set(catalogue, url, wanted)
    if resource is None:
        raise TxError(issue.UNKNOWN_VALUE_SET.issue(value_set=f"{url}|{wanted}" if wanted else url))
    return resource


def _wanted(values: coded.Asked) -> tuple[str, str]:
    """Return URL and version of the value set that is meant."""
    if not values["url"]:
        raise BadRequest(
            "Say which value set is meant: 'url' (and 'valueSetVersion'), 'valueSet', or the instance in the URL.",
            expression="http.url",
        )
    url, version = versions.split(values["url"][0])
    return url, version or "".join(values["valueSetVersion"])


def _asked(ctx: Context, values: coded.Asked) -> Asked:
    limit = ctx.settings.terminology.max_expansion
    if values["_limit"]:
        limit = min(limit, max(values["_limit"][0], 0))
    threshold = ctx.header(THRESHOLD)
    if threshold.isdecimal() and threshold.isascii() and len(threshold) < 10:
        limit = min(limit, int(threshold))
    try:
        rules = VersionRules.read({name: values[name] for name in PARAMETERS})
    except UnreadableVersion as error:
        raise BadRequest(str(error), expression="http") from None
    return Asked(
        text="".join(values["filter"]),
        offset=_size(values, "offset"),
        count=_size(values, "count"),
        active=values["activeOnly"] == (True,),
        selectable=values["excludeNotForUI"] == (True,),
        flat=values["excludeNested"] == (True,),
        designations=values["includeDesignations"] == (True,),
        tokens=values["designation"],
        definition=values["includeDefinition"] == (True,),
        properties=values["property"],
        languages=Wanted.read("".join(values["displayLanguage"]) or ctx.header("accept-language")),
        rules=rules,
        supplements=values["useSupplement"],
        excluded=values["exclude-system"],
        limit=limit,
        echoed=tuple(_echoed(values)),
    )


def _size(values: coded.Asked, name: str) -> int | None:
    found = values[name]
    if not found:
        return None
    size: int = found[0]
    if size < 0:
        raise BadRequest(f"'{name}' is {size}; it is 0 or more.", expression=f"http.{name}")
    return size


def _echoed(values: coded.Asked) -> Iterator[tuple[str, str, Any]]:
    for name, key in ECHOED.items():
        for value in values[name]:
            yield name, key, value


OPERATION = Operation(
    DEFINITION,
    expanded,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="The concepts of a value set",
    success=((200, "The ValueSet with its expansion."),),
)
