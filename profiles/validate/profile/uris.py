"""URIs that name themselves a UUID or an OID are one (RFC 9562, RFC 3061)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from profiles.definitions.registry import Definitions
from profiles.primitives import OID, UUID
from profiles.validate.messages import shown
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]

_TYPES = frozenset({"uri", "url", "canonical"})
_FORMS = (("urn:uuid:", UUID), ("urn:oid:", OID), ("uuid:", UUID), ("oid:", OID))


def check(owner: Json, kind: str, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check the URIs of one object."""
    uris = validator.uris(kind)
    for key in owner.keys() & uris.keys():
        value = owner[key]
        rows = enumerate(value) if isinstance(value, list) else ((None, value),)
        for index, one in rows:
            if isinstance(one, str) and not _fits(one.partition("|")[0].partition("#")[0]):
                visit.report("uri-form", (where, uris[key], index), value=shown(one))


def uris(kind: str, definitions: Definitions) -> Mapping[str, str]:
    """Return the members of a type that are URIs: the name in a location by JSON key."""
    definition = definitions.type(kind)
    return {
        element.name: f"{element.choice}.ofType({element.type})" if element.choice else element.name
        for element in (definition.elements.values() if definition is not None else ())
        if element.type in _TYPES
    }


def _fits(uri: str) -> bool:
    return next((form.fullmatch(uri) is not None for start, form in _FORMS if uri.startswith(start)), True)
