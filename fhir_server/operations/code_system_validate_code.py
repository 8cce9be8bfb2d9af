"""CodeSystem/$validate-code: whether a code is in a code system (R4 CodeSystem-validate-code, with what R5 and its validators add)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.operations import coded
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology import issue, versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.issue import TxError
from terminology.valueset.member import Code, Trail
from terminology.valueset.systems import Options, Systems, at
from terminology.valueset.validate import ABSOLUTE, Answer, Validation

Json = dict[str, Any]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
    code="validate-code",
    resource=("CodeSystem",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("url", "in", 0, 1, "uri"),
        OperationParameter("codeSystem", "in", 0, 1, "CodeSystem"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("systemVersion", "in", 0, 1, "string"),
        *coded.CODED,
        *coded.ANSWERED,
    ),
)


async def validated(ctx: Context, asked: coded.Asked, shared: Catalogue | None = None) -> Answer:
    """Return whether a code is in a code system.

    Args:
        ctx: The interaction.
        asked: Its parameters.
        shared: What a request may use, where it has been gathered for several codes.

    Raises:
        BadRequest: It is not said which code and which code system.
        TxRefusal: What the request asks for does not go together.
    """
    resource = asked["codeSystem"][0] if asked["codeSystem"] else await coded.instance(ctx)
    url, version = versions.split(coded.first(asked, "url", "system"))
    version = coded.first(asked, "version", "systemVersion") or version
    if resource is not None:
        url, version = str(resource.get("url") or ""), str(resource.get("version") or "")
    given, concept = coded.codes(asked, system=url, version=version)
    more = [resource] if resource else []
    catalogue = shared if shared and not more else await coded.catalogue(ctx, asked, *more)
    options = coded.options(ctx, asked)
    validation = Validation(catalogue, options)
    url = url or given[0].system
    version = version or given[0].version
    if not url:
        if asked["code"]:
            raise BadRequest(
                "Say which code system is meant: 'url' (and 'version'), 'codeSystem', or the instance in the URL.",
                expression="http.url",
            )
        return await validation.refused(TxError(issue.NO_SYSTEM.issue(given[0].path)), given, concept)
    try:
        provider = await _found(catalogue, options, Code(url, "", version, path=given[0].path))
    except TxError as error:
        return await validation.refused(error, given, concept)
    return await validation.in_code_system(provider, given, concept)


async def _found(catalogue: Catalogue, options: Options, wanted: Code) -> CodeSystemProvider:
    """Return the code system that is asked for.

    Raises:
        TxError: It is not here, or is no code system.
    """
    systems = Systems(catalogue, options)
    provider = await systems.find(wanted.system, wanted.version)
    if provider is not None:
        return provider
    where = at(wanted.path, "system")
    trail = Trail()
    await systems.absent(wanted.system, systems.wanted(wanted.system, wanted.version), wanted.path, trail)
    if not ABSOLUTE.fullmatch(wanted.system):
        trail.say(issue.RELATIVE_SYSTEM.issue(where))
    raise TxError(*trail.issues, unknown=next(iter(trail.unknown), wanted.system))


OPERATION = coded.checking(DEFINITION, validated, "code system")
