"""Values of resources said as search values: what a client would type to find them, told by the shape of the JSON."""

from collections.abc import Callable, Iterator
from typing import Any

from profiles.definitions.model import SearchParameter
from tests.search.naive import evaluate, evaluate_typed

Resource = dict[str, Any]

MONEY = "urn:iso:std:iso:4217"


def sayings(parameter: SearchParameter, resource: Resource) -> Iterator[str]:
    """Yield search values that select the resource by the parameter; none where it has nothing for it."""
    if parameter.expression.endswith("Patient.deceased != false"):
        yield "true" if resource.get("deceasedBoolean") is True or "deceasedDateTime" in resource else "false"
        return
    for kind, value in evaluate_typed(parameter.expression, resource):
        if isinstance(value, dict):
            if value.get("resourceType", "Resource") in {"Resource", *parameter.targets}:
                yield from SAYINGS[parameter.type](value)
        elif (parameter.type, kind) != ("date", "string") and (parameter.type != "reference" or value[0] != "#"):
            yield _flag_or_text(value)


def joined(parameter: SearchParameter, types: list[str], resource: Resource) -> Iterator[str]:
    """Yield search values of a composite parameter, whose components have the types."""
    for node in evaluate(parameter.expression, resource):
        parts: list[str] = []
        for component, kind in zip(parameter.components, types, strict=True):
            whole = component.expression.startswith("%resource.")
            values = evaluate(component.expression.removeprefix("%resource."), resource if whole else node)
            said = [
                text
                for value in values
                for text in (SAYINGS[kind](value) if isinstance(value, dict) else [_flag_or_text(value)])
            ]
            parts += said[:1]
        if len(parts) == len(types):
            yield "$".join(parts)


def escaped(text: str) -> str:
    """Return a text with what separates values marked as plain."""
    for special in "\\,|$":
        text = text.replace(special, f"\\{special}")
    return text


def _flag_or_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else escaped(str(value))


def _token(value: Resource) -> Iterator[str]:
    for coded in value.get("coding", [value]):
        code = coded.get("code", coded.get("value", ""))
        if code:
            of = coded.get("system", "") if "rank" not in coded and "use" not in coded else ""
            yield f"{escaped(of)}|{escaped(code)}" if ":" in of else escaped(code)


def _reference(value: Resource) -> Iterator[str]:
    if "resourceType" in value:
        yield f"{value['resourceType']}/{value['id']}"
    elif value.get("reference", "#")[0] != "#":
        yield escaped(value["reference"])


def _date(value: Resource) -> Iterator[str]:
    if "start" in value:
        yield f"ge{value['start']}"
    elif "end" in value:
        yield f"le{value['end']}"
    for event in value.get("event", []):
        yield f"ge{event}"
    yield from _date(value.get("repeat", {}).get("boundsPeriod", {})) if "repeat" in value else ()


def _number(value: Resource) -> Iterator[str]:
    for side in ("low", "high"):
        if side in value:
            yield f"{'ge' if side == 'low' else 'le'}{value[side]['value']}"


def _quantity(value: Resource) -> Iterator[str]:
    if "currency" in value:
        yield f"{value['value']}|{MONEY}|{value['currency']}"
    elif "origin" in value:
        yield f"ge{value['lowerLimit']}" if "lowerLimit" in value else "ge-100000"
    elif "low" in value or "high" in value:
        yield from _number(value)
    elif "value" in value:
        prefix = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.get(value.get("comparator", ""), "")
        unit = f"|{escaped(value.get('system', ''))}|{escaped(value['code'])}" if "code" in value else ""
        yield f"{prefix}{value['value']}{unit}"


def _string(value: Resource) -> Iterator[str]:
    for part in ("family", "text", "city", "given", "line", "country", "postalCode"):
        told = value.get(part)
        if told:
            yield escaped(told if isinstance(told, str) else told[0])


def _place(value: Resource) -> Iterator[str]:
    yield f"{value['latitude']}|{value['longitude']}|1|km"


SAYINGS: dict[str, Callable[[Resource], Iterator[str]]] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "string": _string,
    "special": _place,
    "uri": lambda _: iter(()),
}
"""How a value that is an object is said, by the type of its parameter."""
