"""What stands above and below, told without the server: `:above` and `:below` spelt out as the list that they stand for.

Codes follow the hierarchies of R4's CodeSystems (R4 3.1.1.4.10), instances what they say they are part of (3.1.1.4.12).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from tests.search.oracle import Resource, elements, parameters

PARTS = {"Encounter": "partOf", "Location": "partOf", "Organization": "partOf", "Procedure": "partOf"}
"""Where a resource names what it is a part of."""

LINKS = {
    "Condition": ("CarePlan", "condition", "addresses"),
    "Encounter": ("Observation", "encounter", "encounter"),
    "Location": ("Encounter", "location", "location.location"),
    "Organization": ("Encounter", "service-provider", "serviceProvider"),
}
"""Some chains that lead to resources with hierarchies: source, parameter and path."""

Above = Mapping[str, set[str]]
"""What stands directly above each."""


@dataclass(frozen=True, slots=True)
class Kin:
    """The hierarchies of codes, by system, and of instances, by type with `Type/id`."""

    codes: Mapping[str, Above]
    instances: Mapping[str, Above]

    def spelt(self, name: str, text: str) -> tuple[str, str]:
        """Return a criterion with what is above or below listed; any other as it is."""
        code, _, modifier = name.partition(":")
        if modifier not in {"above", "below"}:
            return name, text
        return code, ",".join(one for each in text.split(",") for one in sorted(self._kin(each, modifier)))

    def _kin(self, text: str, modifier: str) -> set[str]:
        if "|" in text:
            system, _, code = text.partition("|")
            return {f"{system}|{one}" for one in related(self.codes[system], code, modifier)}
        ids = [text] if "/" in text else [f"{target}/{text}" for target in PARTS]
        return {one for each in ids for one in related(self.instances[each.partition("/")[0]], each, modifier)}


def kin(codes: Mapping[str, Above], resources: Mapping[str, list[Resource]]) -> Kin:
    """Return the hierarchies of the code systems, and of the resources that were stored."""
    instances = {
        name: {
            f"{name}/{one['id']}": {value["reference"] for value in elements(one, path) if "reference" in value}
            for one in resources[name]
        }
        for name, path in PARTS.items()
    }
    return Kin(codes, instances)


def related(above: Above, start: str, modifier: str) -> set[str]:
    """Return one with all that is above it, or below it, however far."""
    found, edge = {start}, {start}
    while edge:
        if modifier == "above":
            near = {one for each in edge for one in above.get(each, ())}
        else:
            near = {one for one, parents in above.items() if parents & edge}
        edge = near - found
        found |= edge
    return found


def criteria(chance: Random, resource_type: str, pool: list[Resource], known: Kin) -> Iterator[tuple[str, str]]:
    """Yield for each parameter of a type that has values in a hierarchy a criterion about a relative of one of them."""
    for code, (kind, paths) in parameters(resource_type).items():
        found = [value for resource in pool for value in elements(resource, paths)]
        name, _, system = kind.partition(" ")
        places: list[str] = []
        if name == "reference":
            stated = [value.get("reference", "").partition("/") for value in found]
            places = [f"{target}/{identity}" for target, _, identity in stated if target in PARTS]
        elif name == "token":
            coded = [one for value in found for one in value.get("coding", [value]) if one.get("code")]
            places = [f"{one.get('system')}|{one['code']}" for one in coded]
        elif name == "code" and system:
            places = [f"{system}|{value}" for value in found]
        places = [one for one in dict.fromkeys(places) if _there(one, known)]
        if places:
            chosen = [_near(chance, chance.choice(places), known) for _ in range(chance.choice([1, 1, 2]))]
            yield f"{code}:{chance.choice(['above', 'below'])}", ",".join(chosen)


def _there(place: str, known: Kin) -> bool:
    """Return whether a place is one in a hierarchy that has levels."""
    system, bar, code = place.partition("|")
    return code in known.codes.get(system, ()) and any(known.codes[system].values()) if bar else True


def _near(chance: Random, place: str, known: Kin) -> str:
    system, bar, code = place.partition("|")
    above = known.codes[system] if bar else known.instances[place.partition("/")[0]]
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        start = code if bar else place
        step = related(above, start, chance.choice(["above", "below"]))
        chosen = chance.choice(sorted(step))
        code, place = (chosen, place) if bar else (code, chosen)
    if bar:
        return f"{system}|{code}"
    return chance.choice([place, place, place.partition("/")[2]])
