"""Reference parameters: literal references, canonicals and logical references (R4 3.1.1.4.12).

A stored entry is `Type/id` for an instance on this server (its version left out), else the URL, URN or canonical as
written. A reference with an `identifier` has a further entry, a number sign before the token of the identifier, for
`:identifier`; a reference with neither has the empty entry, so that `:missing` tells the truth.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.model import ids
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.reference import local
from fhir_server.model.reference import plain as local_text
from fhir_server.search import hierarchy
from fhir_server.search.escapes import plain, shown, split
from fhir_server.search.expression import Criterion, Expression, Hierarchy
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions, token, uri
from fhir_server.search.types.conditions import Condition, Is, Like, Starts
from fhir_server.search.types.refusal import refusal

MODIFIERS = frozenset({"identifier", *hierarchy.MODIFIERS})
EXAMPLE = "id, Type/id, or an absolute URL, such as Patient/23"
PATIENT = "Patient/"

LOGICAL = "#"


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return the entries of references and canonicals."""
    found: dict[str, None] = {}
    for _, value in values:
        for text in _entries(value, reading.base) or ("",):
            found[text] = None
    return list(found)


def entry(text: str, base: str = "") -> str:
    """Return the stored form of a literal reference or canonical."""
    return local_text(text, base) or text


def _entries(value: Any, base: str) -> list[str]:
    if isinstance(value, str):
        return [entry(value, base)]
    literal, identifier = value.get("reference"), value.get("identifier")
    found = [entry(literal, base)] if isinstance(literal, str) and literal[:1] != "#" else []
    if isinstance(identifier, dict):
        found += [LOGICAL + code for code in token.codes("Identifier", identifier)]
    return found


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a reference of the parameter leads to one of these".

    Args:
        param: The parameter.
        modifier: Empty, `identifier`, the type that an id is of, or `above` and `below` for hierarchies.
        texts: Ids, `Type/id`, absolute URLs, canonicals; with `:identifier` tokens.
        reading: Our own base and the resource types there are.

    Raises:
        InvalidParameter: A text is none of these, or of another type than the modifier says.
    """
    if modifier == "identifier":
        return Criterion(param, tuple(_logical(param, text) for text in texts))
    if modifier in hierarchy.MODIFIERS:
        roots = dict.fromkeys(root for text in texts for root in _roots(param, plain(text), reading))
        return Hierarchy(param, tuple(roots), below=modifier == "below")
    return Criterion(param, tuple(found for text in texts for found in _literal(param, modifier, plain(text), reading)))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents.

    One index over `rf`, all local references of a resource, serves every reference parameter; and patients of a parameter
    that is answered from `p` are looked up there.
    """
    param, values = criterion.param, criterion.values
    patients = [value.text.removeprefix(PATIENT) for value in values if param.patient and _of_patient(value)]
    others = [value for value in values if not (param.patient and _of_patient(value))]
    clauses: list[dict[str, Any]] = []
    if patients:
        # The parameter is stored where it says something else or something more than `p` does (see `params`).
        stored = [None, *(PATIENT + patient for patient in patients)]
        clauses.append({"p": {"$in": patients} if len(patients) > 1 else patients[0], param.field: {"$in": stored}})
    if others:
        clause = conditions.predicate(param.field, others, array=None)
        texts = [value.text for value in others if isinstance(value, Is) and local(value.text)]
        if len(texts) == len(others):
            clause = {"rf": {"$in": texts} if len(texts) > 1 else texts[0], **clause}
        clauses.append(clause)
    return clauses[0] if len(clauses) == 1 else {"$or": clauses}


def matches(criterion: Criterion, entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return conditions.matches(criterion.values, entries)


def _of_patient(condition: Condition) -> bool:
    return isinstance(condition, Is) and condition.text.startswith(PATIENT)


def _literal(param: Param, modifier: str, text: str, reading: Reading) -> list[Condition]:
    instance = local(text, reading.base)
    if instance:
        if modifier and instance.resource_type != modifier:
            raise InvalidParameter(
                f"'{param.code}:{modifier}' asks for a {modifier}, but the value is '{shown(text)}'. Use one type in both.",
                expression=f"http.{param.code}",
            )
        return [Is(str(instance))]
    if ids.valid(text):
        found: list[Condition] = [
            Is(f"{target}/{text}") for target in ([modifier] if modifier else _targets(param, reading))
        ]
        # Some canonicals are published as a bare name.
        named = not modifier and "Reference" not in param.value_types and "canonical" in param.value_types
        return [*found, *uri.canonical(text)] if named else found
    if ":" in text and not modifier:
        return uri.canonical(text) if "canonical" in param.value_types else [Is(text)]
    raise refusal(param, text, "the id alone" if modifier else EXAMPLE)


def _roots(param: Param, text: str, reading: Reading) -> list[str]:
    """Return `Type/id` of what hierarchies are climbed from."""
    types = hierarchy.hierarchies(param.targets, reading.definitions) if reading.definitions else []
    instance = local(text, reading.base)
    if instance and instance.resource_type in types:
        return [str(instance)]
    if instance or not ids.valid(text):
        raise refusal(param, text, f"an id, alone or as {' or '.join(f'{name}/42' for name in types[:3])}")
    return [f"{target}/{text}" for target in types]


def _targets(param: Param, reading: Reading) -> list[str]:
    """Return the types that an id alone may be of."""
    named = [target for target in param.targets if target != "Resource"]
    return named or sorted(reading.definitions.resource_types if reading.definitions else ())


def _logical(param: Param, text: str) -> Condition:
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise refusal(param, text, "value, system|value, |value or system| of the identifier")
    found = token.paired(parts[0], parts[1]) if len(parts) == 2 else token.paired(None, parts[0])
    match found:
        case Like(pattern):
            return Like(f"^{LOGICAL}{pattern.removeprefix('^')}")
        case Starts(start):
            return Starts(LOGICAL + start)
        case Is(whole):
            return Is(LOGICAL + whole)
