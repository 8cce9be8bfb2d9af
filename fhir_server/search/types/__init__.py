"""One module for each search parameter type (R4 3.1.1.4); `TYPES` maps the code of a type to its module."""

from collections.abc import Mapping

from fhir_server.search.types import composite, date, near, number, quantity, reference, string, token, uri
from fhir_server.search.types.search_type import SearchType

__all__ = ["TYPES", "SearchType"]

TYPES: Mapping[str, SearchType] = {
    "composite": composite,
    "date": date,
    "number": number,
    "quantity": quantity,
    "reference": reference,
    "special": near,
    "string": string,
    "token": token,
    "uri": uri,
}
