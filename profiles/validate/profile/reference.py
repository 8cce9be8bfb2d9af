"""Targets of references (ElementDefinition.type.targetProfile): their type, and what is at hand of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from profiles.snapshot.source import Origin
from profiles.validate.messages import shown
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Met, Visit

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]
Check = Callable[[Item, Visit], None]

OPEN = frozenset({"Resource", "DomainResource", ""})
"""Types that leave it open what a reference points to; empty for a profile that is not installed."""


def compile(  # noqa: A001, C901 - the word for it; most of it is the closure
    targets: tuple[str, ...], validator: "ProfileValidator", origin: Origin, code: str
) -> Check:
    """Return the check of a Reference (or canonical) against the profiles that its target may have."""
    url = origin.url
    types: dict[str, str] = {}
    fits: dict[str, list[str]] = {}

    def check(item: Item, visit: Visit) -> None:
        if item.type != code or code != "Reference":
            return
        if not types:
            types.update((target, validator.type_of(target, origin)) for target in targets)
            for target, name in types.items():
                fits.setdefault(name, []).append(target)
        met = visit.resolve(item.part("reference"))
        if met is not None and validator.strict and not any(types.values()):
            value = f"'{shown(item.part('reference'))}'"
            visit.report("reference-unknown-profile", item.where, value=value, allowed=", ".join(types), url=url)
        found = target_type(item, met, validator)
        if not found or not OPEN.isdisjoint(fits):
            return
        fitting = fits.get(found)
        if not fitting:
            allowed = ", ".join(sorted(fits))
            visit.report("reference-target", item.where, found=shown(found), allowed=allowed, url=url)
        elif met is not None:
            _profiles(item, met, fitting, visit)

    def _profiles(item: Item, met: Met, fitting: list[str], visit: Visit) -> None:
        first = ""
        for target in fitting:
            outcome = validator.outcome(
                Item(met[0], None, met[1], str(met[0].get("resourceType"))), target, origin, visit
            )
            if outcome is None or not any(one.fails for one in outcome):
                return
            first = first or next(one.text for one in outcome if one.fails)
        value = f"'{shown(item.part('reference'))}'"
        visit.report("reference-profile", item.where, value=value, allowed=", ".join(fitting), url=url, reason=first)

    return check


def target_type(item: Item, met: Met | None, validator: "ProfileValidator") -> str:
    """Return the resource type that a reference points to, nothing where it leaves that open."""
    if met is not None:
        return str(met[0].get("resourceType", ""))
    declared = item.part("type")
    types = validator.snapshots.source.definitions.resource_types
    if isinstance(declared, str):
        name = declared.rpartition("/")[2]
        return name if name in types else ""
    text = item.part("reference")
    if not isinstance(text, str):
        return ""
    parts = text.partition("?")[0].partition("/_history/")[0].split("/")
    name = parts[0] if "?" in text else (parts[-2] if len(parts) > 1 else "")
    return name if name in types else ""
