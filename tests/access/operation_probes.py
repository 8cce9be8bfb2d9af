"""The table of the leak harness: what is asked of each operation."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from tests.access.ground import ABSENT, PARAMETERS, Ground, get
from tests.access.house import Json
from tests.access.record import reference
from tests.access.twins import Probe

SYSTEM = "urn:system:hidden"
"""Of codes that only hidden resources have."""


def matching(_: Ground) -> Iterator[Probe]:
    for name, more in (("Bo", {"birthDate": "1980-01-01", "gender": "male"}), ("Ann", {"birthDate": "1970-01-01"})):
        wanted = {"resourceType": "Patient", "name": [{"family": name}], **more}
        for count in (1, 10):
            rows = [{"name": "resource", "resource": wanted}, {"name": "count", "valueInteger": count}]
            yield Probe("POST", "Patient/$match", {**PARAMETERS, "parameter": rows})


def on_everything(path: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation that works on everything, which is not for who sees a part."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind in ground.types if "{type}" in path else [""]:
            yield Probe(method, path.replace("{type}", kind), PARAMETERS if method == "POST" else None)

    return probes


def _said(**values: Any) -> Json:
    """Return a Parameters resource: of references by their text, and of strings."""
    rows: list[Json] = []
    for name, value in values.items():
        held = {"valueReference": reference(value)} if "/" in str(value) else {"valueString": value}
        rows.append(
            {"name": name.replace("_", "-"), **(held if not isinstance(value, bool) else {"valueBoolean": value})}
        )
    return {**PARAMETERS, "parameter": rows}


def files(ground: Ground) -> Iterator[Probe]:
    """Yield requests for files of exports that nobody here has asked for."""
    for kind in ground.types:
        yield get(f"$export-file?job={ABSENT}&name={kind}-0.ndjson")


def imports(_: Ground) -> Iterator[Probe]:
    """Yield requests for imports that nobody here has asked for."""
    yield from (Probe(method, f"$import-status?job={ABSENT}") for method in ("GET", "DELETE"))


def submissions(operation: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of submissions that nobody here has made."""

    def probes(_: Ground) -> Iterator[Probe]:
        rows: list[Json] = [
            {"name": "submitter", "valueIdentifier": {"system": SYSTEM, "value": "nobody"}},
            {"name": "submissionId", "valueString": ABSENT},
        ]
        yield Probe("POST", operation, {**PARAMETERS, "parameter": rows})

    return probes


def telling_of_submissions(_: Ground) -> Iterator[Probe]:
    yield get("$bulk-submit-status?submission=bm9ib2R5IG5vbmU=")


def lines(ground: Ground) -> Iterator[Probe]:
    """Yield imports that are refused before anything is fetched; what lines may do, `test_importing` shows."""
    for kind in ground.types:
        parts = [{"name": "type", "valueCode": kind}, {"name": "url", "valueUrl": "https://10.0.0.1/lines"}]
        yield Probe("POST", "$import", {**PARAMETERS, "parameter": [{"name": "input", "part": parts}]})


PATIENTS = ("Patient/bo", "Patient/linked", f"Patient/{ABSENT}")
"""Patients who are hidden, and one who never was."""


def breaking_glass(_: Ground) -> Iterator[Probe]:
    for patient in PATIENTS:
        yield Probe("POST", f"{patient}/$break-glass", _said(reason="unconscious"))
        yield Probe("POST", f"{patient}/$break-glass", PARAMETERS)


def linking(operation: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation that joins two patients or parts them."""

    def probes(_: Ground) -> Iterator[Probe]:
        for patient in PATIENTS:
            yield Probe("POST", f"{patient}/{operation}", _said(other="Patient/ann"))
            yield Probe("POST", f"Patient/ann/{operation}", _said(other=patient))

    return probes


def merging(_: Ground) -> Iterator[Probe]:
    for patient in PATIENTS:
        for preview in (True, False):
            yield Probe(
                "POST", "Patient/$merge", _said(source_patient=patient, target_patient="Patient/ann", preview=preview)
            )
            yield Probe(
                "POST", "Patient/$merge", _said(source_patient="Patient/ann", target_patient=patient, preview=preview)
            )


def unmerging(_: Ground) -> Iterator[Probe]:
    yield from (Probe("POST", f"{patient}/$unmerge", PARAMETERS) for patient in PATIENTS)


def inviting(_: Ground) -> Iterator[Probe]:
    yield Probe("POST", "Organization/west/$invite", _said(facility="Organization/east"))


def leaving(_: Ground) -> Iterator[Probe]:
    yield from (Probe("POST", f"Organization/{name}/$leave", PARAMETERS) for name in ("west", "east"))


def of_patients(operation: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation on a patient that only tells something."""

    def probes(_: Ground) -> Iterator[Probe]:
        for patient in PATIENTS:
            yield Probe(method, f"{patient}/{operation}", PARAMETERS if method == "POST" else None)

    return probes


def viewing(ground: Ground) -> Iterator[Probe]:
    for patient in (*PATIENTS, "Patient/ann"):
        for kind in ground.types:
            yield get(f"{patient}/$view-as-patient?_type={kind}")


def telling_what_is_shown(ground: Ground) -> Iterator[Probe]:
    for kind, name in ground.names:
        yield get(f"{kind}/{name}/$patient-view-status")


def validating(method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what says whether something is valid, or could be written."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind, name in ground.names:
            place = f"{kind}/{name}/$validate" if instance else f"{kind}/$validate"
            modes = ("", "?mode=update", "?mode=delete") if instance else ("", "?mode=create")
            referring = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
            sent = {**referring, "id": name, "subject": reference(f"{kind}/{name}")}
            for mode in modes:
                yield Probe(method, f"{place}{mode}", sent if method == "POST" else None)

    return probes


def snapshots(method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what makes snapshots: of what is hidden, and of profiles that are based on it."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for kind, name in ground.names if kind == "StructureDefinition"]
        for name in [*names, ABSENT]:
            url = f"urn:structure:{name}"
            if instance:
                yield Probe(method, f"StructureDefinition/{name}/$snapshot", PARAMETERS if method == "POST" else None)
            elif method == "GET":
                yield get(f"StructureDefinition/$snapshot?url={url}")
            else:
                based: Json = {"resourceType": "StructureDefinition", "url": "urn:structure:own", "name": "Own"}
                based |= {"status": "draft", "kind": "resource", "abstract": False, "type": "Patient"}
                based |= {"baseDefinition": url, "derivation": "constraint"}
                rows = [{"id": "Patient", "path": "Patient"}]
                yield Probe("POST", "StructureDefinition/$snapshot", {**based, "differential": {"element": rows}})

    return probes


def differences(method: str, level: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what compares versions and resources: with what is hidden on either side."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind, name in [*ground.names, ("Patient", ABSENT)]:
            if level == "instance":
                for query in ("", "?fromVersion=1", "?fromVersion=1&toVersion=2"):
                    yield Probe(method, f"{kind}/{name}/$diff{query}", PARAMETERS if method == "POST" else None)
                continue
            place = "$diff" if level == "system" else f"{kind}/$diff"
            for one, other in ((f"{kind}/{name}", f"{kind}/{ABSENT}"), ("Patient/ann", f"{kind}/{name}")):
                rows = [{"name": "from", "valueUri": one}, {"name": "to", "valueUri": other}]
                if method == "POST":
                    yield Probe("POST", place, {**PARAMETERS, "parameter": rows})
                else:
                    yield get(f"{place}?from={one}&to={other}")

    return probes


def labels(operation: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what tells or changes labels of an instance."""
    meta = {"tag": [{"system": "urn:tags", "code": "probed"}]}
    body = {**PARAMETERS, "parameter": [{"name": "meta", "valueMeta": meta}]}

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind, name in [*ground.names, ("Patient", ABSENT)]:
            sent = None if method == "GET" else PARAMETERS if operation == "$meta" else body
            yield Probe(method, f"{kind}/{name}/{operation}", sent)

    return probes


def responding(ground: Ground) -> Iterator[Probe]:
    for kind, name in [*ground.names, ("Task", ABSENT)]:
        if kind == "Task":
            rows = [{"name": "status", "valueCode": "accepted"}]
            yield Probe("POST", f"Task/{name}/$respond", {**PARAMETERS, "parameter": rows})


def explaining(method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what tells who may see something."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind, name in ground.names:
            yield Probe(method, f"{kind}/{name}/$explain-access", PARAMETERS if method == "POST" else None)

    return probes


PERIOD = {"periodStart": "2020-01-01", "periodEnd": "2030-01-01"}


def counting(_: Ground) -> Iterator[Probe]:
    for name in ("root", "east", "west"):
        for measure in ("patients", "encounters"):
            asked = "&".join(f"{key}={value}" for key, value in PERIOD.items())
            yield get(f"Organization/{name}/$rollup?measure={measure}&{asked}")


def counting_by_post(_: Ground) -> Iterator[Probe]:
    for name in ("root", "east", "west"):
        for measure in ("patients", "encounters"):
            dates = [{"name": key, "valueDate": value} for key, value in PERIOD.items()]
            rows = [{"name": "measure", "valueCode": measure}, *dates]
            yield Probe("POST", f"Organization/{name}/$rollup", {**PARAMETERS, "parameter": rows})


def uses(method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what counts resources by the codes in them: by those that only hidden ones hold, too."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind in ground.types:
            for param, value in ground.values(kind):
                system, bar, code = value.rpartition("|")
                if param.type != "token" or not (bar and system and code):
                    continue
                for more in ({}, {"type": kind}, {"type": kind, "thorough": "true"}, {"below": "true"}):
                    asked = {"system": system, "code": code, **more}
                    if method == "GET":
                        yield get("CodeSystem/$usage?" + urlencode(asked))
                        continue
                    kinds = {"system": "valueUri", "thorough": "valueBoolean", "below": "valueBoolean"}
                    rows = [{"name": name, kinds.get(name, "valueCode"): text} for name, text in asked.items()]
                    yield Probe(method, "CodeSystem/$usage", {**PARAMETERS, "parameter": rows})

    return probes


def translations(method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what translates codes: by maps that are hidden, and the codes of what is."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for kind, name in ground.names if kind == "ConceptMap"]
        for name in [*names, ABSENT]:
            place = f"ConceptMap/{name}/$translate" if instance else "ConceptMap/$translate"
            asked = {"system": "urn:example", "code": "a"}
            for more in ({},) if instance else ({"url": f"urn:map:{name}"}, {}, {"targetsystem": "urn:example"}):
                if method == "GET":
                    yield get(f"{place}?{urlencode(asked | more)}")
                    continue
                kinds = {"code": "valueCode"}
                rows = [{"name": key, kinds.get(key, "valueUri"): text} for key, text in (asked | more).items()]
                yield Probe(method, place, {**PARAMETERS, "parameter": rows})

    return probes


def expansions(method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what lists codes: of value sets that are hidden, and of code systems that are."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for kind, name in ground.names if kind == "ValueSet"]
        for name in [*names, ABSENT]:
            place = f"ValueSet/{name}/$expand" if instance else "ValueSet/$expand"
            for asked in (
                ({}, {"filter": "a"}) if instance else ({"url": f"urn:set:{name}"}, {"url": f"{SYSTEM}?fhir_vs"})
            ):
                if method == "GET":
                    yield get(f"{place}?{urlencode(asked)}" if asked else place)
                    continue
                kinds = {"filter": "valueString"}
                rows: list[Json] = [{"name": key, kinds.get(key, "valueUri"): text} for key, text in asked.items()]
                yield Probe(method, place, {**PARAMETERS, "parameter": rows})
        if method == "POST" and not instance:
            for include in ({"system": SYSTEM}, {"valueSet": [f"urn:set:{ABSENT}"]}):
                sent = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
                yield Probe(
                    method, "ValueSet/$expand", {**PARAMETERS, "parameter": [{"name": "valueSet", "resource": sent}]}
                )

    return probes


def on_codes(kind: str, operation: str, method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what tells of codes: of code systems and value sets that are hidden, and of what only they have."""
    asked: dict[str, tuple[dict[str, str], ...]] = {
        "$validate-code": (
            {"system": "urn:example", "code": "a", "url": "urn:hidden"},
            {"system": "urn:hidden", "code": "a", "url": "http://hl7.org/fhir/ValueSet/administrative-gender"},
        ),
        "$lookup": ({"system": "urn:hidden", "code": "a"}, {"system": "urn:hidden", "code": "a", "property": "*"}),
        "$subsumes": ({"system": "urn:hidden", "codeA": "a", "codeB": "b"},),
    }
    kinds = {"code": "valueCode", "codeA": "valueCode", "codeB": "valueCode", "property": "valueCode"}

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for one, name in ground.names if one == kind]
        for name in [*names, ABSENT]:
            place = f"{kind}/{name}/{operation}" if instance else f"{kind}/{operation}"
            for values in asked[operation]:
                given = {key: text.replace("urn:hidden", f"urn:{name}") for key, text in values.items()}
                if method == "GET":
                    yield get(f"{place}?{urlencode(given)}")
                    continue
                rows = [{"name": key, kinds.get(key, "valueUri"): text} for key, text in given.items()]
                yield Probe(method, place, {**PARAMETERS, "parameter": rows})

    return probes


def finding_codes(method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what finds codes by what is stated of them."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for one, name in ground.names if one == "CodeSystem"]
        for name in [*names, ABSENT]:
            place = f"CodeSystem/{name}/$find-matches" if instance else "CodeSystem/$find-matches"
            if method == "GET":
                yield get(f"{place}?{urlencode({'system': f'urn:{name}', 'exact': 'true'})}")
                continue
            stated = [{"name": "code", "valueCode": "code"}, {"name": "value", "valueCode": "a"}]
            rows = [
                {"name": "system", "valueUri": f"urn:{name}"},
                {"name": "exact", "valueBoolean": True},
                {"name": "property", "part": stated},
            ]
            yield Probe(method, place, {**PARAMETERS, "parameter": rows})

    return probes


def many_codes(path: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of what checks many codes at once."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for one, name in ground.names if one in {"CodeSystem", "ValueSet"}]
        coding = [
            {"name": "coding", "valueCoding": {"system": f"urn:{name}", "code": "a"}} for name in [*names, ABSENT]
        ]
        for url in ({}, {"name": "url", "valueUri": f"urn:{ABSENT}"}):
            rows = [
                {"name": "validation", "resource": {**PARAMETERS, "parameter": [one, *([url] if url else [])]}}
                for one in coding
            ]
            yield Probe("POST", path, {**PARAMETERS, "parameter": rows})

    return probes


def closing(path: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of closure tables: of codes that only hidden resources have, in a table that nobody has begun."""

    def probes(ground: Ground) -> Iterator[Probe]:
        name = {"name": "name", "valueString": ABSENT}
        for more in ([], [{"name": "version", "valueString": "0"}]):
            yield Probe("POST", path, {**PARAMETERS, "parameter": [name, *more]})
        for system in ("urn:example", SYSTEM):
            concept = {"name": "concept", "valueCoding": {"system": system, "code": "bo"}}
            yield Probe("POST", path, {**PARAMETERS, "parameter": [name, concept]})

    return probes


def importing(ground: Ground) -> Iterator[Probe]:
    """Yield the probes of what adds to code systems: to those that are hidden, and one that there is not."""
    for kind, name in [*ground.names, ("CodeSystem", ABSENT)]:
        if kind == "CodeSystem":
            concept = {"name": "concept", "valueCoding": {"code": "a"}}
            for system in (f"urn:system:{name}", SYSTEM):
                rows: list[Json] = [{"name": "system", "valueUri": system}, concept]
                yield Probe("POST", "CodeSystem/$import", {**PARAMETERS, "parameter": rows})


def of_memberships(operation: str, *methods: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation on a membership, of which there is none."""

    def probes(_: Ground) -> Iterator[Probe]:
        for method in methods:
            body = PARAMETERS if method == "POST" else None
            yield Probe(method, f"OrganizationAffiliation/{ABSENT}/{operation}", body)

    return probes


def of_subscriptions(operation: str, method: str, *, instance: bool = False) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation on Subscriptions: on those that are hidden, and on one that never was."""

    def probes(ground: Ground) -> Iterator[Probe]:
        names = [name for kind, name in ground.names if kind == "Subscription"]
        for name in [*names, ABSENT]:
            place = f"Subscription/{name}/{operation}" if instance else f"Subscription/{operation}"
            if method == "GET":
                yield get(place if instance else f"{place}?id={name}")
            else:
                rows = [] if instance else [{"name": "id", "valueId": name}]
                yield Probe(method, place, {**PARAMETERS, **({"parameter": rows} if rows else {})})

    return probes


def of_organizations(operation: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an operation on an organization that only tells something."""

    def probes(_: Ground) -> Iterator[Probe]:
        for name in ("root", "east", "west", ABSENT):
            yield Probe(method, f"Organization/{name}/{operation}", PARAMETERS if method == "POST" else None)

    return probes


def exporting(path: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of a kick-off, by types and by what only hidden resources have."""

    def probes(ground: Ground) -> Iterator[Probe]:
        for kind in ground.types:
            for query in (f"_type={kind}", urlencode({"_type": kind, "_typeFilter": f"{kind}?_id=bo"})):
                yield Probe(method, f"{path}?{query}", PARAMETERS if method == "POST" else None)
        for patient in PATIENTS if path.startswith("Patient") and method == "POST" else ():
            yield Probe("POST", path, _said(patient=patient))

    return probes


def exporting_groups(method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of a kick-off for Groups, and for patients of those that can be seen."""

    def probes(ground: Ground) -> Iterator[Probe]:
        groups = [name for kind, name in ground.names if kind == "Group"]
        for name in [*groups, "facility.east", "facility.west", ABSENT]:
            yield Probe(method, f"Group/{name}/$export", PARAMETERS if method == "POST" else None)
            for patient in PATIENTS if method == "POST" else ():
                yield Probe("POST", f"Group/{name}/$export", _said(patient=patient))

    return probes


def of_exports(path: str, method: str) -> Callable[[Ground], Iterator[Probe]]:
    """Return the probes of an export that there is not."""

    def probes(_: Ground) -> Iterator[Probe]:
        yield Probe(method, f"{path}?job={ABSENT}", None)

    return probes
