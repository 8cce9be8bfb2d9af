"""Small code systems for tests of the store, as releases and as resources that say the same."""

from collections.abc import Iterable
from typing import Any

from loadtests import nomenclature
from terminology.concept import Head, PropertyDefinition
from terminology.load.release import Release, Row

URL = "http://example.org/small"
PROPERTIES = {"module": PropertyDefinition("module", "code")}


def release(
    rows: Iterable[Row],
    version: str = "1",
    digest: str = "a",
    *,
    case_sensitive: bool = True,
    base: str = "",
    removed: Iterable[str] = (),
) -> Release:
    """Return a release with these concepts."""
    kept = tuple(rows)
    head = Head(
        URL, version, hierarchy="is-a", case_sensitive=case_sensitive, properties=PROPERTIES, resource={"name": "Small"}
    )
    return Release(head, digest, lambda: iter(kept), base=base, removed=frozenset(removed))


def resource(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the CodeSystem resource with the same concepts."""
    head = nomenclature.head(0)
    concepts = []
    for row in rows:
        said = [{"code": one.code, f"value{one.kind[:1].upper()}{one.kind[1:]}": one.value} for one in row.properties]
        said += [{"code": "parent", "valueCode": code} for code in row.parents]
        said += [{"code": "inactive", "valueBoolean": row.inactive}]
        said += [{"code": "notSelectable", "valueBoolean": row.abstract}]
        words = [{"value": one.value, "language": one.language, "use": one.use} for one in row.designations]
        concepts.append({"code": row.code, "display": row.display, "property": said, "designation": words})
    declared = [{"code": one.code, "type": one.kind} for one in head.properties.values()]
    return {
        "resourceType": "CodeSystem", "url": head.url, "version": head.version, "content": "complete",
        "caseSensitive": True, "hierarchyMeaning": "is-a", "property": declared, "concept": concepts,
    }  # fmt: skip
