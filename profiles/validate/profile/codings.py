"""Codings wherever they stand (R4 4.1): a system that is one, a code that it has, and its display."""

from typing import TYPE_CHECKING, Any

from profiles.validate.messages import shown
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]


def check(value: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check one Coding."""
    system, code, display = value.get("system"), value.get("code"), value.get("display")
    if type(system) is not str:
        return
    if ":" not in system:
        visit.report("coding-relative", (where, "system", None), system=shown(system))
        return
    if type(code) is not str:
        return
    given, version = display if type(display) is str else None, value.get("version")
    said = validator.systems.said(system, version, code, given)
    asking = visit.shared.asking
    if said is None and asking is not None and asking.codes:
        visit.shared.outside += 1
        said = validator.systems.told(asking, (system, version if type(version) is str else "", code), given)
    if said is not None:
        message_id, member, places = said
        if message_id == "display" and _displayed(system, code, str(display), visit, validator):
            return
        visit.report(
            f"{message_id}-error" if message_id == "display" and validator.strict else message_id,
            (where, member, None),
            **places,
        )


def _displayed(system: str, code: str, display: str, visit: Visit, validator: "ProfileValidator") -> bool:
    """Return whether a value set that an element of the resource is bound to displays the code so."""
    folded, shared = display.casefold(), visit.shared
    shared.outside += 1
    return any(
        one.casefold() == folded
        for bound in (*shared.bound, *shared.before)
        for one in validator.codes.displays(bound, system, code)
    )
