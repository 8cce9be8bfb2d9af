"""The indexes of each resource type's collection. Cost is linear in keys per document, so few indexes do much.

One recipe for all types; the index is left out where the type has nothing for it:

| name | keys | serves |
|---|---|---|
| `patient_code_date` | p, primary code, d, o | a patient's things of a kind, latest first |
| `patient_date` | p, d, o | a patient's things |
| `patients_date` | ps, d, o where there are several patients | the same for things that several patients share |
| `code_date` | primary code, d, o, f | a kind of thing, everywhere or in some facilities |
| `part_date` | code of a part, d, o, f where there are parts | what has a part of a kind, latest first |
| `facility_date` | f, d, o | what a facility holds |
| `date` | d, o, f | the latest of the type; ranges of the primary date |
| `long` | d, o, dh where dh - d is longer than a day | ranges of the primary date, the other half |
| `cohort` | f, _id, of Patients | whose patients they are, page by page: virtual Groups |
| `reference_date` | rf, d, o | every reference parameter, `_revinclude`, what points to an instance |
| `updated` | lu, o | `_lastUpdated`, history, export |
| `contained` | type of what is contained, lu, o where something is | `_contained`, chains to contained resources |
| `contained_rest` | wildcard over the parameters of what is contained, likewise | the same by what selects few |
| `sort_<code>`, `sort_<code>_down` | sort key, o | `_sort` by name |
| `near` | position | places within a distance |
| `words` | words, d, o where the setting `search.text` is on | `_text`, `_content` |
| `version` | sv, likewise | whether all resources have their words |
| `rest` | wildcard over the other parameters that select few | identifiers, tags, names, … |
| `added_<code>` | a parameter that the deployment has added | searches by it |

For types without a primary date `lu` takes the place of `d` and the word `updated` that of `date` in a name
(`patient_updated`, `facility_updated`, `reference_updated`). `o` ends every key, so that a page continues inside the index.
"""

from collections.abc import Mapping

from fhir_server.model.query import IndexSpec
from fhir_server.search.chosen import PART_CODES, SORT_KEYS
from fhir_server.search.params import Param, facet, params
from fhir_server.search.types import token
from fhir_server.search.words import WORDS
from profiles.definitions.registry import Definitions

SELECTIVE: Mapping[str, tuple[str, ...]] = {
    # Besides COMMON. Chosen because a value of them selects few documents; status and category are filtered in what
    # patient, date or code give, which is cheaper than a key in every document.
    "Observation": (),
    "Condition": (),
    "Procedure": (),
    "MedicationRequest": (),
    "MedicationAdministration": (),
    "MedicationDispense": (),
    "MedicationStatement": (),
    "DiagnosticReport": (),
    "DocumentReference": ("location",),
    "Immunization": ("lot-number",),
    "ServiceRequest": ("requisition",),
    "AllergyIntolerance": (),
    "CarePlan": (),
    "Encounter": (),
    "Claim": (),
    "ExplanationOfBenefit": (),
    "Appointment": (),
    "AuditEvent": ("address", "entity-name"),
    "Patient": (
        "name", "family", "given", "telecom", "phone", "email", "address", "address-city", "address-postalcode",
        "mothersMaidenName",
    ),
    "Provenance": (),
    "Task": ("group-identifier", "status"),
}  # fmt: skip
"""Types that a record has in great numbers, with what their `rest` index holds besides the common ones."""

COMMON = ("identifier", "_tag", "_security")
ADDED = "added_"
RANGES = frozenset({"date", "number", "quantity"})
IN_ORDER = frozenset({"token", "uri", "reference"})
"""Added parameters that are searched by equality, so that their index can yield the order too."""

UNSELECTIVE = frozenset({"boolean"})


def indexes(resource_type: str, definitions: Definitions, *, texts: bool = False) -> tuple[IndexSpec, ...]:
    """Return the indexes of a type's collection of live resources, besides that of `_id`.

    Args:
        resource_type: The type.
        definitions: Its parameters.
        texts: Whether words are stored, for `_text` and `_content`.
    """
    known = params(resource_type, definitions)
    dated = next((param for param in known.values() if param.primary_date), None)
    when, order = ("date", (("d", -1), ("o", -1))) if dated else ("updated", (("lu", -1), ("o", -1)))
    code = next((param.field for param in known.values() if param.primary_code), "")
    members = definitions.compartments["Patient"].members.get(resource_type, ())
    found: list[IndexSpec] = [IndexSpec("cohort", (("f", 1), ("_id", 1)))] if resource_type == "Patient" else []
    if members:
        if code:
            found.append(IndexSpec(f"patient_code_{when}", (("p", 1), (code, 1), *order)))
        found.append(IndexSpec(f"patient_{when}", (("p", 1), *order)))
        if len(members) > 1 or not any(param.patient for param in known.values()):
            found.append(IndexSpec(f"patients_{when}", (("ps", 1), *order), _only_where({"ps": {"$exists": True}})))
    if code:
        # With `p`, whose patients these are is told by the index alone.
        patient = (("p", 1),) if members else ()
        found += [IndexSpec(f"code_{when}", ((code, 1), *order, ("f", 1), *patient)), *_apart(known)]
    found += [
        IndexSpec(f"part_{when}", ((field, 1), *order, ("f", 1)), _only_where({field: {"$exists": True}}))
        for field in (known[part].field for part in PART_CODES.get(resource_type, ()))
    ]
    found.append(IndexSpec(f"facility_{when}", (("f", 1), *order)))
    found.append(IndexSpec(f"reference_{when}", (("rf", 1), *order)))
    if dated:
        found.append(IndexSpec("date", (*order, ("f", 1))))
        if dated.value_types != {"instant"}:
            found.append(IndexSpec("long", (*order, ("dh", 1)), _only_where({"dl": True})))
    found.append(IndexSpec("updated", (("lu", -1), ("o", -1))))
    if "contained" in definitions.types[resource_type].elements:
        containing = _only_where({"c": {"$exists": True}})
        found.append(IndexSpec("contained", (("c.t", 1), ("lu", -1), ("o", -1)), containing))
        found.append(IndexSpec("contained_rest", (("$**", 1),), {"wildcardProjection": {"c.s": 1}, **containing}))
    for first in SORT_KEYS.get(resource_type, ())[:1]:
        found.append(IndexSpec(f"sort_{first}", ((f"k.{first}.a", 1), ("o", 1))))
        found.append(IndexSpec(f"sort_{first}_down", ((f"k.{first}.z", -1), ("o", -1))))
    found += [
        IndexSpec(param.code, ((param.field, "2dsphere"),)) for param in known.values() if param.type == "special"
    ]
    # An added parameter has an index of its own: `rest` would have to be built anew for it.
    added = definitions.added_codes(resource_type)
    held = [param for param in known.values() if _in_rest(param) and param.code not in added]
    projection = {field: 1 for param in held for field in (param.field, *_texts(param))}
    found.append(IndexSpec("rest", (("$**", 1),), {"wildcardProjection": projection}))
    if texts:
        # Of `sv`, to see at once whether something was stored without its words.
        found += [IndexSpec("words", ((f"s.{WORDS}", 1), *order)), IndexSpec("version", (("sv", 1),))]
    return (*found, *added_indexes(resource_type, definitions))


def _apart(known: Mapping[str, Param]) -> list[IndexSpec]:
    """Return the indexes of the few resources of which `p` does not tell what a patient parameter says."""
    fields = {param.code: param.field for param in known.values() if param.patient}
    return [
        IndexSpec(f"apart_{code}", ((field, 1),), _only_where({field: {"$exists": True}}))
        for code, field in fields.items()
    ]


def added_indexes(resource_type: str, definitions: Definitions) -> tuple[IndexSpec, ...]:
    """Return those of the indexes of a type that serve added parameters; their keys are only of what has a value."""
    codes = definitions.added_codes(resource_type)
    known = params(resource_type, definitions)
    dated = any(param.primary_date for param in known.values())
    order = (("d", -1), ("o", -1)) if dated else (("lu", -1), ("o", -1))
    found: list[IndexSpec] = []
    for param in (known[code] for code in sorted(codes & known.keys())):
        name, field = ADDED + param.code, param.field
        if param.patient or (param.type == "reference" and param.value_types <= {"Reference"}):
            continue  # `p` and `rf` serve it
        if param.type in RANGES:
            keys: tuple[tuple[str, int], ...] = ((f"{field}.lo", 1), (f"{field}.hi", 1))
        elif param.type in IN_ORDER:
            keys = ((field, 1), *order)
        elif param.type == "string":
            keys = ((field, 1),)
        else:
            found.append(IndexSpec(name, (("$**", 1),), {"wildcardProjection": {field: 1}}))
            continue
        found.append(IndexSpec(name, keys, _only_where({field: {"$exists": True}})))
    return tuple(found)


def leads(param: Param, definitions: Definitions) -> bool:
    """Return whether an index leads from a value of a token to what has it."""
    part = param.code in PART_CODES.get(param.resource_type, ())
    added = param.code in definitions.added_codes(param.resource_type)
    return param.primary_code or part or added or _in_rest(param)


def _only_where(clause: Mapping[str, object]) -> Mapping[str, object]:
    return {"partialFilterExpression": clause}


def _in_rest(param: Param) -> bool:
    """Whether the wildcard index holds a parameter that no other index serves.

    Of references only those with canonicals, which `rf` does not hold. Of types in great numbers only what selects few.
    """
    if not param.stored or param.primary_code or param.type in {"composite", "special"}:
        return False
    if param.resource_type in SELECTIVE:
        return param.code in COMMON or param.code in SELECTIVE[param.resource_type]
    if param.type == "reference":
        return not param.value_types <= {"Reference"}
    return not param.value_types <= UNSELECTIVE


def _texts(param: Param) -> tuple[str, ...]:
    """Return where the texts of a token are, for types that are not stored in great numbers."""
    told = param.type == "token" and token.TEXT in token.modifiers(param) and param.resource_type not in SELECTIVE
    return (facet(param, token.TEXT).field,) if told else ()
