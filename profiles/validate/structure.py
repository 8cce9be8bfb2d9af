"""Does a JSON object have the structure of its type (R4 2.6.2, ElementDefinition): the check that every write takes.

Each type becomes one closure over the tables of its members, made when the type is first met. A closure takes a JSON
object, its place and the walk, reports all that is wrong and goes on.
"""

from collections.abc import Callable, Iterable, Mapping

from profiles.definitions.model import Element, TypeDefinition
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.validate import invariant, members
from profiles.validate.messages import home, shown
from profiles.validate.packs import table
from profiles.validate.walk import Json, Place, Walk

Check = Callable[[Json, Place, Walk], None]

SHORT = 256
"""Nearly every text is shorter; such a one is accepted without the call of a rule where it is what its type allows."""

_ATTRIBUTES = frozenset({"Element.id", "Extension.url"})


class Checks(dict[str, Check]):
    """The closure of each type by name. A missing one is compiled when it is first asked for."""

    def __init__(self, definitions: Definitions, engine: Engine) -> None:
        super().__init__()
        self.definitions = definitions
        self.engine = engine
        self.units = engine.units
        element = definitions.type("Element")
        # A sibling `_x` is an Element, but may consist of an id alone where `x` has the value.
        self.sibling: Check = _check(element, self, bare=True) if element else _nothing

    def __missing__(self, name: str) -> Check:
        definition = self.definitions.type(name)
        if definition is None:
            raise KeyError(name)
        check = self[name] = _check(definition, self)
        return check


def _nothing(node: Json, where: Place, walk: Walk) -> None:
    """Accept anything."""


def _check(  # noqa: C901 - because of the closure in it
    definition: TypeDefinition, checks: Checks, *, bare: bool = False
) -> Check:
    """Return the closure of one type; `bare` lets an object have nothing but an id."""
    rules = _rules(definition, checks)
    required = _required(definition)
    choice_of, choice_required = _choices(definition)
    holds = invariant.compile(definition.invariants, definition.name, definition.name, checks.engine)
    fits = table.compile(definition.name, checks)
    texts = {element.name: members.usual(element, checks) for element in definition.elements.values()}
    filled = not bare and definition.kind != "resource"

    def check(node: Json, where: Place, walk: Walk) -> None:  # noqa: C901 - twenty calls a resource; each of its parts costs
        for key, value in node.items():
            if type(value) is str and 0 < len(value) < SHORT:
                accepts = texts.get(key)
                if accepts is not None and accepts(value):
                    continue
            rule = rules.get(key)
            if rule is not None:
                rule(value, node, where, walk)
            else:
                _unknown(key, definition, where, walk)
        for key, sibling, element in required:
            if key not in node and sibling not in node:
                _missing(element, where, walk)
        if choice_of:
            chosen = [key for key in node if key in choice_of]
            if len(chosen) > 1 or choice_required:
                _one_of_each([choice_of[key] for key in chosen], choice_required, where, walk)
        if filled and len(node) < 2 and (not node or "id" in node):
            _content(node, definition, where, walk)
        if holds is not None:
            holds(node, where, walk)
        if fits is not None:
            fits(node, where, walk)

    return check


def _unknown(key: str, definition: TypeDefinition, where: Place, walk: Walk) -> None:
    """Report a member that the type does not have. Only resources have a resourceType, which is no element."""
    if key != "resourceType" or definition.kind != "resource":
        here = (where, shown(key), None) if key.isidentifier() else where
        hint = walk.hint(key, definition.elements)
        walk.report("unknown-property", here, name=shown(key), type=definition.name, hint=hint)


def _one_of_each(found: list[Element], required: Mapping[str, Element], where: Place, walk: Walk) -> None:
    """Report choices of which several types are there, and those that must be there and are not."""
    by_stem: dict[str, dict[str, str]] = {}
    for one in found:
        by_stem.setdefault(one.choice, {})[one.name] = one.path
    for stem, element in required.items():
        if stem not in by_stem:
            _missing(element, where, walk)
    for stem, options in by_stem.items():
        if len(options) > 1:
            path = next(iter(options.values()))
            walk.report("choice", (where, stem, None), path=path, found=len(options), names=", ".join(options))


def _content(node: Json, definition: TypeDefinition, where: Place, walk: Walk) -> None:
    """Report an object that is empty or has only an id (ele-1)."""
    name = where[1] if isinstance(where[1], str) else definition.name.rpartition(".")[2]
    if not node:
        walk.report("object-empty", where, name=name)
    else:
        walk.report("content-missing", where, name=name)


def _rules(definition: TypeDefinition, checks: Checks) -> dict[str, members.Rule]:
    """Return the rule of each JSON key: of every element, and of the `_x` sibling of every primitive one."""
    rules: dict[str, members.Rule] = {}
    for element in definition.elements.values():
        rules[element.name] = members.rule(element, checks)
        if _has_sibling(element, definition, checks.definitions):
            rules[f"_{element.name}"] = members.sibling(element, checks)
    return rules


def _has_sibling(element: Element, definition: TypeDefinition, definitions: Definitions) -> bool:
    """Return whether `_x` may stand beside the element: a primitive that is no XML attribute and no XHTML."""
    known = definitions.type(element.type)
    attribute = element.path in _ATTRIBUTES or (element.name == "id" and definition.kind != "resource")
    return known is not None and known.kind == "primitive" and element.type != "xhtml" and not attribute


def _required(definition: TypeDefinition) -> tuple[tuple[str, str, Element], ...]:
    elements = (element for element in definition.elements.values() if element.min and not element.choice)
    return tuple((element.name, f"_{element.name}", element) for element in elements)


def _choices(definition: TypeDefinition) -> tuple[Mapping[str, Element], Mapping[str, Element]]:
    """Return the choice member of each JSON key, and one member of each choice that must be present."""
    options = [element for element in definition.elements.values() if element.choice]
    choice_of = {key: element for element in options for key in (element.name, f"_{element.name}")}
    return choice_of, _first_of_each(element for element in options if element.min)


def _first_of_each(elements: Iterable[Element]) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for element in elements:
        found.setdefault(element.choice, element)
    return found


def _missing(element: Element, where: Place, walk: Walk) -> None:
    name = f"{element.choice}[x]" if element.choice else element.name
    walk.report("minimum", where, path=element.path, min=element.min, found=0, url=home(element.path), name=name)
