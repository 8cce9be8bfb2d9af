"""What a deployment says of a backend service beyond its scopes: facilities, types, purpose, and that it only advises."""

from typing import TYPE_CHECKING, Annotated

import typer

from fhir_server.model.errors import FhirError
from profiles.definitions.codes import Enumerator
from smart_auth.administration import Unacceptable

if TYPE_CHECKING:
    from fhir_server.main import Service

PURPOSES = "http://terminology.hl7.org/ValueSet/v3-PurposeOfUse"

Facilities = Annotated[
    list[str] | None,
    typer.Option(
        "--facility",
        help="Id of an Organization: the service reaches what is kept by it and by what is below it; may be repeated. The first "
        "keeps what the service creates.",
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Resource type that it is for; may be repeated. Never more than its scopes."),
]
Purpose = Annotated[
    str, typer.Option("--purpose", help="What it works for: a code of PurposeOfUse, such as TREAT or HRESCH.")
]
Advisory = Annotated[
    bool,
    typer.Option("--advisory", help="It is a reasoning service: it reads, and creates advice that changes nothing."),
]


async def check(service: "Service", facilities: list[str], types: list[str], purpose: str) -> None:
    """Refuse a policy that names what there is not; misspelt, it would keep everything out, or nothing.

    Raises:
        Unacceptable: It does.
    """
    for facility in facilities:
        try:
            await service.repository.read("Organization", facility)
        except FhirError:
            raise Unacceptable(
                f"There is no Organization/{facility}. A facility is given by the id of its Organization."
            ) from None
    if unknown := [name for name in types if name not in service.definitions.resource_types]:
        raise Unacceptable(f"'{unknown[0]}' is not a resource type of FHIR R4.")
    terminology = service.definitions.terminology
    known = Enumerator(terminology.value_sets, terminology.code_systems).pairs(PURPOSES) or frozenset()
    if purpose and purpose not in {code for _, code in known}:
        raise Unacceptable(
            f"'{purpose}' is not a purpose of use. Take a code of {PURPOSES}, such as TREAT, HOPERAT or HRESCH."
        )
