"""Reference parameters: literal references, canonicals and logical references (R4 3.1.1.4.12).

A stored entry is `Type/id` for an instance on this server (its version left out), else the URL, URN or canonical as
written. A reference with an `identifier` has a further entry, a number sign before the token of the identifier, for
`:identifier`; a reference with neither has the empty entry, so that `:missing` tells the truth.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.model.reference import local
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import token

LOGICAL = "#"


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return the entries of references and canonicals."""
    found: dict[str, None] = {}
    for _, value in values:
        found.update(dict.fromkeys(list(_entries(value, reading.base)) or [""]))
    return list(found)


def entry(text: str, base: str = "") -> str:
    """Return the stored form of a literal reference or canonical."""
    instance = local(text, base)
    return str(instance) if instance else text


def _entries(value: Any, base: str) -> Iterator[str]:
    if isinstance(value, str):
        yield entry(value, base)
        return
    literal, identifier = value.get("reference"), value.get("identifier")
    if isinstance(literal, str) and not literal.startswith("#"):
        yield entry(literal, base)
    if isinstance(identifier, dict):
        for code in token.codes("Identifier", identifier):
            yield LOGICAL + code
