"""Adds the displays that codes come without, by the vocabulary, where the setting `record.fill_displays` says so."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fhir_server.checks import Terms
from profiles.definitions.registry import Definitions
from profiles.validate.profile.asking import Asking, Coded

Json = dict[str, Any]

CODING, RESOURCE = "Coding", "Resource"
LABELS = "meta"
"""What stands there are labels, which the server reads and nobody shows."""


async def filled(resource: Json, definitions: Definitions, terms: Terms) -> Json:
    """Return a resource with a display at each Coding that has none and that the vocabulary has one for.

    What has a display keeps it, right or wrong; what is no Coding of R4 is left as it is. The resource itself is not changed.

    Args:
        resource: As it was sent, before any check.
        definitions: FHIR definitions, which say what a Coding is.
        terms: Who knows the displays, for the caller.

    Raises:
        Unavailable: The database cannot be reached.
    """
    asking = Asking(open_codings=dict.fromkeys(key for one in _codings(resource, definitions) if (key := _key(one))))
    if not asking.is_open:
        return resource
    await terms.answer(asking)
    whole = deepcopy(resource)
    for one in _codings(whole, definitions):
        key = _key(one)
        known = asking.codings.get(key) if key else None
        if known is not None and known.displays:
            one["display"] = known.displays[0]
    return whole


def _key(coding: Json) -> Coded | None:
    """Return what is asked of a Coding, `None` where it has a display, or says not what it is."""
    system, code, version = coding.get("system"), coding.get("code"), coding.get("version", "")
    if "display" in coding or "_display" in coding or not all(isinstance(one, str) for one in (system, code, version)):
        return None
    return (str(system), str(version), str(code)) if system and code else None


def _codings(resource: Json, definitions: Definitions) -> Iterator[Json]:
    """Yield the Codings of a resource and of those within it, labels apart."""
    waiting: list[tuple[Json, str]] = [(resource, str(resource.get("resourceType", "")))]
    while waiting:
        value, kind = waiting.pop()
        known = definitions.type(kind)
        for name, member in value.items() if known else ():
            element = known.elements.get(name) if known and name != LABELS else None
            for row in (member if isinstance(member, list) else (member,)) if element else ():
                if not isinstance(row, dict) or element is None:
                    continue
                if element.type == CODING:
                    yield row
                inner = str(row.get("resourceType", "")) if element.type == RESOURCE else element.type
                waiting.append((row, inner))
