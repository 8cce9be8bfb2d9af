"""The one sentence for a value that cannot be read."""

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import shown
from fhir_server.search.params import Param


def refusal(param: Param, text: str, expected: str) -> InvalidParameter:
    """Return the error for a malformed value.

    Args:
        param: The parameter.
        text: What the client sent.
        expected: The form of a valid value, with an example.
    """
    return InvalidParameter(
        f"'{shown(text)}' is not a valid value of the {param.type} parameter '{param.code}'. Write {expected}.",
        expression=f"http.{param.code}",
    )
