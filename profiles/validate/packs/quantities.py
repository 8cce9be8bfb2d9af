"""Quantities in units of UCUM (R4 2.24.0.7): the code is a unit."""

import re
from typing import TYPE_CHECKING

from profiles.validate.messages import shown
from profiles.validate.packs.messages import report
from profiles.validate.walk import Json, Place, Walk

if TYPE_CHECKING:
    from profiles.validate.structure import Checks

UCUM = "http://unitsofmeasure.org"

_ANNOTATION = re.compile(r"\{[^{}]*\}")


def check(node: Json, where: Place, walk: Walk, checks: "Checks") -> None:
    """Report a code that is no unit, where the system is UCUM."""
    if node.get("system") != UCUM or checks.units is None:
        return
    code = node.get("code")
    if type(code) is not str:
        return
    reason = checks.units.validate(code)
    if not reason:
        return
    annotated = " " in code and not checks.units.validate(_ANNOTATION.sub("{}", code))
    message = "ucum-annotation" if annotated else "ucum-code"
    report(walk, message, (where, "code", None), value=shown(code), reason=shown(reason, 240))
