"""Conditions on concepts: `{{ C active = 1, moduleId = 900000000000207008 }}`."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyroaring import BitMap

from terminology.ecl.nodes import Condition

if TYPE_CHECKING:
    from terminology.ecl.evaluation import Evaluation

COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""How what is stated is compared; what `!=` finds is taken away."""

_DEFINED, _PRIMITIVE = "900000000000073002", "900000000000074008"


async def satisfying(conditions: Sequence[Condition], within: BitMap, evaluation: "Evaluation") -> BitMap:
    """Return the concepts of a set that all conditions select."""
    for one in conditions:
        found = await _selected(one, within, evaluation)
        within = within - found if one.operator == "!=" else within & found
    return within


async def _selected(condition: Condition, within: BitMap, evaluation: "Evaluation") -> BitMap:
    provider = evaluation.provider
    values = [str(one) for one in condition.values]
    match condition.name:
        case "active":
            inactive = await provider.inactive()
            wanted = {one in {"1", "true"} for one in values}
            return within if len(wanted) == 2 else within - inactive if True in wanted else within & inactive
        case "moduleId" if condition.concepts is not None:
            return await evaluation.stating("moduleId", condition.concepts)
        case "definitionStatusId" if condition.concepts is not None:
            codes = await evaluation.codes(condition.concepts)
            values = [name for code, name in ((_DEFINED, "defined"), (_PRIMITIVE, "primitive")) if code in codes]
            return await _defined(values, evaluation)
        case "definitionStatus":
            return await _defined(values, evaluation)
        case _:
            compare = COMPARED[condition.operator]
            stated = await evaluation.stated(condition.name)
            days = {day: day.replace("-", "") for day in stated}
            return BitMap().union(
                *(stated[one] for one, day in days.items() if any(compare(day, each) for each in values))
            )


async def _defined(values: Sequence[str], evaluation: "Evaluation") -> BitMap:
    stated = await evaluation.stated("sufficientlyDefined")
    return BitMap().union(*(stated.get("true" if one == "defined" else "false", BitMap()) for one in values))
