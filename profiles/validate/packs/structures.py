"""StructureDefinition as a whole (R4 5.3): its type, the paths of its elements, and the expressions of its constraints.

What a profile says against its base is found where its snapshot is made (`profiles.snapshot`).
"""

import re
from typing import TYPE_CHECKING

from profiles.definitions.model import TypeDefinition
from profiles.definitions.registry import Definitions
from profiles.fhirpath.errors import FhirPathError
from profiles.validate.messages import shown
from profiles.validate.packs.messages import report
from profiles.validate.published import MENDED, RULES
from profiles.validate.rules.shape import inner, many
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks

_HOME = "http://hl7.org/fhir/StructureDefinition/"
_MEMBERS = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*", re.ASCII)
_UNNAMED = frozenset(
    {"Element", "BackboneElement", "Resource", "DomainResource", "Extension", "Reference", "canonical"}
)
_DISCRIMINATING = frozenset({"value", "pattern", "exists"})
_MOST_CONSTRAINTS = 2_000
_DEEPEST = 64
"""Steps of a path that are followed; no definition is nested so deeply, and thousands of such paths would take minutes."""


def check(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report what is wrong with a StructureDefinition by itself."""
    kind = node.get("type")
    if type(kind) is not str:
        return
    _type(node, kind, where, walk, checks.definitions)
    _url(node, kind, where, walk)
    _contexts(node, where, walk, checks.definitions)
    begin = kind.rpartition("/")[2]
    constraints = 0
    for view in ("snapshot", "differential"):
        for index, element in enumerate(inner(node, view, "element")):
            here = ((where, view, None), "element", index)
            path = element.get("path")
            if type(path) is not str:
                continue
            if path.partition(".")[0] != begin:
                report(walk, "path-begin", here, path=shown(path), type=shown(begin))
            if view == "differential" or "differential" not in node:
                _discriminators(element, path, here, walk, checks.definitions)
                constraints += len(many(element, "constraint"))
                if constraints <= _MOST_CONSTRAINTS:
                    _constraints(element, path, here, walk, checks)


def _type(node: Json, kind: str, where: Place, walk: Walk, definitions: Definitions) -> None:
    base = node.get("baseDefinition")
    new = node.get("derivation") == "specialization"
    own = node.get("url") == f"{_HOME}{kind}"
    if ":" not in kind and not own and definitions.type(kind) is None:
        report(
            walk, "type-undefined", (where, "type", None), value=shown(kind), hint=walk.hint(kind, definitions.types)
        )
    elif new and type(base) is str and base in {kind, f"{_HOME}{kind}"}:
        report(walk, "type-of-base", (where, "type", None), value=shown(kind))


def _url(node: Json, kind: str, where: Place, walk: Walk) -> None:
    """Report a fixed URL of an extension that is not its canonical URL."""
    url = node.get("url")
    if kind != "Extension" or type(url) is not str or node.get("derivation") != "constraint":
        return
    for view in ("snapshot", "differential"):
        for index, element in enumerate(inner(node, view, "element")):
            fixed = element.get("fixedUri")
            if element.get("path") == "Extension.url" and type(fixed) is str and fixed != url:
                here = ((where, view, None), "element", index)
                report(
                    walk, "extension-url", (here, "fixed.ofType(uri)", None), found=shown(fixed), expected=shown(url)
                )


def _contexts(node: Json, where: Place, walk: Walk, definitions: Definitions) -> None:
    for index, context in enumerate(many(node, "context")):
        expression = context.get("expression")
        if context.get("type") != "element" or type(expression) is not str or not _MEMBERS.fullmatch(expression):
            continue
        name, _, rest = expression.partition(".")
        known = definitions.type(name)
        if known is None or (rest and _at(known, rest.split("."), definitions) == ()):
            hint = walk.hint(name, definitions.types) if known is None else ""
            report(walk, "context-element", (where, "context", index), value=shown(expression), hint=hint)


def _constraints(element: Json, path: str, where: Place, walk: Walk, checks: "Checks") -> None:
    name = _of_path(path, checks.definitions)
    for index, one in enumerate(many(element, "constraint")):
        expression = one.get("expression")
        if type(expression) is not str or not expression or expression in MENDED:
            continue
        try:
            checks.engine.compile(expression, name, RULES)
        except FhirPathError as error:
            message = "constraint-syntax" if error.when in {"syntax", "limit"} else "constraint-expression"
            places = {"key": shown(one.get("key")), "value": shown(expression), "reason": str(error)}
            report(walk, message, ((where, "constraint", index), "expression", None), **places)


def _of_path(path: str, definitions: Definitions) -> str | None:
    """Return the type of the elements of a path where that is one and says all that may be in them, else `None`."""
    name, _, rest = path.partition(".")
    known = definitions.type(name)
    if known is None or not rest:
        return None if known is None else name
    found = _at(known, rest.split("."), definitions)
    return found[0] if found is not None and len(found) == 1 and found[0] not in _UNNAMED else None


def _discriminators(element: Json, path: str, where: Place, walk: Walk, definitions: Definitions) -> None:
    slicing = element.get("slicing")
    name, _, rest = path.partition(".")
    known = definitions.type(name)
    if type(slicing) is not dict or known is None:
        return
    sliced = _at(known, rest.split("."), definitions) if rest else (name,)
    for index, one in enumerate(many(slicing, "discriminator")):
        text = one.get("path")
        if (
            not sliced
            or one.get("type") not in _DISCRIMINATING
            or type(text) is not str
            or not _MEMBERS.fullmatch(text)
        ):
            continue
        if not any(_leads(kind, text.split("."), definitions) for kind in sliced):
            here = ((where, "slicing", None), "discriminator", index)
            report(
                walk,
                "discriminator-path",
                (here, "path", None),
                value=shown(text),
                path=shown(path),
                types=", ".join(sliced[:5]),
            )


def _leads(name: str, steps: list[str], definitions: Definitions) -> bool:
    known = definitions.type(name)
    return known is None or known.name in {"Resource", "DomainResource"} or _at(known, steps, definitions) != ()


def _at(start: TypeDefinition, steps: list[str], definitions: Definitions) -> tuple[str, ...] | None:
    """Return the types of what members lead to, `()` where they lead nowhere, `None` where that cannot be told."""
    if len(steps) > _DEEPEST:
        return None
    found: tuple[TypeDefinition, ...] = (start,)
    names: tuple[str, ...] = (start.name,)
    for step in steps:
        stem = step.removesuffix("[x]")
        names = tuple(
            dict.fromkeys(
                one.type
                for definition in found
                for one in definition.elements.values()
                if stem in {one.name, one.choice} or (step.endswith("[x]") and stem == one.choice)
            )
        )
        if not names:
            return ()
        types = [definitions.type(name) for name in names]
        if any(one is None for one in types) or "Resource" in names:
            return None
        found = tuple(one for one in types if one is not None)
    return names
