"""URI parameters: the exact text, `:below` and `:above` (R4 3.1.1.4.9). A stored entry is the URI as written.

A canonical without version is searched in any version.
"""

from collections.abc import Sequence
from typing import Any

from fhir_server.search.escapes import plain
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions
from fhir_server.search.types.conditions import Condition, Is, Starts
from fhir_server.search.types.refusal import refusal

MODIFIERS = frozenset({"above", "below"})
EXAMPLE = "a URI such as http://acme.org/fhir/ValueSet/123"


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return the distinct URIs."""
    return list(dict.fromkeys(value for _, value in values if isinstance(value, str)))


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a URI of the parameter is one of these, or below or above one".

    Raises:
        InvalidParameter: `:below` or `:above` with something else than a URL.
    """
    found = [condition for text in texts for condition in _conditions(param, modifier, plain(text))]
    return Criterion(param, tuple(found))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    return conditions.predicate(criterion.param.field, criterion.values, array=criterion.param.array)


def matches(criterion: Criterion, entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return conditions.matches(criterion.values, entries)


def canonical(text: str) -> list[Condition]:
    """Return the conditions for a canonical: this version, or any where none is stated."""
    return [Is(text)] if "|" in text else [Is(text), Starts(f"{text}|")]


def _conditions(param: Param, modifier: str, text: str) -> list[Condition]:
    if not modifier:
        return canonical(text) if "canonical" in param.value_types else [Is(text)]
    scheme, mark, path = text.partition("://")
    if not mark:
        raise refusal(param, text, f"a URL such as http://acme.org/fhir/ with :{modifier}")
    if modifier == "below":
        return [Starts(text)]
    steps = path.split("/")
    above = [f"{scheme}://{'/'.join(steps[: count + 1])}" for count in range(len(steps))]
    return list(dict.fromkeys(Is(url) for step in above for url in (step, f"{step}/") if text.startswith(url)))
