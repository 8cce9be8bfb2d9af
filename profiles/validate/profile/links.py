"""Links of a narrative into its own resource (R4 Narrative.div): `href="#x"` names something there."""

import re
from typing import TYPE_CHECKING, Any

from profiles.validate.messages import shown
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]

_LINK = re.compile(r"""<a\s[^>]{0,2000}?href\s*=\s*["']#([^"']{1,300})["']""")


def check(value: Json, where: Place, visit: Visit, validator: "ProfileValidator") -> None:
    """Check the links of one narrative."""
    div = value.get("div")
    if not isinstance(div, str) or ('"#' not in div and "'#" not in div):
        return
    links = dict.fromkeys(_LINK.findall(div))
    if not links:
        return
    known = visit.anchors()
    for link in links:
        if link not in known:
            message = "link-error" if validator.strict else "link"
            visit.report(message, (where, "div", None), link=shown(f"#{link}"))
