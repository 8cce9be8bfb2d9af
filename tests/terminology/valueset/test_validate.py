"""Validation of codes against value sets and code systems, in the library: membership, versions, states, imports, bad definitions."""

from collections.abc import Sequence
from typing import Any

import pytest

from terminology.codesystem.provider import CodeSystemProvider
from terminology.codesystem.ucum import Units
from terminology.collection import Collection
from terminology.display import Languages
from terminology.issue import TxRefusal
from terminology.valueset.member import Code
from terminology.valueset.systems import Options
from terminology.valueset.validate import Answer, Validation
from terminology.versions import VersionRules
from tests.effort import within

Json = dict[str, Any]

SYSTEM = "http://example.org/cs"
RETIRED = [{"code": "status", "valueCode": "retired"}]
GROUP = [{"code": "notSelectable", "valueBoolean": True}]


def code_system(version: str = "", **more: Any) -> Json:
    found: Json = {
        "resourceType": "CodeSystem",
        "url": SYSTEM,
        "content": "complete",
        "status": "active",
        "concept": [
            {"code": "a", "display": "Alpha", "concept": [{"code": "a1", "display": "Alpha one"}]},
            {"code": "b", "display": "Beta", "property": RETIRED},
            {"code": "c", "display": "Gamma", "property": GROUP},
        ],
    }
    return found | ({"version": version} if version else {}) | more


def value_set(*include: Json, name: str = "vs", exclude: Sequence[Json] = (), **compose: Any) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": f"http://example.org/{name}",
        "status": "active",
        "compose": {"include": list(include), **({"exclude": list(exclude)} if exclude else {}), **compose},
    }


ALL: Json = {"system": SYSTEM}


async def ask(resource: Json, code: str = "a", *others: Json, options: Options | None = None, **more: Any) -> Answer:
    known = others if any(one.get("url") == SYSTEM for one in others) else (code_system(), *others)
    given = Code(**{"system": SYSTEM, "path": "Coding", **more, "code": code})
    return await Validation(Collection([resource, *known]), options or Options()).in_value_set(resource, [given])


def ids(answer: Answer) -> set[str]:
    return {one.message_id for one in answer.issues}


async def test_a_code_of_the_system_is_in_the_value_set_of_all_codes() -> None:
    answer = await ask(value_set(ALL))
    assert (answer.result, answer.display, answer.issues) == (True, "Alpha", ())


async def test_an_unknown_code_is_not() -> None:
    answer = await ask(value_set(ALL), "x")
    assert not answer.result
    assert ids(answer) == {"None_of_the_provided_codes_are_in_the_value_set_one", "Unknown_Code_in"}
    assert [one.path for one in answer.issues] == ["Coding.code", "Coding.code"]


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ({"concept": [{"code": "a"}]}, True),
        ({"concept": [{"code": "b"}]}, False),
        ({"filter": [{"property": "concept", "op": "is-a", "value": "a"}]}, True),
        ({"filter": [{"property": "concept", "op": "descendent-of", "value": "a"}]}, False),
        (
            {
                "filter": [
                    {"property": "concept", "op": "is-a", "value": "a"},
                    {"property": "code", "op": "regex", "value": "b"},
                ]
            },
            False,
        ),
    ],
)
async def test_lists_and_all_filters_decide(part: Json, held: bool) -> None:
    assert (await ask(value_set({**ALL, **part}))).result is held
    assert (await ask(value_set(ALL, exclude=[{**ALL, **part}]))).result is not held


async def test_imports_are_all_asked_and_includes_only_one() -> None:
    one = value_set({**ALL, "concept": [{"code": "a"}, {"code": "b"}]}, name="one")
    two = value_set({**ALL, "concept": [{"code": "a"}, {"code": "c"}]}, name="two")
    both = value_set({"valueSet": [one["url"], two["url"]]})
    either = value_set({"valueSet": [one["url"]]}, {"valueSet": [two["url"]]})
    for code, in_both, in_either in (("a", True, True), ("b", False, True), ("c", False, True), ("a1", False, False)):
        assert (await ask(both, code, one, two)).result is in_both
        assert (await ask(either, code, one, two)).result is in_either


async def test_a_value_set_that_imports_itself_is_refused() -> None:
    one = value_set({"valueSet": ["http://example.org/two"]}, name="one")
    two = value_set({"valueSet": ["http://example.org/one"]}, name="two")
    with pytest.raises(
        TxRefusal, match=r"circularity pointing to http://example\.org/one .*one, http://example\.org/two\]"
    ):
        await ask(one, "a", two)


async def test_an_import_that_is_not_here_is_told() -> None:
    answer = await ask(value_set({"valueSet": ["http://example.org/none"]}))
    assert not answer.result
    assert answer.message == "A definition for the value Set 'http://example.org/none' could not be found"


async def test_value_sets_within_the_value_set_are_found() -> None:
    inner = {**value_set({**ALL, "concept": [{"code": "a"}]}, name="inner"), "id": "i"}
    assert (await ask({**value_set({"valueSet": ["#i"]}), "contained": [inner]})).result


async def test_inactive_concepts_are_told_and_refused_where_only_active_ones_are_wanted() -> None:
    told = await ask(value_set(ALL), "b")
    assert (told.result, told.inactive, told.status) == (True, True, "retired")
    assert told.message == "The concept 'b' has a status of retired and inactive and its use should be reviewed"
    for refused in (
        await ask(value_set(ALL), "b", options=Options(active_only=True)),
        await ask(value_set(ALL, inactive=False), "b"),
        await ask(value_set({**ALL, "concept": [{"code": "b"}]}, inactive=False), "b"),
    ):
        assert (refused.result, refused.inactive) == (False, True)
        assert "STATUS_CODE_WARNING_CODE" in ids(refused)


async def test_what_imports_a_value_set_says_whether_inactive_concepts_count() -> None:
    imported = value_set(ALL, name="imported")
    assert (await ask(value_set({"valueSet": [imported["url"]]}), "b", imported)).result
    assert not (await ask(value_set({"valueSet": [imported["url"]]}, inactive=False), "b", imported)).result
    assert not (await ask(value_set(ALL, exclude=[{"valueSet": [imported["url"]]}]), "b", imported)).result


async def test_concepts_that_only_group_are_refused_on_request() -> None:
    assert (await ask(value_set(ALL), "c")).result
    refused = await ask(value_set(ALL), "c", options=Options(abstract=False))
    assert not refused.result
    assert "ABSTRACT_CODE_NOT_ALLOWED" in ids(refused)


async def test_an_unknown_code_system_leaves_it_open() -> None:
    unknown = value_set({"system": "http://example.org/none"})
    answer = await ask(unknown, system="http://example.org/none")
    assert (answer.result, answer.member, answer.unknown) == (False, None, ("http://example.org/none",))
    names = {row["name"] for row in answer.parameters["parameter"]}
    assert "x-caused-by-unknown-system" in names


async def test_membership_only_says_nothing_of_the_code() -> None:
    answer = await ask(value_set(ALL), "x", options=Options(membership_only=True))
    assert ids(answer) == {"None_of_the_provided_codes_are_in_the_value_set_one"}


async def test_case_does_not_matter_where_the_code_system_says_so() -> None:
    answer = await ask(value_set(ALL), "A", code_system(caseSensitive=False))
    assert (answer.result, answer.code, answer.normalized) == (True, "A", "a")
    assert "CODE_CASE_DIFFERENCE" in ids(answer)


async def test_a_fragment_may_have_codes_that_are_not_listed() -> None:
    fragment = code_system(content="fragment")
    assert (await ask(value_set(ALL), "x", fragment)).result
    assert not (await ask(value_set({**ALL, "concept": [{"code": "a"}]}), "x", fragment)).result


async def test_the_code_system_is_found_out_where_one_only_has_the_code() -> None:
    other = code_system(url="http://example.org/other", concept=[{"code": "a"}, {"code": "z"}])
    both = value_set(ALL, {"system": other["url"]})
    options = Options(infer=True)
    single = await ask(both, "z", code_system(), other, system="", options=options)
    assert (single.result, single.system) == (True, other["url"])
    assert "multiple matches" in (await ask(both, "a", code_system(), other, system="", options=options)).message
    assert "could not be determined" in (await ask(both, "q", code_system(), other, system="", options=options)).message


async def test_a_wrong_display_fails_unless_it_may_pass() -> None:
    strict = await ask(value_set(ALL), display="Omega")
    lenient = await ask(value_set(ALL), display="Omega", options=Options(lenient=True))
    assert (strict.result, lenient.result) == (False, True)
    assert strict.message == lenient.message
    assert [one.severity for one in lenient.issues] == ["warning"]


async def test_the_language_of_the_value_set_counts_where_nobody_asks() -> None:
    system = code_system(
        concept=[{"code": "a", "display": "A", "designation": [{"language": "de", "value": "Ah"}]}], language="en"
    )
    german = {**value_set(ALL), "language": "de"}
    assert (await ask(german, "a", system)).display == "Ah"
    assert (await ask(german, "a", system, options=Options(languages=Languages.read("en")))).display == "A"


async def test_versions_are_forced_stated_and_newest() -> None:
    old = code_system("1.0.0", concept=[{"code": "a", "display": "Old"}])
    new = code_system("2.0.0", concept=[{"code": "a", "display": "New"}])
    forced = Options(rules=VersionRules.read({"force-system-version": [f"{SYSTEM}|1.x"]}))
    assert (await ask(value_set(ALL), "a", old, new)).display == "New"
    assert (await ask(value_set({**ALL, "version": "1.0.0"}), "a", old, new)).display == "Old"
    assert (await ask(value_set(ALL), "a", old, new, options=forced)).display == "Old"
    told = await ask(value_set({**ALL, "version": "2.0.0"}), "a", old, new, version="1.0.0")
    assert ids(told) == {"VALUESET_VALUE_MISMATCH"}


async def test_contradicting_versions_are_refused() -> None:
    rules = VersionRules.read({"system-version": [f"{SYSTEM}|1", f"{SYSTEM}|2"]})
    with pytest.raises(TxRefusal, match="two versions of"):
        await ask(value_set(ALL), options=Options(rules=rules))


async def test_versions_of_imported_value_sets_follow_the_request() -> None:
    old = {**value_set({**ALL, "concept": [{"code": "a"}]}, name="imported"), "version": "1"}
    new = {**value_set({**ALL, "concept": [{"code": "b"}]}, name="imported"), "version": "2"}
    outer = value_set({"valueSet": [old["url"]]})

    def asking(name: str) -> Options:
        return Options(rules=VersionRules.read({name: [f"{old['url']}|1"]}))

    assert not (await ask(outer, "a", old, new)).result
    assert (await ask(outer, "a", old, new, options=asking("default-valueset-version"))).result
    assert (await ask(outer, "a", old, new, options=asking("force-valueset-version"))).result
    pinned = value_set({"valueSet": [f"{old['url']}|2"]})
    with pytest.raises(TxRefusal, match="required to be '1' by a version-check"):
        await ask(pinned, "b", old, new, options=asking("check-valueset-version"))


async def test_one_valid_coding_makes_a_concept_valid_though_the_system_of_another_is_unknown() -> None:
    resource = value_set(ALL)
    codes = [
        Code("http://example.org/none", "q", path="CodeableConcept.coding[0]"),
        Code(SYSTEM, "a", path="CodeableConcept.coding[1]"),
    ]
    answer = await Validation(Collection([resource, code_system()]), Options()).in_value_set(
        resource, codes, {"coding": []}
    )
    assert (answer.result, answer.code) == (True, "a")
    assert {one.severity for one in answer.issues} == {"warning", "information"}


async def test_a_value_set_without_compose_is_as_its_expansion_lists_it() -> None:
    rows = [{"system": SYSTEM, "code": "a", "contains": [{"system": SYSTEM, "code": "b"}]}]
    listed = {"resourceType": "ValueSet", "url": "http://example.org/vs", "expansion": {"contains": rows}}
    assert [(await ask(listed, code)).result for code in ("a", "b", "a1")] == [True, True, False]


async def test_a_filter_that_is_none_is_refused_with_the_reason() -> None:
    with pytest.raises(TxRefusal) as caught:
        await ask(value_set({**ALL, "filter": [{"property": "colour", "op": "=", "value": "red"}]}))
    (row,) = [one.row for one in caught.value.issues]
    assert row["diagnostics"].startswith("The code system http://example.org/cs has no property 'colour'")
    with pytest.raises(TxRefusal, match="has no value"):
        await ask(value_set({**ALL, "filter": [{"property": "concept", "op": "is-a"}]}))


async def test_a_list_of_twenty_thousand_codes_is_indexed_once() -> None:
    count = 20_000
    system = code_system(concept=[{"code": str(one)} for one in range(count)])
    resource = value_set({**ALL, "concept": [{"code": str(one)} for one in range(0, count, 2)]})
    collection = Collection([resource, system])
    validation = Validation(collection, Options())
    await validation.in_value_set(resource, [Code(SYSTEM, "0")])
    with within(1):
        results = [(await validation.in_value_set(resource, [Code(SYSTEM, str(one))])).result for one in range(200)]
        assert results == [one % 2 == 0 for one in range(200)]


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (SYSTEM, f"Coding has no code for system {SYSTEM} and cannot be validated"),
        ("", "Coding has neither a system nor a code"),
    ],
)
async def test_a_coding_without_a_code_is_told_once(system: str, said: str) -> None:
    answer = await ask(value_set(ALL), "", system=system)
    assert not answer.result
    assert len(answer.issues) == 1
    assert answer.message.startswith(said)


async def test_a_grammar_says_why_a_code_is_none() -> None:
    units = Units()
    resource = value_set({"system": units.head.url})

    class WithUnits(Collection):
        async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
            return (units,) if url == units.head.url else ()

    validation = Validation(WithUnits([resource]), Options())
    assert (await validation.in_value_set(resource, [Code(units.head.url, "mg/dL", path="Coding")])).result
    answer = await validation.in_value_set(resource, [Code(units.head.url, "kgXX", path="Coding")])
    reasons = [one for one in answer.issues if one.severity == "information"]
    assert [(one.kind, one.path) for one in reasons] == [("invalid-code", "Coding.code")]
    assert "kgXX" in reasons[0].text
