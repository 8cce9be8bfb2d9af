"""Invariants of conformance and terminology resources, Questionnaire and TestScript."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from profiles.validate.rules.shape import (
    Rule,
    distinct,
    each_distinct,
    exactly_one,
    has,
    inner,
    many,
    most_one,
    needs,
    only_if,
    some,
    when,
)
from profiles.validate.walk import Json

_NAME = re.compile(r"[A-Z]([A-Za-z0-9_]){0,254}", re.ASCII)
_NAMED = (
    "adf-0 cid-0 cmd-0 cpb-0 cpd-0 csd-0 ees-0 esc-0 evd-0 evi-0 evv-0 gdf-0 ig-0 lib-0 mea-0 msd-0 nsd-0 opd-0 "
    "pdf-0 que-0 red-0 rsd-0 rvs-0 sdf-0 smp-0 spd-0 tcp-0 tst-0 vsd-0"
)
_OPTIONS = ("choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity")
_LENGTHS = ("boolean", "decimal", "integer", "string", "text", "url", "open-choice")
_ASSERTIONS = (
    "contentType",
    "expression",
    "headerField",
    "minimumId",
    "navigationLinks",
    "path",
    "requestMethod",
    "resource",
    "responseCode",
    "response",
    "validateProfileId",
)


def _parameter(node: Json) -> bool:
    content = sum(has(node, name) for name in ("value[x]", "resource"))
    return content == 0 if has(node, "part") else content == 1


def _named(node: Json) -> bool:
    return "name" not in node or _NAME.fullmatch(node["name"]) is not None


def _positive(node: Json) -> bool:
    most = node.get("max", "*")
    return most == "*" or (most.isdecimal() and int(most[:20]) > 0)


def _all_codes(node: Json) -> Iterator[Any]:
    for concept in many(node, "concept"):
        if "code" in concept:
            yield concept["code"]
        yield from _all_codes(concept)


def _all_links(node: Json) -> Iterator[Any]:
    for item in many(node, "item"):
        if "linkId" in item:
            yield item["linkId"]
        yield from _all_links(item)


def _group_or_display(node: Json) -> bool:
    return has(node, "item") if node.get("type") == "group" else node.get("type") != "display" or not has(node, "item")


def _document_profiles(node: Json) -> bool:
    return distinct((one.get("profile"), one.get("mode")) for one in many(node, "document"))


def _grouping_known(node: Json) -> bool:
    known = set(inner(node, "grouping", "id"))
    return all(one in known for one in inner(node, "resource", "groupingId"))


def _version_known(node: Json) -> bool:
    return set(many(node, "fhirVersion")).issuperset(inner(node, "definition", "resource", "fhirVersion"))


def _root_identifiers(node: Json) -> bool:
    return node.get("kind") != "root" or "uuid" not in inner(node, "uniqueId", "type")


def _one_preferred(node: Json) -> bool:
    return distinct(one.get("type") for one in many(node, "uniqueId") if one.get("preferred") is True)


def _versions_coded(node: Json) -> bool:
    versions = many(node, "version")
    return len(versions) <= 1 or all(has(one, "code") for one in versions)


def _compared(node: Json) -> bool:
    return has(node, "compareToSourceId") == (
        has(node, "compareToSourceExpression") or has(node, "compareToSourcePath")
    )


def _one_assertion(node: Json) -> bool:
    return has(node, "extension") or sum(has(node, name) for name in _ASSERTIONS) <= 1


def _of_response(node: Json) -> bool:
    if not has(node, "direction") or node.get("direction") == "response":
        return True
    return not has(node, "response") and not has(node, "responseCode")


def _operation_source(node: Json) -> bool:
    sources = sum(has(node, name) for name in ("targetId", "url", "params"))
    whole = node.get("type", {}).get("code") in {"capabilities", "search", "transaction", "history"}
    return has(node, "sourceId") or sources == 1 or whole


def _either_metadata(node: Json) -> bool:
    return any(has(one, name) for one in many(node, "capability") for name in ("required", "validated"))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_NAMED.split(), _named),
    "cmd-1": lambda node: has(node, "comment") or node.get("equivalence") not in {"narrower", "inexact"},
    "cmd-2": when("mode", "fixed", "code"),
    "cmd-3": when("mode", "other-map", "url"),
    "cpb-1": some("rest", "messaging", "document"),
    "cpb-2": some("description", "software", "implementation"),
    "cpb-3": lambda node: node.get("kind") == "instance" or not inner(node, "messaging", "endpoint"),
    "cpb-7": _document_profiles,
    "cpb-9": each_distinct("resource", "type"),
    "cpb-12": each_distinct("searchParam", "name"),
    "cpb-14": when("kind", "instance", "implementation"),
    "cpb-15": when("kind", "capability", "software", absent=("implementation",)),
    "cpb-16": when("kind", "requirements", absent=("implementation", "software")),
    "csd-1": lambda node: distinct(_all_codes(node)),
    "ig-1": _grouping_known,
    "ig-2": _version_known,
    "md-1": _positive,
    "nsd-1": _root_identifiers,
    "nsd-2": _one_preferred,
    "opd-1": some("type", "part"),
    "opd-2": only_if("searchType", type="string"),
    "opd-3": only_if("targetProfile", type=("Reference", "canonical")),
    "que-1": _group_or_display,
    "que-2": lambda node: distinct(_all_links(node)),
    "que-3": when("type", "display", absent=("code",)),
    "que-4": most_one("answerOption", "answerValueSet"),
    "que-5": lambda node: (
        node.get("type") in _OPTIONS or not (has(node, "answerOption") or has(node, "answerValueSet"))
    ),
    "que-6": when("type", "display", absent=("required", "repeats")),
    "que-7": when("operator", "exists", "answerBoolean"),
    "que-8": when("type", ("group", "display"), absent=("initial",)),
    "que-9": when("type", "display", absent=("readOnly",)),
    "que-10": only_if("maxLength", type=_LENGTHS),
    "que-11": most_one("answerOption", "initial"),
    "que-12": lambda node: len(many(node, "enableWhen")) <= 2 or has(node, "enableBehavior"),
    "que-13": lambda node: node.get("repeats") is True or len(many(node, "initial")) <= 1,
    "smp-1": needs("element", "context"),
    "smp-2": needs("context", "contextType"),
    "spd-1": needs("xpath", "xpathUsage"),
    "spd-2": only_if("chain", type="reference"),
    "tcp-1": _versions_coded,
    "tcp-2": some("description", "software", "implementation"),
    "tcp-3": when("kind", "instance", "implementation"),
    "tcp-4": when("kind", "capability", "software", absent=("implementation",)),
    "tcp-5": when("kind", "requirements", absent=("implementation", "software")),
    "tst-1": exactly_one("operation", "assert"),
    "tst-2": exactly_one("operation", "assert"),
    "tst-3": lambda node: not all(has(node, name) for name in ("expression", "headerField", "path")),
    "tst-4": _either_metadata,
    "tst-5": _one_assertion,
    "tst-6": _one_assertion,
    "tst-7": _operation_source,
    "tst-8": _operation_source,
    "tst-9": _operation_source,
    "tst-10": _compared,
    "tst-11": _compared,
    "tst-12": _of_response,
    "tst-13": _of_response,
    "vsd-1": some("valueSet", "system"),
    "vsd-2": lambda node: has(node, "system") or not (has(node, "concept") or has(node, "filter")),
    "vsd-3": most_one("concept", "filter"),
    "vsd-6": some("code", "display"),
    "vsd-9": lambda node: has(node, "code") or node.get("abstract") is True,
    "vsd-10": needs("code", "system"),
}

REUSED: Mapping[tuple[str, str], Rule] = {
    ("Parameters.parameter", "inv-1"): _parameter,
    ("TestReport.setup.action", "inv-1"): exactly_one("operation", "assert"),
    ("TestReport.test.action", "inv-2"): exactly_one("operation", "assert"),
}
