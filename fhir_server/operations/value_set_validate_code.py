"""ValueSet/$validate-code: whether a code is in a value set (R4 ValueSet-validate-code, with what R5 and its validators add)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.operations import coded
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.catalogue import Catalogue
from terminology.valueset.systems import Systems
from terminology.valueset.validate import Answer, Validation

Json = dict[str, Any]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
    code="validate-code",
    resource=("ValueSet",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("url", "in", 0, 1, "uri"),
        OperationParameter("valueSet", "in", 0, 1, "ValueSet"),
        OperationParameter("valueSetVersion", "in", 0, 1, "string"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("systemVersion", "in", 0, 1, "string"),
        *coded.CODED,
        *coded.ANSWERED,
    ),
)


async def validated(ctx: Context, asked: coded.Asked, shared: Catalogue | None = None) -> Answer:
    """Return whether a code is in a value set.

    Args:
        ctx: The interaction.
        asked: Its parameters.
        shared: What a request may use, where it has been gathered for several codes.

    Raises:
        BadRequest: It is not said which code and which value set.
        TxError: The value set is not here, or not as it should be.
    """
    given, concept = coded.codes(
        asked, system=coded.first(asked, "system"), version=coded.first(asked, "systemVersion")
    )
    options = coded.options(ctx, asked)
    if asked["code"] and not asked["system"] and not options.infer:
        raise BadRequest(
            "A code means nothing without its code system. Give 'system', or 'inferSystem' true to find it out from the value set.",
            expression="http.system",
        )
    resource = asked["valueSet"][0] if asked["valueSet"] else await coded.instance(ctx)
    more = [resource] if resource else []
    catalogue = shared if shared and not more else await coded.catalogue(ctx, asked, *more)
    if resource is None:
        url = coded.first(asked, "url")
        if not url:
            raise BadRequest(
                "Say which value set is meant: 'url' (and 'valueSetVersion'), 'valueSet', or the instance in the URL.",
                expression="http.url",
            )
        version = coded.first(asked, "valueSetVersion")
        name = f"{url}|{version}" if version and "|" not in url else url
        resource = (await Systems(catalogue, options).value_set(name)).resource
    return await Validation(catalogue, options).in_value_set(resource, given, concept)


OPERATION = coded.checking(DEFINITION, validated, "value set")
