"""Which rules belong to which type. They are asked after the structure of a value, and report what they find themselves."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from profiles.validate.packs import bundles, interfaces, quantities, structures, terminology
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Check, Checks

Pack = Callable[[Json, Place, Walk, "Checks"], None]

PACKS: Mapping[str, Pack] = {
    "Bundle": bundles.check,
    "CapabilityStatement": interfaces.capability_statement,
    "CodeSystem": terminology.code_system,
    "OperationDefinition": interfaces.operation_definition,
    "SearchParameter": interfaces.search_parameter,
    "StructureDefinition": structures.check,
    "ValueSet": terminology.value_set,
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration"), quantities.check),
}

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, IndexError)


def compile(name: str, checks: "Checks") -> "Check | None":  # noqa: A001 - the word for it
    """Return the check of the rules of a type, `None` where it has none."""
    pack = PACKS.get(name)
    if pack is None:
        return None

    def check(node: Json, where: Place, walk: Walk) -> None:
        try:
            pack(node, where, walk, checks)
        except _MALFORMED:
            # Rules are written for values of the right type. Where one is not, that has been reported already.
            if not walk.issues:
                raise

    return check
