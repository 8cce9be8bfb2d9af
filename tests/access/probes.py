"""The table of the leak harness: for each route and each parameter that can return or reveal a resource, what is asked.

A route, result parameter, modifier or operation that the server has and this table has not fails `test_leaks`.
"""

from collections.abc import Callable, Iterator, Mapping

from fhir_server.capability.table import Interaction
from fhir_server.search.params import Param, params
from tests.access.gathering_probes import GATHERING
from tests.access.ground import ABSENT, COUNTED, LONG_AGO, Ground, get
from tests.access.house import Json, observation
from tests.access.operation_probes import (
    breaking_glass,
    counting,
    counting_by_post,
    differences,
    explaining,
    exporting,
    exporting_groups,
    files,
    imports,
    inviting,
    labels,
    leaving,
    lines,
    linking,
    matching,
    merging,
    of_exports,
    of_memberships,
    of_organizations,
    of_patients,
    of_subscriptions,
    on_everything,
    responding,
    snapshots,
    submissions,
    telling_of_submissions,
    telling_what_is_shown,
    unmerging,
    validating,
    viewing,
)
from tests.access.record import reference, resource
from tests.access.terminology_probes import TERMINOLOGY
from tests.access.twins import SECRET, Probe

Key = tuple[str, str, str, bool]
"""Code of an interaction or `$operation`, its method, its shape, and whether it is the conditional form."""


def reads(ground: Ground) -> Iterator[Probe]:
    for kind, name in ground.names:
        yield get(f"{kind}/{name}")
        yield Probe("HEAD", f"{kind}/{name}")
        yield get(f"{kind}/{name}", **{"If-None-Match": 'W/"1"'})
        yield get(f"{kind}/{name}", **{"If-Modified-Since": "Wed, 01 Jan 2020 00:00:00 GMT"})
        yield get(f"{kind}/{name}?_elements=status&_summary=true")


def versions(ground: Ground) -> Iterator[Probe]:
    yield from (get(f"{kind}/{name}/_history/{version}") for kind, name in ground.names for version in (1, 2, 3))


def instance_histories(ground: Ground) -> Iterator[Probe]:
    for kind, name in ground.names:
        yield get(f"{kind}/{name}/_history")
        yield get(f"{kind}/{name}/_history?_since={LONG_AGO}&_count=1")


def _histories(path: str) -> Iterator[Probe]:
    yield Probe("GET", f"{path}?_count=3", follows=True)
    yield get(f"{path}?_since={LONG_AGO}&_count=1000")
    yield get(f"{path}?_at=ge{LONG_AGO}&_count=1000")


def type_histories(ground: Ground) -> Iterator[Probe]:
    for kind in ground.types:
        yield from _histories(f"{kind}/_history")


def system_histories(_: Ground) -> Iterator[Probe]:
    yield from _histories("_history")


def searches(ground: Ground) -> Iterator[Probe]:
    """Yield searches by every parameter that the hidden have a value for, with every modifier that it takes."""
    for kind in ground.types:
        yield Probe("GET", f"{kind}?{COUNTED}&_count=2", follows=True)
        for shaping in SHAPING.values():
            yield from shaping(ground, kind)
        for param, value in ground.values(kind):
            yield get(f"{kind}?{param.code}={_quoted(value)}&{COUNTED}")
            yield get(f"{kind}?{param.code}={_quoted(value)}&_summary=count")
            for modifier in modifiers(param):
                yield from MODIFIERS[modifier](kind, param, value)
    yield from across(ground)


def sorts(ground: Ground) -> Iterator[Probe]:
    """Yield searches in the order of every parameter."""
    for kind in sorted(set(ground.types) & set(ground.seen)):
        for code, param in params(kind, ground.definitions).items():
            if param.type in {"token", "string", "date", "reference", "number", "quantity", "uri"}:
                yield Probe("GET", f"{kind}?_sort={code}&_count=2", follows=True)
                yield get(f"{kind}?_sort=-{code}&_count=2")


def across(ground: Ground) -> Iterator[Probe]:
    """Yield searches that lead from type to type: chains, `_has`, `_list`, `_filter`, includes."""
    hidden = set(ground.types)
    for kind in ground.seen:
        known = params(kind, ground.definitions)
        yield get(f"{kind}?_include=*&_revinclude=*&_count=100")
        yield get(f"{kind}?_include:iterate=*&_revinclude:iterate=*&_count=100")
        yield get(f"{kind}?_filter=_tag eq {SECRET} or _tag ne {SECRET}&{COUNTED}")
        yield get(f"{kind}?_list=bo-list&{COUNTED}")
        for code, param in known.items():
            for target in sorted(hidden & set(param.targets)) if param.type == "reference" else ():
                yield get(f"{kind}?{code}:{target}._tag={SECRET}&{COUNTED}")
                yield get(f"{kind}?{code}:{target}._tag:not={SECRET}&{COUNTED}")
                yield get(f"{kind}?_include={kind}:{code}:{target}&_count=100")
    for kind in ground.types:
        for code, param in params(kind, ground.definitions).items():
            for target in sorted(set(ground.seen) & set(param.targets)) if param.type == "reference" else ():
                yield get(f"{target}?_has:{kind}:{code}:_tag={SECRET}&{COUNTED}")
                yield get(f"{target}?_revinclude={kind}:{code}&_count=100")
    yield get(f"Observation?performer:Patient.name=bo&{COUNTED}")
    yield get(f"Observation?_filter=performer.name eq bo&{COUNTED}")
    yield get(f"Observation?subject:Patient._has:Condition:subject:_tag={SECRET}&{COUNTED}")
    yield get(f"Patient?link=Patient/ann&{COUNTED}")
    yield get(f"Observation?_id=bo-lab,ann-lab,{ABSENT}&{COUNTED}")


def posted_searches(ground: Ground) -> Iterator[Probe]:
    for kind in ground.types:
        yield Probe("POST", f"{kind}/_search", form={"_tag": SECRET, "_total": "accurate"})
        yield Probe("POST", f"{kind}/_search", form={"_count": "2", "_total": "accurate"})


def system_searches(ground: Ground) -> Iterator[Probe]:
    kinds = ",".join(ground.types)
    yield Probe("GET", f"?_type={kinds}&{COUNTED}&_count=5", follows=True)
    yield get(f"?_type={kinds}&_tag={SECRET}&{COUNTED}")
    yield get(f"?_tag={SECRET}&{COUNTED}")
    yield get(f"?_type={kinds}&_lastUpdated=ge2000&_summary=count")
    yield get(f"?_type={kinds}&_id=bo-lab,bo&{COUNTED}")


def posted_system_searches(ground: Ground) -> Iterator[Probe]:
    yield Probe("POST", "_search", form={"_type": ",".join(ground.types), "_tag": SECRET, "_total": "accurate"})


COMPARTMENTS = (
    "Patient/bo", "Patient/ann", "Encounter/bo-encounter", "Encounter/ann-encounter", "Practitioner/pat",
    "RelatedPerson/bo-relatedperson", "Device/bo-device", f"Patient/{ABSENT}",
)  # fmt: skip


def compartments(ground: Ground) -> Iterator[Probe]:
    for place in COMPARTMENTS:
        yield get(f"{place}/*?{COUNTED}&_count=200")
        for kind in ground.types:
            yield get(f"{place}/{kind}?{COUNTED}")
    yield get(f"Patient/ann/Observation?performer:Patient._tag={SECRET}&{COUNTED}")


def posted_compartments(ground: Ground) -> Iterator[Probe]:
    for place in COMPARTMENTS:
        for kind in ground.types:
            yield Probe("POST", f"{place}/{kind}/_search", form={"_tag": SECRET, "_total": "accurate"})


def posted_whole_compartments(_: Ground) -> Iterator[Probe]:
    for place in COMPARTMENTS:
        yield Probe("POST", f"{place}/_search", form={"_tag": SECRET, "_total": "accurate"})


CONDITIONS = (f"_tag={SECRET}", "_id=bo-lab", "subject=Patient/bo", f"_tag={SECRET}&_id=not-yet")


def creates(ground: Ground) -> Iterator[Probe]:
    own = {key: value for key, value in observation("", "ann").items() if key != "id"}
    for kind, name in ground.names:
        yield Probe("POST", "Observation", {**own, "focus": [reference(f"{kind}/{name}")]})
        yield Probe("POST", "Observation", {**own, "focus": [reference(f"{kind}/{name}/_history/1")]})
    for condition in CONDITIONS:
        yield Probe("POST", "Observation", {**own, "status": "final"}, {"If-None-Exist": condition})


def updates(ground: Ground) -> Iterator[Probe]:
    for kind, name in [*ground.names, ("Patient", ABSENT)]:
        body = resource(kind, name, **_least(kind))
        yield Probe("PUT", f"{kind}/{name}", body)
        for match in ('W/"1"', 'W/"2"', "*"):
            yield Probe("PUT", f"{kind}/{name}", body, {"If-Match": match})
    yield Probe("PUT", "Observation/bo-lab", observation("other", "ann"))
    yield Probe("PUT", "Observation/ann-lab", observation("ann-lab", "ann", focus=[reference("Patient/bo")]))
    yield Probe("PUT", "Observation/ann-lab", observation("ann-lab", "bo"))


def _least(kind: str) -> Json:
    """Return what a resource needs that would lie in reach, for the types whose answer depends on it."""
    least = {key: value for key, value in observation("", "ann").items() if key not in {"id", "resourceType"}}
    return least if kind == "Observation" else {}


def patches(ground: Ground) -> Iterator[Probe]:
    for kind, name in ground.names:
        for step in (
            {"op": "test", "path": "/status", "value": "final"},
            {"op": "replace", "path": "/status", "value": "amended"},
            {"op": "remove", "path": "/nothing"},
        ):
            yield Probe("PATCH", f"{kind}/{name}", [step])
            yield Probe("PATCH", f"{kind}/{name}", [step], {"If-Match": 'W/"1"'})
    led: Json = {"op": "add", "path": "/focus", "value": [{"reference": "Condition/bo-condition"}]}
    yield Probe("PATCH", "Observation/ann-lab", [led])


def deletes(ground: Ground) -> Iterator[Probe]:
    for kind, name in ground.names:
        yield Probe("DELETE", f"{kind}/{name}", headers={"If-Match": 'W/"1"'})
        if kind != "Patient":
            yield Probe("DELETE", f"{kind}/{name}")


def conditional_updates(_: Ground) -> Iterator[Probe]:
    own = {key: value for key, value in observation("", "ann").items() if key != "id"}
    for condition in CONDITIONS:
        yield Probe("PUT", f"Observation?{condition}", own)


def conditional_patches(_: Ground) -> Iterator[Probe]:
    for condition in CONDITIONS:
        yield Probe("PATCH", f"Observation?{condition}", [{"op": "replace", "path": "/status", "value": "amended"}])


def conditional_deletes(_: Ground) -> Iterator[Probe]:
    for condition in CONDITIONS:
        yield Probe("DELETE", f"Observation?{condition}")


def _bundle(kind: str, *entries: tuple[str, str, Json | None]) -> Json:
    rows = [
        {"request": {"method": method, "url": url}, **({"resource": one} if one else {})}
        for method, url, one in entries
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": rows}


def batches(ground: Ground) -> Iterator[Probe]:
    asked = [("GET", f"{kind}/{name}", None) for kind, name in ground.names]
    asked += [("GET", f"{kind}?_tag={SECRET}&{COUNTED}", None) for kind in ground.types]
    asked += [("GET", f"{kind}/{name}/_history", None) for kind, name in ground.names]
    yield Probe("POST", "", _bundle("batch", *asked))
    yield Probe("POST", "", _bundle("batch", *[("DELETE", f"{kind}?_tag={SECRET}", None) for kind in ground.types]))


def transactions(ground: Ground) -> Iterator[Probe]:
    own = {key: value for key, value in observation("", "ann").items() if key != "id"}
    for kind, name in ground.names:
        yield Probe("POST", "", _bundle("transaction", ("GET", f"{kind}/{name}", None)))
        yield Probe(
            "POST", "", _bundle("transaction", ("POST", "Observation", {**own, "focus": [reference(f"{kind}/{name}")]}))
        )
    for kind in ground.types:
        led = {**own, "focus": [reference(f"{kind}?_tag={SECRET}")]}
        yield Probe("POST", "", _bundle("transaction", ("POST", "Observation", led)))
        yield Probe("POST", "", _bundle("transaction", ("GET", f"{kind}?_tag={SECRET}&{COUNTED}", None)))


def capabilities(_: Ground) -> Iterator[Probe]:
    yield get("metadata")
    yield get("metadata?mode=terminology")


def key(row: Interaction) -> Key:
    """Return what a row of the server's table is called here."""
    code = row.operation.definition.code if row.operation else row.code
    return f"${code}" if row.operation else code, row.method, "/".join(row.shape), row.conditional


ROUTES: Mapping[Key, Callable[[Ground], Iterator[Probe]]] = {
    ("capabilities", "GET", "metadata", False): capabilities,
    ("batch", "POST", "", False): batches,
    ("transaction", "POST", "", False): transactions,
    ("history-system", "GET", "_history", False): system_histories,
    ("search-system", "GET", "", False): system_searches,
    ("search-system", "POST", "_search", False): posted_system_searches,
    ("search-type", "GET", "{type}", False): searches,
    ("search-type", "POST", "{type}/_search", False): posted_searches,
    ("search-type", "GET", "{type}/{id}/{member}", False): compartments,
    ("search-type", "POST", "{type}/{id}/{member}/_search", False): posted_compartments,
    ("search-type", "POST", "{type}/{id}/_search", False): posted_whole_compartments,
    ("create", "POST", "{type}", False): creates,
    ("update", "PUT", "{type}", True): conditional_updates,
    ("patch", "PATCH", "{type}", True): conditional_patches,
    ("delete", "DELETE", "{type}", True): conditional_deletes,
    ("history-type", "GET", "{type}/_history", False): type_histories,
    ("read", "GET", "{type}/{id}", False): reads,
    ("vread", "GET", "{type}/{id}/_history/{vid}", False): versions,
    ("update", "PUT", "{type}/{id}", False): updates,
    ("patch", "PATCH", "{type}/{id}", False): patches,
    ("delete", "DELETE", "{type}/{id}", False): deletes,
    ("history-instance", "GET", "{type}/{id}/_history", False): instance_histories,
    ("$match", "POST", "Patient/$match", False): matching,
    ("$break-glass", "POST", "Patient/{id}/$break-glass", False): breaking_glass,
    ("$link", "POST", "Patient/{id}/$link", False): linking("$link"),
    ("$unlink", "POST", "Patient/{id}/$unlink", False): linking("$unlink"),
    ("$merge", "POST", "Patient/$merge", False): merging,
    ("$unmerge", "POST", "Patient/{id}/$unmerge", False): unmerging,
    ("$invite", "POST", "Organization/{id}/$invite", False): inviting,
    ("$leave", "POST", "Organization/{id}/$leave", False): leaving,
    ("$accept", "POST", "OrganizationAffiliation/{id}/$accept", False): of_memberships("$accept", "POST"),
    ("$join-preview", "GET", "OrganizationAffiliation/{id}/$join-preview", False): of_memberships(
        "$join-preview", "GET"
    ),
    ("$join-preview", "POST", "OrganizationAffiliation/{id}/$join-preview", False): of_memberships(
        "$join-preview", "POST"
    ),
    ("$tree", "GET", "Organization/{id}/$tree", False): of_organizations("$tree", "GET"),
    ("$tree", "POST", "Organization/{id}/$tree", False): of_organizations("$tree", "POST"),
    ("$match-queue", "GET", "Organization/{id}/$match-queue", False): of_organizations("$match-queue", "GET"),
    ("$match-queue", "POST", "Organization/{id}/$match-queue", False): of_organizations("$match-queue", "POST"),
    ("$access-report", "GET", "Patient/{id}/$access-report", False): of_patients("$access-report", "GET"),
    ("$access-report", "POST", "Patient/{id}/$access-report", False): of_patients("$access-report", "POST"),
    ("$accounting-of-disclosures", "GET", "Patient/{id}/$accounting-of-disclosures", False): of_patients(
        "$accounting-of-disclosures", "GET"
    ),
    ("$accounting-of-disclosures", "POST", "Patient/{id}/$accounting-of-disclosures", False): of_patients(
        "$accounting-of-disclosures", "POST"
    ),
    ("$end-break-glass", "POST", "Patient/{id}/$end-break-glass", False): of_patients("$end-break-glass", "POST"),
    ("$explain-access", "GET", "{type}/{id}/$explain-access", False): explaining("GET"),
    ("$patient-view-status", "GET", "{type}/{id}/$patient-view-status", False): telling_what_is_shown,
    ("$explain-access", "POST", "{type}/{id}/$explain-access", False): explaining("POST"),
    ("$rollup", "GET", "Organization/{id}/$rollup", False): counting,
    ("$rollup", "POST", "Organization/{id}/$rollup", False): counting_by_post,
    **GATHERING,
    **TERMINOLOGY,
    ("$view-as-patient", "GET", "Patient/{id}/$view-as-patient", False): viewing,
    ("$validate", "GET", "{type}/{id}/$validate", False): validating("GET", instance=True),
    ("$validate", "POST", "{type}/{id}/$validate", False): validating("POST", instance=True),
    ("$validate", "GET", "{type}/$validate", False): validating("GET"),
    ("$validate", "POST", "{type}/$validate", False): validating("POST"),
    ("$validate", "GET", "$validate", False): on_everything("$validate", "GET"),
    ("$validate", "POST", "$validate", False): on_everything("$validate", "POST"),
    ("$snapshot", "GET", "StructureDefinition/{id}/$snapshot", False): snapshots("GET", instance=True),
    ("$snapshot", "POST", "StructureDefinition/{id}/$snapshot", False): snapshots("POST", instance=True),
    ("$snapshot", "GET", "StructureDefinition/$snapshot", False): snapshots("GET"),
    ("$snapshot", "POST", "StructureDefinition/$snapshot", False): snapshots("POST"),
    ("$diff", "GET", "{type}/{id}/$diff", False): differences("GET", "instance"),
    ("$diff", "POST", "{type}/{id}/$diff", False): differences("POST", "instance"),
    ("$diff", "GET", "{type}/$diff", False): differences("GET", "type"),
    ("$diff", "POST", "{type}/$diff", False): differences("POST", "type"),
    ("$diff", "GET", "$diff", False): differences("GET", "system"),
    ("$diff", "POST", "$diff", False): differences("POST", "system"),
    ("$export", "GET", "$export", False): exporting("$export", "GET"),
    ("$export", "POST", "$export", False): exporting("$export", "POST"),
    ("$export", "GET", "Patient/$export", False): exporting("Patient/$export", "GET"),
    ("$export", "POST", "Patient/$export", False): exporting("Patient/$export", "POST"),
    ("$export", "GET", "Group/{id}/$export", False): exporting_groups("GET"),
    ("$export", "POST", "Group/{id}/$export", False): exporting_groups("POST"),
    ("$export-status", "GET", "$export-status", False): of_exports("$export-status", "GET"),
    ("$export-status", "DELETE", "$export-status", False): of_exports("$export-status", "DELETE"),
    ("$status", "GET", "Subscription/{id}/$status", False): of_subscriptions("$status", "GET", instance=True),
    ("$status", "POST", "Subscription/{id}/$status", False): of_subscriptions("$status", "POST", instance=True),
    ("$status", "GET", "Subscription/$status", False): of_subscriptions("$status", "GET"),
    ("$status", "POST", "Subscription/$status", False): of_subscriptions("$status", "POST"),
    ("$events", "GET", "Subscription/{id}/$events", False): of_subscriptions("$events", "GET", instance=True),
    ("$events", "POST", "Subscription/{id}/$events", False): of_subscriptions("$events", "POST", instance=True),
    ("$get-ws-binding-token", "GET", "Subscription/{id}/$get-ws-binding-token", False): of_subscriptions(
        "$get-ws-binding-token", "GET", instance=True
    ),
    ("$get-ws-binding-token", "POST", "Subscription/{id}/$get-ws-binding-token", False): of_subscriptions(
        "$get-ws-binding-token", "POST", instance=True
    ),
    ("$get-ws-binding-token", "GET", "Subscription/$get-ws-binding-token", False): of_subscriptions(
        "$get-ws-binding-token", "GET"
    ),
    ("$get-ws-binding-token", "POST", "Subscription/$get-ws-binding-token", False): of_subscriptions(
        "$get-ws-binding-token", "POST"
    ),
    ("$validate-stored", "POST", "$validate-stored", False): on_everything("$validate-stored", "POST"),
    ("$validate-stored", "POST", "{type}/$validate-stored", False): on_everything("{type}/$validate-stored", "POST"),
    ("$validate-stored-status", "GET", "$validate-stored-status", False): on_everything(
        "$validate-stored-status", "GET"
    ),
    ("$validate-stored-status", "DELETE", "$validate-stored-status", False): on_everything(
        "$validate-stored-status", "DELETE"
    ),
    ("$export-file", "GET", "$export-file", False): files,
    ("$bulk-submit", "POST", "$bulk-submit", False): submissions("$bulk-submit"),
    ("$bulk-submit-status", "GET", "$bulk-submit-status", False): telling_of_submissions,
    ("$bulk-submit-status", "POST", "$bulk-submit-status", False): submissions("$bulk-submit-status"),
    ("$import", "POST", "$import", False): lines,
    ("$import-status", "GET", "$import-status", False): imports,
    ("$import-status", "DELETE", "$import-status", False): imports,
    ("$meta", "GET", "{type}/{id}/$meta", False): labels("$meta", "GET"),
    ("$meta", "POST", "{type}/{id}/$meta", False): labels("$meta", "POST"),
    ("$meta-add", "POST", "{type}/{id}/$meta-add", False): labels("$meta-add", "POST"),
    ("$meta-delete", "POST", "{type}/{id}/$meta-delete", False): labels("$meta-delete", "POST"),
    ("$respond", "POST", "Task/{id}/$respond", False): responding,
    ("$jobs", "GET", "$jobs", False): on_everything("$jobs", "GET"),
    ("$jobs", "DELETE", "$jobs", False): on_everything("$jobs", "DELETE"),
    ("$retry-job", "POST", "$retry-job", False): on_everything("$retry-job", "POST"),
    ("$reindex", "POST", "$reindex", False): on_everything("$reindex", "POST"),
    ("$reindex", "POST", "{type}/$reindex", False): on_everything("{type}/$reindex", "POST"),
    ("$reindex-status", "GET", "$reindex-status", False): on_everything("$reindex-status", "GET"),
    ("$reindex-status", "DELETE", "$reindex-status", False): on_everything("$reindex-status", "DELETE"),
}
"""What is asked of each route below the base. Those that write come last in `test_leaks`, for they change both houses."""

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Shaping = Callable[[Ground, str], Iterator[Probe]]


def _shaped(*queries: str) -> Shaping:
    def probes(_: Ground, kind: str) -> Iterator[Probe]:
        yield from (get(f"{kind}?{query}") for query in queries)

    return probes


SHAPING: Mapping[str, Shaping] = {
    "_contained": _shaped("_contained=true&code=x", "_contained=both&_count=100"),
    "_containedType": _shaped("_contained=true&_containedType=contained&_id=inside"),
    "_count": _shaped("_count=0", "_count=1", "_count=1000"),
    "_cursor": _shaped("_cursor=guessed"),
    "_elements": _shaped("_elements=id&_count=100"),
    "_explain": _shaped("_explain=true"),
    "_format": _shaped(f"_format=json&_tag={SECRET}"),
    "_include": _shaped("_include=*&_count=100"),
    "_pretty": _shaped(f"_pretty=true&_tag={SECRET}&{COUNTED}"),
    "_revinclude": _shaped("_revinclude=*&_count=100"),
    "_score": _shaped("_score=true&_count=100"),
    "_sort": _shaped("_sort=_id&_count=100", "_sort=-_lastUpdated&_count=100"),
    "_summary": _shaped("_summary=count", "_summary=true&_count=100", f"_summary=count&_tag={SECRET}"),
    "_total": _shaped("_total=accurate", "_total=estimate", f"_total=estimate&_tag={SECRET}", "_total=none"),
}
"""Each result parameter of searches."""

Modified = Callable[[str, Param, str], Iterator[Probe]]


def _with(modifier: str, *values: str) -> Modified:
    def probes(kind: str, param: Param, value: str) -> Iterator[Probe]:
        for one in values or (value,):
            yield get(f"{kind}?{param.code}:{modifier}={_quoted(one)}&{COUNTED}")

    return probes


MODIFIERS: Mapping[str, Modified] = {
    "missing": _with("missing", "true", "false"),
    "exact": _with("exact"),
    "contains": _with("contains"),
    "not": _with("not"),
    "text": _with("text", SECRET, "bo"),
    "in": _with("in", "http://hl7.org/fhir/ValueSet/observation-status", "urn:example:set"),
    "not-in": _with("not-in", "http://hl7.org/fhir/ValueSet/observation-status", "urn:example:set"),
    "above": _with("above"),
    "below": _with("below"),
    "of-type": _with("of-type", "http://terminology.hl7.org/CodeSystem/v2-0203|MR|1"),
    "identifier": _with("identifier", "urn:example|1"),
}
"""Each modifier."""


def modifiers(param: Param) -> list[str]:
    """Return the modifiers that a parameter takes."""
    from fhir_server.search.types import TYPES, token

    taken = token.modifiers(param) if param.type == "token" else TYPES[param.type].MODIFIERS
    return ["missing", *sorted(taken)]


def _quoted(value: str) -> str:
    from urllib.parse import quote

    return quote(value, safe="|/:,-")
