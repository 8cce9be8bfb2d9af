"""Small profiles and resources for the tests of profiles."""

from typing import Any

from profiles.issue import Issue

Json = dict[str, Any]
CORE = "http://hl7.org/fhir/StructureDefinition/"
LOINC = "http://loinc.org"


def profile(of: str, *rows: Json, name: str = "p", **more: Any) -> Json:
    return {
        "resourceType": "StructureDefinition", "url": f"http://x.org/{name}", "kind": "resource", "type": of,
        "derivation": "constraint", "baseDefinition": CORE + of, "differential": {"element": list(rows)}, **more,
    }  # fmt: skip


def extension(name: str, *rows: Json, **more: Any) -> Json:
    url = {"path": "Extension.url", "fixedUri": f"http://x.org/{name}"}
    return profile("Extension", *rows, url, name=name, kind="complex-type", **more)


def sliced(path: str, kind: str, by: str, **more: Any) -> Json:
    return {"path": path, "slicing": {"discriminator": [{"type": kind, "path": by}], "rules": "open", **more}}


def said(found: list[Issue]) -> list[tuple[str, str]]:
    return [(one.message_id, one.expression) for one in found]


def concept(code: str, system: str = LOINC) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def observation(**more: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": concept("1"), **more}


def component(code: str, **more: Any) -> Json:
    return {"code": concept(code), **more}


def bundle(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}
