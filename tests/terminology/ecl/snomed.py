"""A small code system of SNOMED CT's shape; its concepts are made up."""

from typing import Any

from terminology.codesystem.listed import Listed

SITE, MORPHOLOGY, STRENGTH, BRAND = "363698007", "116676008", "1142135004", "774159003"
FSN, SYNONYM = "900000000000003001", "900000000000013009"
SAME_AS, REFSET, ASSOCIATION = "900000000000527005", "700043003", "900000000000522004"
CODES: dict[str, str] = {
    "root": "138875005",
    "finding": "404684003",
    "disease": "64572001",
    "heart": "56265001",
    "attack": "22298006",
    "oldattack": "194796000",
    "lung": "19829001",
    "burn": "125666000",
    "body": "123037004",
    "heartpart": "80891009",
    "valve": "17401000",
    "lungpart": "39607008",
    "change": "118956008",
    "infarct": "55641003",
    "fibrosis": "112674009",
    "attribute": "762705008",
    "site": SITE,
    "morphology": MORPHOLOGY,
    "strength": STRENGTH,
    "brand": BRAND,
    "drug": "763158003",
    "tablet5": "776000001",
    "tablet10": "776000002",
    "refset": REFSET,
    "history": ASSOCIATION,
    "same": SAME_AS,
}
NAMES = {code: name for name, code in CODES.items()}


def concept(name: str, display: str, *parents: str, inactive: bool = False, **stated: Any) -> dict[str, Any]:
    properties: list[dict[str, Any]] = [{"code": "parent", "valueCode": CODES[one]} for one in parents]
    properties.append({"code": "sufficientlyDefined", "valueBoolean": "form" in stated})
    properties.append({"code": "moduleId", "valueCode": stated.pop("module", "900000000000207008")})
    properties.append({"code": "effectiveTime", "valueDateTime": stated.pop("time", "2020-01-31")})
    if inactive:
        properties.append({"code": "inactive", "valueBoolean": True})
    names = stated.pop("names", ())
    for code, value in stated.pop("attributes", ()):
        properties.append({"code": code, "valueDecimal" if isinstance(value, int) else "valueCode": value})
    if "form" in stated:
        properties.append({"code": "normalFormTerse", "valueString": stated["form"]})
    uses = [{"value": f"{display} (x)", "language": "en", "use": {"code": FSN}}]
    uses += [
        {"value": text, "language": language, "use": {"code": SYNONYM}} for text, language in ((display, "en"), *names)
    ]
    return {"code": CODES[name], "display": display, "property": properties, "designation": uses}


def release(*, groups: bool = True) -> Listed:
    """Return the code system, with what tells groups of attributes or without it."""
    c = CODES
    both = ((SITE, c["heartpart"]), (MORPHOLOGY, c["infarct"]), (SITE, c["lungpart"]), (MORPHOLOGY, c["fibrosis"]))
    concepts = [
        concept("root", "SNOMED CT Concept"),
        concept("finding", "Clinical finding", "root"),
        concept("disease", "Disease", "finding"),
        concept("heart", "Heart disease", "disease", attributes=((SITE, c["heartpart"]),), form=f"{c['disease']}:{{{SITE}={c['heartpart']}}}"),
        concept(
            "attack", "Myocardial infarction", "heart",
            names=(("Heart attack", "en-US"), ("Cardiac infarction", "en-GB"), ("Herzinfarkt", "de")),
            attributes=((SITE, c["valve"]), (MORPHOLOGY, c["infarct"]), ("memberOf", REFSET)),
            form=f"{c['heart']}:{{{SITE}={c['valve']},{MORPHOLOGY}={c['infarct']}}}",
        ),
        concept("oldattack", "Old heart attack", "root", inactive=True, attributes=((SAME_AS, c["attack"]),), module="900000000000012004"),
        concept(
            "lung", "Fibrosing alveolitis with infarct", "disease", "heart",
            attributes=(*both, ("memberOf", REFSET)), time="2024-07-31",
            form=f"{c['disease']}:{{{SITE}={c['heartpart']},{MORPHOLOGY}={c['infarct']}}},{{{SITE}={c['lungpart']},{MORPHOLOGY}={c['fibrosis']}}}",
        ),
        concept("burn", "Burn", "disease"),
        concept("body", "Body structure", "root"),
        concept("heartpart", "Heart structure", "body"),
        concept("valve", "Valve", "heartpart"),
        concept("lungpart", "Lung structure", "body"),
        concept("change", "Morphologic change", "body"),
        concept("infarct", "Infarct", "change"),
        concept("fibrosis", "Fibrosis", "change"),
        concept("attribute", "Concept model attribute", "root"),
        *(concept(name, name, "attribute") for name in ("site", "morphology", "strength", "brand")),
        concept("drug", "Product", "root"),
        concept("tablet5", "Tablet 5 mg", "drug", attributes=((STRENGTH, 5), (BRAND, "Good Drug"))),
        concept("tablet10", "Tablet 10 mg", "drug", attributes=((STRENGTH, 10),)),
        concept("refset", "A reference set", "root"),
        concept("history", "Historical association", "root"),
        concept("same", "SAME AS", "history"),
    ]  # fmt: skip
    if not groups:
        for one in concepts:
            one["property"] = [row for row in one["property"] if row["code"] != "normalFormTerse"]
    kinds = {SITE: "code", MORPHOLOGY: "code", STRENGTH: "decimal", BRAND: "code", SAME_AS: "code"}
    kinds |= {
        "memberOf": "code",
        "moduleId": "code",
        "effectiveTime": "dateTime",
        "sufficientlyDefined": "boolean",
        "parent": "code",
    }
    kinds |= {"normalFormTerse": "string"} if groups else {}
    return Listed(
        {
            "resourceType": "CodeSystem",
            "url": "http://snomed.info/sct",
            "version": "http://snomed.info/sct/900000000000207008/version/20260101",
            "status": "active",
            "content": "complete",
            "language": "en",
            "hierarchyMeaning": "is-a",
            "property": [{"code": code, "type": kind} for code, kind in kinds.items()],
            "concept": concepts,
        }
    )
