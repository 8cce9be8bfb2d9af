"""Invariants of clinical, administrative and financial resources."""

from collections.abc import Mapping

from profiles.validate.reference import target
from profiles.validate.rules.datatypes import UCUM
from profiles.validate.rules.shape import (
    ContextRule,
    Rule,
    coded,
    exactly_one,
    has,
    inner,
    many,
    most_one,
    needs,
    not_after,
    only_if,
    some,
    together,
    when,
)
from profiles.validate.walk import Json, Walk

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_ALLERGY_VERIFICATION = f"{TERMINOLOGY}allergyintolerance-verification"
_CONDITION_VERIFICATION = f"{TERMINOLOGY}condition-ver-status"
_CONDITION_CLINICAL = f"{TERMINOLOGY}condition-clinical"
_CONDITION_CATEGORY = f"{TERMINOLOGY}condition-category"


def _entered_in_error(node: Json, system: str) -> bool:
    return coded(node, "verificationStatus", system, "entered-in-error")


def _problem_has_status(node: Json) -> bool:
    # Published as `category.select($this='problem-list-item')`, which compares a concept with text; meant is its code.
    return (
        has(node, "clinicalStatus")
        or _entered_in_error(node, _CONDITION_VERIFICATION)
        or not coded(node, "category", _CONDITION_CATEGORY, "problem-list-item")
    )


def _abated(node: Json) -> bool:
    ended = ("resolved", "remission", "inactive")
    return not has(node, "abatement[x]") or coded(node, "clinicalStatus", _CONDITION_CLINICAL, *ended)


def _times_or_open(node: Json) -> bool:
    both = has(node, "start") and has(node, "end")
    return both or node.get("status") in {"proposed", "cancelled", "waitlist"}


def _component_is_another(node: Json) -> bool:
    if "component" not in node or not has(node, "value[x]"):
        return True
    own, others = _texts(node, "code", "coding"), _texts(node, "component", "code", "coding")
    return own.isdisjoint(others)


def _texts(node: Json, *path: str) -> set[str]:
    """Return codings as text, so that many of them compare in no more than one pass."""
    return {str(sorted(coding.items())) for coding in inner(node, *path)}


def _for_a_practitioner(node: Json, walk: Walk) -> bool:
    if not has(node, "onBehalfOf") or "member" not in node:
        return True
    return target(node["member"], walk) in {"", "Practitioner"}


def _not_at_home(node: Json) -> bool:
    return node.get("use") != "home"


def _percent(node: Json) -> bool:
    ends = [end for end in (node.get("low"), node.get("high")) if end is not None]
    return all(end.get("code") == "%" and end.get("system") == UCUM for end in ends)


def _sequence_source(node: Json) -> bool:
    return (
        sum(
            has(node, f"{name}")
            for name in ("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")
        )
        == 1
    )


def _stratifiers(node: Json) -> bool:
    found = inner(node, "group", "stratifier")
    return all(
        any(has(one, name) for name in ("code", "description", "criteria")) != has(one, "component") for one in found
    )


def _strata(node: Json) -> bool:
    return all(has(one, "value") != has(one, "component") for one in inner(node, "group", "stratifier", "stratum"))


RULES: Mapping[str, Rule] = {
    "ait-1": lambda node: has(node, "clinicalStatus") or _entered_in_error(node, _ALLERGY_VERIFICATION),
    "ait-2": lambda node: not has(node, "clinicalStatus") or not _entered_in_error(node, _ALLERGY_VERIFICATION),
    "app-1": some("type", "actor"),
    "app-2": together("start", "end"),
    "app-3": _times_or_open,
    # Published with `no-show`; the code of the value set is `noshow`.
    "app-4": only_if("cancelationReason", status=("noshow", "cancelled")),
    "apr-1": some("participantType", "actor"),
    "ces-1": exactly_one("category", "productOrService"),
    "cmp-1": some("text", "entry", "section"),
    "cmp-2": most_one("emptyReason", "entry"),
    "con-1": some("summary", "assessment"),
    "con-2": some("code", "detail"),
    "con-3": _problem_has_status,
    "con-4": _abated,
    "con-5": lambda node: not has(node, "clinicalStatus") or not _entered_in_error(node, _CONDITION_VERIFICATION),
    "cpl-3": most_one("detail", "reference"),
    "fhs-1": most_one("age[x]", "born[x]"),
    "fhs-2": needs("estimatedAge", "age[x]"),
    "gol-1": needs("detail[x]", "measure"),
    "grp-1": lambda node: not has(node, "member") or node.get("actual") is True,
    "imm-1": some("documentType", "reference"),
    "imr-1": some("vaccineCode", "targetDisease"),
    "ipn-1": some("identifier", "name"),
    "lnk-1": lambda node: len(many(node, "item")) > 1,
    "lst-1": most_one("emptyReason", "entry"),
    "lst-2": lambda node: node.get("mode") == "changes" or not any(has(one, "deleted") for one in many(node, "entry")),
    "lst-3": lambda node: node.get("mode") == "working" or not any(has(one, "date") for one in many(node, "entry")),
    "mad-1": some("dose", "rate[x]"),
    "mdd-1": not_after("whenPrepared", "whenHandedOver"),
    "mea-1": _stratifiers,
    "mrp-1": when("type", "data-collection", absent=("group",)),
    "mrp-2": _strata,
    "msq-3": lambda node: node.get("coordinateSystem") in {0, 1},
    "msq-5": together("chromosome", "genomeBuild"),
    "msq-6": _sequence_source,
    "nor-1": some("oralDiet", "supplement", "enteralFormula"),
    "obs-3": some("low", "high", "text"),
    "obs-6": most_one("dataAbsentReason", "value[x]"),
    "obs-7": _component_is_another,
    "org-1": some("identifier", "name"),
    "org-2": _not_at_home,
    "org-3": _not_at_home,
    "pat-1": some("name", "telecom", "address", "organization"),
    "ppc-1": some("policy", "policyRule"),
    "prr-1": needs("orderDetail", "code"),
    "qrs-1": most_one("answer", "item"),
    "ras-1": _percent,
    "ras-2": lambda node: "probabilityDecimal" not in node or node["probabilityDecimal"] <= 100,
    "rqg-1": exactly_one("resource", "action"),
    "sev-1": most_one("name", "query"),
}

IN_CONTEXT: Mapping[str, ContextRule] = {"ctm-1": _for_a_practitioner}

REUSED: Mapping[tuple[str, str], Rule] = {("Task", "inv-1"): not_after("authoredOn", "lastModified")}
