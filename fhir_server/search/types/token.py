"""Token parameters: codes, identifiers and flags (R4 3.1.1.4.10).

A stored entry is `code|system`, code first so that a code without system is a prefix; `code|` where there is no system.
Values of types without room for a system (code, boolean, id, uri, string) are the bare text. A bar or a backslash in the
code is escaped by a backslash. FHIR `string`s are not case sensitive here (R4), so they are stored in lower case.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return one entry for each code of the values; the empty entry for an element that holds none."""
    found: dict[str, None] = {}
    for type_name, value in values:
        found.update(dict.fromkeys(list(codes(type_name, value)) or [""]))
    return list(found)


def escape(code: str) -> str:
    r"""Return the code with `\` and `|` escaped."""
    return code.replace("\\", "\\\\").replace("|", "\\|")


def pair(code: str, system: str) -> str:
    """Return the stored form of a code with its system, which may be empty."""
    return f"{escape(code)}|{system}"


def codes(type_name: str, value: Any) -> Iterator[str]:
    """Yield the stored form of each code of one value."""
    match type_name:
        case "CodeableConcept":
            for coding in value.get("coding", ()):
                yield from codes("Coding", coding)
        case "Coding":
            yield from _pair(value.get("code"), value.get("system"))
        case "Identifier":
            yield from _pair(value.get("value"), value.get("system"))
        case "ContactPoint":
            yield from _pair(value.get("value"), None)
        case "boolean":
            yield "true" if value else "false"
        case "string":
            yield escape(value.casefold())
        case _:
            yield escape(str(value))


def _pair(code: Any, system: Any) -> Iterator[str]:
    if isinstance(code, str) or isinstance(system, str):
        yield pair(code if isinstance(code, str) else "", system if isinstance(system, str) else "")
