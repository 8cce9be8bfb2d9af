"""An expression evaluated on one stored document in memory: the twin of `compile`, held to it by tests.

Writes use it on the document they are about to store, so that nothing is moved into or out of what a grant covers.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_server.model.errors import Forbidden
from fhir_server.search.expression import (
    And,
    Anything,
    Belongs,
    Chain,
    Cleared,
    Concepts,
    Contains,
    Criterion,
    Disclosed,
    Expression,
    Guarded,
    Hierarchy,
    InCompartment,
    InText,
    Missing,
    Not,
    Nothing,
    OfPatients,
    Or,
    OwnedBy,
    ReverseChain,
    Withdrawn,
)
from fhir_server.search.params import Param
from fhir_server.search.types import TYPES
from fhir_server.search.types.date import EFFECTIVE, MOMENTS, UPDATED
from fhir_server.search.types.reference import PATIENT


def matches(  # noqa: C901, PLR0912 - one case for each node
    expression: Expression, document: Mapping[str, Any]
) -> bool:
    """Return whether a stored document (its envelope is enough) is selected."""
    match expression:
        case Anything():
            return True
        case Nothing():
            return False
        case And(items):
            return all(matches(item, document) for item in items)
        case Or(items):
            return any(matches(item, document) for item in items)
        case Not(item):
            return not matches(item, document)
        case Missing(param):
            return not entries(param, document)
        case Criterion(param):
            return TYPES[param.type].matches(expression, entries(param, document))
        case InCompartment(patient):
            return patient in {document.get("p"), *document.get("ps", ())}
        case OwnedBy(facilities):
            return document.get("f") in facilities
        case OfPatients(patients):
            return not patients.isdisjoint({document.get("p"), *document.get("ps", ())})
        case Cleared(labels):
            return labels.issuperset(document.get("sl", ()))
        case Disclosed(now, gates):
            return _is_disclosed(document, now, gates)
        case Withdrawn():
            return bool(document.get("wd")) and not document.get("held") and not document.get("adv")
        case Belongs(owner):
            return bool(document.get("ow") == owner)
        case Guarded(contexts, is_open):
            context = document.get("r", {}).get("securityContext")
            return is_open if context is None else context.get("reference") in contexts
        case Contains(resource_type, item):
            return any(one["t"] == resource_type and matches(item, one) for one in document.get("c", ()))
        case Chain() | ReverseChain() | Hierarchy() | Concepts() | InText():
            raise Forbidden(
                "This grant is restricted by other resources (a chain, _has, a hierarchy or a value set), which cannot be checked for a "
                "single document. Ask for a grant that is restricted by parameters of the type itself."
            )


def _is_disclosed(document: Mapping[str, Any], now: datetime, gates: frozenset[str]) -> bool:
    if document.get("held") or document.get("adv"):
        return False
    gate, visible = document.get("gt"), document.get("va")
    return (gate is None or gate in gates) and (visible is None or visible <= now)


def entries(param: Param, document: Mapping[str, Any]) -> list[Any]:
    """Return the entries that a stored document has for a parameter, wherever they are stored."""
    if param.field == "_id":
        return [document["_id"]]
    if param.field == UPDATED:
        return [{"lo": document[UPDATED], "hi": document[UPDATED]}]
    if param.field == EFFECTIVE:
        moment = max(document[name] for name in MOMENTS if document.get(name))
        return [{"lo": moment, "hi": moment}]
    if param.primary_date:
        return [{"lo": document["d"], "hi": document["dh"]}] if document.get("d") else []
    stored = document.get("s", {}).get(param.code)
    if param.patient and stored is None and document.get("p"):
        return [PATIENT + document["p"]]
    if stored is None or stored is False:
        return []
    return stored if isinstance(stored, list) else [stored]
