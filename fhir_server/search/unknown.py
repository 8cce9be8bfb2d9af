"""What is said of a parameter that a type does not have, with the ones that it has."""

from collections.abc import Iterable

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import nearest, shown


class UnknownParameter(InvalidParameter):
    """A search parameter that the type does not have; lenient handling passes over it (R4 3.1.1.3)."""


def unknown(resource_type: str, name: str, offered: Iterable[str], text: str = "") -> UnknownParameter:
    """Return the refusal of a parameter.

    Args:
        resource_type: The type that is searched.
        name: The parameter as the client wrote it.
        offered: Names that can be written instead.
        text: What is wrong with it; by default that the type does not have it.
    """
    code = name.partition(":")[0]
    names = list(offered)
    text = text or f"{resource_type} has no search parameter '{shown(code)}'.{nearest(code, names)}"
    return UnknownParameter(
        f"{text} {resource_type} can be searched by {', '.join(names)}.", expression=f"http.{shown(name)}"
    )
