"""Which types operators and functions take, and what operators give, as far as types alone tell."""

from collections.abc import Mapping

from profiles.fhirpath.functions.row import Takes

INPUTS: Mapping[Takes, frozenset[str]] = {
    "Boolean": frozenset({"Boolean"}),
    "Integer": frozenset({"Integer"}),
    "Number": frozenset({"Integer", "Decimal"}),
    "String": frozenset({"String"}),
    "Quantity": frozenset({"Quantity"}),
    "Sized": frozenset({"Integer", "Decimal", "Quantity"}),
}
"""The types that a function is called on."""

_ANY_BOOLEAN = frozenset({"=", "!=", "~", "!~", "in", "contains", "and", "or", "xor", "implies"})
_ORDER = frozenset({"<", ">", "<=", ">="})
_NUMBERS = ("Integer", "Decimal")
_FAMILIES: Mapping[str, str] = {
    "Integer": "number",
    "Decimal": "number",
    "String": "string",
    "Date": "date",
    "DateTime": "date",
    "Time": "time",
    "Quantity": "quantity",
}
_TIMES = ("Date", "DateTime", "Time")
_SUM = {("Integer", "Integer"): "Integer", ("Quantity", "Quantity"): "Quantity"} | {
    (one, other): "Decimal" for one in _NUMBERS for other in _NUMBERS if (one, other) != ("Integer", "Integer")
}
_PRODUCT = _SUM | {pair: "Quantity" for one in _NUMBERS for pair in ((one, "Quantity"), ("Quantity", one))}

OPERATIONS: Mapping[str, Mapping[tuple[str, str], str]] = {
    "+": _SUM | {("String", "String"): "String"} | {(one, "Quantity"): one for one in _TIMES},
    "-": _SUM | {(one, "Quantity"): one for one in _TIMES},
    "*": _PRODUCT,
    "/": {pair: "Quantity" if "Quantity" in pair else "Decimal" for pair in _PRODUCT},
    "div": {(one, other): "Integer" for one in _NUMBERS for other in _NUMBERS},
    "mod": {pair: given for pair, given in _SUM.items() if "Quantity" not in pair},
    "&": {("String", "String"): "String"},
}
"""What an operator gives for the types on either side."""

_TAKES: Mapping[str, str] = {
    "+": "add numbers, strings or quantities to their own kind, or time with its unit (7 days) to a date",
    "-": "subtract numbers or quantities from their own kind, or time with its unit (7 days) from a date",
    "*": "multiply numbers or quantities",
    "/": "divide numbers or quantities",
    "div": "divide numbers",
    "mod": "divide numbers",
    "&": "join strings; toString() makes one",
}


def takes(operator: str) -> str:
    """Return what an operator takes, as the end of a message."""
    return _TAKES.get(
        operator, "only numbers, strings, dates, times or quantities are ordered, each with their own kind"
    )


def result(operator: str, left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    """Return the types that an operator may give; none where that is not known, `None` where it can never give anything."""
    if operator in _ANY_BOOLEAN:
        return frozenset({"Boolean"})
    if not left or not right:
        return frozenset({"Boolean"}) if operator in _ORDER else frozenset({"String"} if operator == "&" else ())
    pairs = [(one, other) for one in left for other in right]
    if operator in _ORDER:
        fits = any(one in _FAMILIES and _FAMILIES.get(other) == _FAMILIES[one] for one, other in pairs)
        return frozenset({"Boolean"}) if fits else None
    return frozenset(OPERATIONS[operator][pair] for pair in pairs if pair in OPERATIONS[operator]) or None
