"""Every kind of damage is caught, on every official example where it applies."""

from collections import Counter
from typing import Any
from zlib import crc32

from profiles.definitions.registry import Definitions
from profiles.validate.validator import Validator
from tests.profiles.damage import KINDS, Site, sites

LARGE = 24


def shortened(value: Any) -> Any:
    """Return a copy with at most 24 items in an array: a few examples are megabytes of the same."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    return [shortened(item) for item in value[:LARGE]] if isinstance(value, list) else value


def fails(validator: Validator, resource: dict[str, Any]) -> bool:
    return any(issue.fails for issue in validator.check(resource))


def test_every_kind_of_damage_is_caught_on_every_example(
    validator: Validator, definitions: Definitions, examples: dict[str, dict[str, Any]]
) -> None:
    applied: Counter[str] = Counter()
    missed: list[str] = []
    spoilt = 0
    for name, original in examples.items():
        resource = shortened(original)
        if fails(validator, resource):
            continue
        spoilt += 1
        by_trait = _by_trait(list(sites(resource, definitions)))
        for kind, (traits, damage) in KINDS.items():
            candidates = by_trait(traits)
            if candidates:
                site = candidates[crc32(f"{kind} {name}".encode()) % len(candidates)]
                before = dict(site.node)
                damage(site)
                applied[kind] += 1
                if not fails(validator, resource):
                    missed.append(f"{name}: {kind} at {site.definition.name} {site.key}")
                site.node.clear()
                site.node.update(before)
    assert missed == []
    assert spoilt == 720 - 11  # those that are wrong to begin with
    assert set(applied) == set(KINDS)
    assert len(applied) >= 80
    assert applied.total() > 30_000


def _by_trait(all_sites: list[Site]) -> Any:
    found: dict[str, list[Site]] = {}
    for site in all_sites:
        for trait in site.traits:
            found.setdefault(trait, []).append(site)

    def candidates(traits: str) -> list[Site]:
        first, *others = traits.split()
        return (
            [site for site in found.get(first, ()) if site.traits.issuperset(others)]
            if others
            else found.get(first, [])
        )

    return candidates
