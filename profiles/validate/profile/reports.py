"""MeasureReports against their Measure (R4 MeasureReport 10.9.3): groups, populations and stratifiers that it defines."""

from typing import TYPE_CHECKING, Any

from profiles.validate.messages import shown
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]

PARTS = (("population", "code"), ("stratifier", "code"))


def check(resource: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check a MeasureReport whose Measure is at hand."""
    measure = validator.codes.resource("Measure", str(resource.get("measure", "")))
    if measure is None:
        return
    defined, groups = _rows(measure, "group"), _rows(resource, "group")
    alone = len(defined) == 1 and len(groups) == 1
    for index, group in enumerate(groups):
        place: Place = (where, "group", index)
        fitting = [one for one in defined if alone or _same(one.get("code"), group.get("code"))]
        if not fitting:
            visit.report("report-group", place, code=_shown(group.get("code")))
            continue
        for name, _ in PARTS:
            known = [row.get("code") for row in _rows(fitting[0], name)]
            for number, row in enumerate(_rows(group, name)):
                codes = row.get("code")
                codes = codes if isinstance(codes, list) else [codes]
                if not any(_same(one, code) for one in known for code in codes):
                    visit.report("report-part", (place, name, number), part=name, code=_shown(codes[0]))
    for one in defined:
        if not alone and not any(_same(one.get("code"), group.get("code")) for group in groups):
            visit.report("report-group-missing", where, code=_shown(one.get("code")))


def _rows(value: Json, name: str) -> list[Json]:
    rows = value.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _same(one: Any, other: Any) -> bool:
    """Return whether two concepts have a coding in common, or the same text."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    codings = [{(row.get("system"), row.get("code")) for row in _rows(concept, "coding")} for concept in (one, other)]
    return bool(codings[0] & codings[1]) or (one.get("text") is not None and one.get("text") == other.get("text"))


def _shown(concept: Any) -> str:
    if not isinstance(concept, dict):
        return "none"
    rows = _rows(concept, "coding")
    return shown(rows[0].get("code") if rows else concept.get("text", "none"))
