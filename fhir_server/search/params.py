"""The search parameters that a resource type effectively has, with what the index knows about each (R4 3.1.1.4).

Some parameters of a type are special in the stored document, by the tables of `chosen`:

* the **primary date** lives in the scalars `d`, `dh` (and `dl`), not in `s`;
* the **primary code** shares the compound indexes with patient and date;
* **patient parameters** (`patient`, `subject`) are answered from the scalar `p`. They all read the one element that `p`
  is taken from before any other. `s.<code>` is absent where its entries are exactly `[Patient/<p>]`; it is `false` where
  the element is absent though another one (a performer, say) gave `p`; else it holds the entries. So
  `patient=Patient/x` is `{p: x, s.patient: {$in: [null, "Patient/x"]}}`, without one exception, and `:missing=true` is
  `{$or: [{p: null, s.patient: null}, {s.patient: false}]}`;
* a **composite** stores an array of entries, one for each element that has a value for all of its components (`together`);
  it is **joined** and not stored where the base is the resource itself and the parameters of its components say it all:
  `code-value-quantity` is `code` and `value-quantity`;
* a parameter with **parts** is the union of other parameters of its type and is not stored: it holds where one of them
  does, and is missing where all of them are;
* a **sort key** is `k.<code> = {a, z}`, the least and the greatest folded text, in every document: where there is no value
  `a` is `LAST` and `z` is the empty text, so that missing values come last in either direction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_server.search.chosen import PARTS, PATIENTS, PRIMARY_CODES, PRIMARY_DATES, SORT_KEYS
from fhir_server.search.fhirpath import Resolves
from fhir_server.search.paths import COMPUTED, Selection, selections
from fhir_server.search.together import Place, place
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions

LAST = "\U0010ffff"
"""Sorts after every text."""

VALUE_TYPES: Mapping[str, frozenset[str]] = {
    "number": frozenset({"integer", "decimal", "positiveInt", "unsignedInt", "Range"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "string": frozenset({"string", "markdown", "HumanName", "Address"}),
    "token": frozenset(
        {
            "Coding",
            "CodeableConcept",
            "Identifier",
            "ContactPoint",
            "code",
            "id",
            "boolean",
            "string",
            "uri",
            "canonical",
        }
    ),
    "reference": frozenset({"Reference", "canonical", "uri", "Composition", "MessageHeader"}),
    "quantity": frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range", "SampledData"}),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
}
"""What each parameter type reads (R4 3.1.1.4, table of types). Other members of a choice or extension are passed over."""

SEVERAL = frozenset({"CodeableConcept", "HumanName", "Address"})
"""Types of which one value may give several entries."""

FIELDS: Mapping[str, str] = {"_id": "_id", "_lastUpdated": "lu"}


KEYS = "abcdefghijklmnop"
"""Keys of the components in a composite entry, in their order."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite parameter.

    Attributes:
        code: Code of the parameter that defines it.
        param: It as it is stored: `field` is its key in an entry.
        place: Where its values are.
        own: The parameter that defines it, where that is one of the type and reads all of its values; else `None`.
        whole: Whether `own` reads nothing else, either.
    """

    code: str
    param: "Param"
    place: Place
    own: "Param | None"
    whole: bool


@dataclass(frozen=True, slots=True)
class Param:
    """One search parameter of one resource type.

    Attributes:
        code: Name in the query string.
        type: number, date, string, token, reference, composite, quantity, uri or special.
        resource_type: The type that it is a parameter of.
        array: Whether `s.<code>` is an array. Ranges (date, number, quantity) always are, whatever this says, and a
            reference that has more than one entry is.
        field: Where it is stored: `s.<code>`, but `_id` for `_id` and `lu` for `_lastUpdated`.
        primary_date: Whether it lives in `d`, `dh`, `dl`.
        primary_code: Whether the compound indexes carry it.
        patient: Whether it is answered from `p`.
        sort_key: Whether `k.<code>` holds its sort keys.
        parts: Codes whose union it is; then it is not stored.
        value_types: FHIR types of the values that it selects, such as `CodeableConcept`.
        bindings: Required value sets of the `code` elements among them, by canonical URL.
        targets: Resource types that a reference parameter may point to; empty for any.
        url: Canonical URL of its definition.
        description: The specification's sentence.
        components: Parts of a composite, in the order of their values.
        joined: Whether a composite is the conjunction of its components' own parameters; then it is not stored.
    """

    code: str
    type: str
    resource_type: str
    array: bool
    field: str
    primary_date: bool
    primary_code: bool
    patient: bool
    sort_key: bool
    parts: tuple[str, ...]
    value_types: frozenset[str]
    bindings: tuple[str, ...]
    targets: tuple[str, ...]
    url: str
    description: str
    components: tuple[Component, ...] = ()
    joined: bool = False

    @property
    def stored(self) -> bool:
        """Whether `s.<code>` exists: not for `_id`, `_lastUpdated`, the primary date, unions and joined composites."""
        return self.field.startswith("s.") and not (self.primary_date or self.parts or self.joined)


def param(resource_type: str, code: str, definitions: Definitions) -> Param | None:
    """Return a parameter of a type by code, or `None` where the type has none of that name."""
    return params(resource_type, definitions).get(code)


def params(resource_type: str, definitions: Definitions) -> Mapping[str, Param]:
    """Return the parameters of a type by code, in code order.

    `_content`, `_text`, `_filter` and `_query` have no expression and are no rows here.
    """
    # Types to which nothing was added keep what was made of FHIR's own definitions.
    same = not definitions.added_codes(resource_type)
    return _params(resource_type, definitions.own if same else definitions)


@lru_cache(maxsize=1024)
def _params(resource_type: str, definitions: Definitions) -> Mapping[str, Param]:
    found: dict[str, Param] = {}
    patient = _patient_element(resource_type, definitions)
    for code, parameter in definitions.search_parameters(resource_type).items():
        if parameter.expression:
            found[code] = _param(resource_type, parameter, patient, definitions)
            if parameter.type == "composite":
                found[code] = _with_components(found[code], parameter, definitions)
    return found


def facet(param: Param, name: str) -> Param:
    """Return the string parameter of what is stored beside a token for one of its modifiers, as `s.<code>:<name>`."""
    return replace(
        param,
        code=f"{param.code}:{name}",
        type="string",
        array=True,
        field=f"s.{param.code}:{name}",
        primary_code=False,
        value_types=frozenset({"string"}),
        bindings=(),
    )


def components(resource_type: str, parameter: SearchParameter, definitions: Definitions) -> tuple[Component, ...]:
    """Return the parts of a composite parameter; of other types none.

    Raises:
        Uncompilable: The expression of a part is outside the subset, or names an element that does not exist.
    """
    bases = routes(resource_type, parameter, definitions)
    found: list[Component] = []
    for key, component in zip(KEYS, parameter.components, strict=False):
        defined = definitions.search_parameter(component.definition.partition("|")[0])
        if defined is not None:
            found.append(_component(key, bases, defined, component.expression, resource_type, definitions))
    return tuple(found)


def routes(resource_type: str, parameter: SearchParameter, definitions: Definitions) -> tuple[Selection, ...]:
    """Return the selections of a parameter whose values its type reads; those of composites are their base nodes."""
    if parameter.expression in COMPUTED or not parameter.expression:
        return ()
    found = selections(resource_type, parameter, definitions)
    read = VALUE_TYPES.get(parameter.type)
    return found if read is None else tuple(one for one in found if one.type in read)


def patient_code(resource_type: str, definitions: Definitions) -> str:
    """Return the parameter that `p` is taken from before any other, empty where the type is in no patient's record."""
    members = definitions.compartments["Patient"].members.get(resource_type, ())
    preferred = (PATIENTS.get(resource_type, ""), "patient", "subject", *members)
    return next((code for code in preferred if code in members and code != "{def}"), "")


def _patient_element(resource_type: str, definitions: Definitions) -> str:
    """Return the element that `p` is taken from first, such as `Observation.subject`; empty where it may repeat."""
    code = patient_code(resource_type, definitions)
    found = routes(resource_type, definitions.search_parameters(resource_type)[code], definitions) if code else ()
    single = len({one.element for one in found}) == 1 and not found[0].repeats
    return found[0].element if single else ""


def _param(resource_type: str, parameter: SearchParameter, patient: str, definitions: Definitions) -> Param:
    found = routes(resource_type, parameter, definitions)
    code = parameter.code
    value_types = frozenset(one.type for one in found) or frozenset({"boolean"})
    several = any(one.repeats for one in found) or len({one.element for one in found}) > 1
    return Param(
        code=code,
        type=parameter.type,
        resource_type=resource_type,
        array=several or not value_types.isdisjoint(SEVERAL),
        field=FIELDS.get(code, f"s.{code}"),
        primary_date=PRIMARY_DATES.get(resource_type) == code,
        primary_code=PRIMARY_CODES.get(resource_type) == code,
        patient=parameter.type == "reference" and all(one.element == patient and _may_be_patient(one) for one in found),
        sort_key=code in SORT_KEYS.get(resource_type, ()),
        parts=PARTS.get(resource_type, {}).get(code, ()),
        value_types=value_types,
        bindings=tuple(dict.fromkeys(one.binding for one in found if one.type == "code" and one.binding)),
        targets=_targets(parameter, found),
        url=parameter.url,
        description=_sentence(parameter.description, resource_type),
    )


def _with_components(param: Param, parameter: SearchParameter, definitions: Definitions) -> Param:
    found = components(param.resource_type, parameter, definitions)
    bases = routes(param.resource_type, parameter, definitions)
    at_root = [base.route for base in bases] == [()]
    shipped = parameter not in definitions.added
    joined = shipped and at_root and not param.parts and all(one.own and one.whole for one in found)
    return replace(param, array=True, components=found, joined=joined)


def _component(  # noqa: PLR0917 - what the parts of a definition are
    key: str,
    bases: tuple[Selection, ...],
    defined: SearchParameter,
    expression: str,
    resource_type: str,
    definitions: Definitions,
) -> Component:
    known = definitions.search_parameters(resource_type)
    ours = known.get(defined.code) == defined
    read = routes(resource_type, defined, definitions) if ours else ()
    there = place(
        bases,
        expression,
        read,
        readable=VALUE_TYPES.get(defined.type, frozenset()),
        resource_type=resource_type,
        definitions=definitions,
    )
    ends = [*there.outside, *(one for _, inside in there.inside for one in inside)]
    patient = _patient_element(resource_type, definitions)
    own = _param(resource_type, defined, patient, definitions) if ours else None
    elements = {(one.element, one.type) for one in read}
    # What was added lately may not be in the index of all resources yet.
    settled = own is not None and not own.parts and defined not in definitions.added
    covered = settled and elements >= {(one.element, one.type) for one in ends}
    stored = Param(
        code=defined.code,
        type=defined.type,
        resource_type=resource_type,
        array=True,
        field=key,
        primary_date=False,
        primary_code=False,
        patient=False,
        sort_key=False,
        parts=(),
        value_types=frozenset(one.type for one in ends),
        bindings=tuple(dict.fromkeys(one.binding for one in ends if one.type == "code" and one.binding)),
        targets=defined.targets,
        url=defined.url,
        description=defined.description,
    )
    return Component(defined.code, stored, there, own if covered else None, len(ends) == len(read))


def _targets(parameter: SearchParameter, found: tuple[Selection, ...]) -> tuple[str, ...]:
    """Return the target types of a parameter, for this type only those that its expression resolves to."""
    resolved = {one.route[-1].type for one in found if one.route and isinstance(one.route[-1], Resolves)}
    every = all(one.route and isinstance(one.route[-1], Resolves) for one in found)
    return tuple(target for target in parameter.targets if target in resolved) if found and every else parameter.targets


def _may_be_patient(selection: Selection) -> bool:
    last = selection.route[-1]
    return not isinstance(last, Resolves) or last.type == "Patient"


def _sentence(description: str, resource_type: str) -> str:
    """Return the line about the type where a definition describes several types (`* [Type](type.html): sentence`)."""
    for line in description.splitlines():
        if line.startswith(f"* [{resource_type}]"):
            return line.partition("): ")[2].strip()
    return description.strip()
