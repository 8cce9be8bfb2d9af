"""Generated searches for any type, told from the definitions of its parameters by `naive` and `oracle`.

`selections` says by hand what fourteen types read; here the expression of each SearchParameter says it for all of them. What
the shape of the JSON does not tell for certain (ratios, systems of bare codes) is left to the types told by hand.
"""

from datetime import datetime
from random import Random
from typing import Any

from profiles.definitions.model import SearchParameter
from tests.search.asking import MODIFIERS, TEXTS
from tests.search.naive import evaluate_typed
from tests.search.oracle import MATCHES, Resource, readings

ASKED = {"token", "string", "reference", "date", "number", "quantity", "uri"}
CONTACTS = {"contact", "telecom", "phone", "email"}
UNCERTAIN = {"numerator"}
"""Members of what is no quantity, but may stand where one does: ratios."""
ENDS = {"value", "low", "high", "origin"}


def values(parameter: SearchParameter, resource: Resource) -> list[Any]:
    """Return what a parameter reads of a resource."""
    found = evaluate_typed(parameter.expression, resource)
    return [value for kind, value in found if (parameter.type, kind) != ("date", "string")]


def tellable(parameter: SearchParameter, pool: list[Resource]) -> bool:
    """Return whether the oracle can tell the values of a parameter in some resources, and there are any."""
    if parameter.type not in ASKED or not parameter.expression or parameter.expression.endswith("!= false"):
        return False
    found = [value for resource in pool for value in values(parameter, resource)]
    return bool(found) and all(_certain(parameter, value) for value in found)


def kind(parameter: SearchParameter, value: Any) -> str:
    """Return how `oracle` matches a value."""
    if parameter.type == "token":
        return "contact" if parameter.code in CONTACTS else "token" if isinstance(value, dict) else "code"
    if parameter.type == "reference":
        return "reference" if isinstance(value, dict) else "canonical"
    return "instant" if parameter.code == "_lastUpdated" else parameter.type


def criterion(chance: Random, parameter: SearchParameter, pool: list[Resource]) -> tuple[str, str]:
    """Return one criterion that some of the resources fulfil, or nearly."""
    if chance.random() < 0.1:
        return f"{parameter.code}:missing", chance.choice(["true", "false"])
    value = chance.choice([one for resource in pool for one in values(parameter, resource)])
    name = kind(parameter, value)
    modifier = chance.choice(MODIFIERS.get(name, ("",)))
    if (modifier == "not" and len(pool) > 40) or (modifier == "text" and not readings(value)):
        modifier = ""
    text = TEXTS[name](chance, value, modifier, "")
    return f"{parameter.code}:{modifier}" if modifier else parameter.code, text or "x"


def selects(parameter: SearchParameter, resource: Resource, modifier: str, text: str, now: datetime) -> bool:
    """Return whether a resource fulfils one criterion."""
    found = values(parameter, resource)
    if modifier == "missing":
        return (not found) == (text == "true")
    if modifier == "text":
        found = [value for value in found if isinstance(value, dict)]
    matched = any(MATCHES[kind(parameter, value)](value, modifier, text, "", now) for value in found)
    return not matched if modifier == "not" else matched


def _certain(parameter: SearchParameter, value: Any) -> bool:
    if parameter.type in {"quantity", "number"}:
        return not isinstance(value, dict) or bool(ENDS & value.keys() and not UNCERTAIN & value.keys())
    if parameter.type == "reference":
        if not isinstance(value, dict):
            return ":" in value
        text = str(value.get("reference", ""))
        return text.count("/") == 1 and "#" not in text
    if parameter.type == "date":
        return not isinstance(value, dict) or "repeat" not in value
    if parameter.type == "token" and isinstance(value, dict):
        return bool(value.get("coding") or value.get("code") or value.get("value"))
    return bool(value != "")
