"""What SNOMED CT and LOINC have of their own: constraints, expressions, parts by name, answers."""

from typing import Any

import pytest

from terminology.codesystem.listed import Listed
from terminology.codesystem.loinc import Loinc
from terminology.codesystem.provider import Filter, InvalidFilter
from terminology.codesystem.snomed import Snomed
from terminology.collection import Collection
from terminology.complete import Complete
from terminology.concept import NOT_ENUMERATED, Concept
from tests.terminology.ecl import snomed as made

C = made.CODES
SNOMED = Snomed(made.release())
SITE, MORPHOLOGY = made.SITE, made.MORPHOLOGY
VALVE_INFARCT = f"{C['disease']}:{{{SITE}={C['valve']},{MORPHOLOGY}={C['infarct']}}}"


async def names(rule: Filter) -> set[str]:
    return {made.NAMES[one.code] for one in await SNOMED.concepts(list(await SNOMED.select(rule)))}


async def known(code: str) -> Concept:
    found = await SNOMED.find(code)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (Filter("constraint", "=", f"< {C['heart']}"), {"attack", "lung"}),
        (Filter("expression", "=", f"< {C['heart']} : {SITE} = {C['valve']}"), {"attack"}),
        (Filter("concept", "in", made.REFSET), {"attack", "lung"}),
        (Filter("concept", "in", f"{C['burn']},{C['heart']}"), {"burn", "heart"}),
        (Filter("concept", "is-a", C["heart"]), {"heart", "attack", "lung"}),
        (Filter(SITE, "=", C["valve"]), {"attack"}),
    ],
)
async def test_snomed_ct_has_filters_of_its_own(rule: Filter, wanted: set[str]) -> None:
    assert await names(rule) == wanted


async def test_a_constraint_that_is_none_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidFilter, match="at character 12"):
        await SNOMED.select(Filter("constraint", "=", "< 22298006 x"))
    with pytest.raises(InvalidFilter, match="goes with ="):
        await SNOMED.select(Filter("constraint", "in", "< 22298006"))


async def test_an_expression_is_a_code_with_words() -> None:
    found = await known(VALVE_INFARCT)
    assert (found.code, found.ordinal) == (VALVE_INFARCT, NOT_ENUMERATED)
    assert found.display == "Disease: {site = Valve, morphology = Infarct}"
    assert (await known(f"{C['heart']} |Heart disease|")).code == C["heart"]
    assert (await known(f"{C['oldattack']}:{SITE}={C['valve']}")).inactive
    assert await SNOMED.find(f"{C['disease']}:{SITE}=999999999") is None
    assert await SNOMED.find(f"{C['disease']}:{SITE}") is None
    assert "and not =" in SNOMED.reason(f"{C['disease']}:{SITE}")
    assert "not in this version" in SNOMED.reason(f"{C['disease']}:{SITE}=999999999")
    assert not SNOMED.reason("999999999")


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (C["disease"], VALVE_INFARCT, True),
        (C["attack"], VALVE_INFARCT, False),
        (C["burn"], VALVE_INFARCT, False),
        (C["heart"], VALVE_INFARCT, True),
        (f"{C['finding']}:{SITE}={C['heartpart']}", VALVE_INFARCT, True),
        (f"{C['finding']}:{{{SITE}={C['heartpart']},{MORPHOLOGY}={C['change']}}}", VALVE_INFARCT, True),
        (f"{C['finding']}:{SITE}={C['lungpart']}", VALVE_INFARCT, False),
        (f"{C['finding']}:{{{SITE}={C['heartpart']},{MORPHOLOGY}={C['infarct']}}}", C["attack"], True),
        (f"{C['finding']}:{{{SITE}={C['lungpart']},{MORPHOLOGY}={C['infarct']}}}", C["lung"], False),
        (VALVE_INFARCT, f"{C['disease']} |x| : {{{MORPHOLOGY}={C['infarct']}, {SITE}={C['valve']}}}", True),
        (VALVE_INFARCT, C["disease"], False),
        (f"{C['disease']}:{SITE}=({C['body']}:{MORPHOLOGY}={C['change']})", f"{C['disease']}:{SITE}=({C['valve']}:{MORPHOLOGY}={C['infarct']})", True),
        (f"{C['drug']}:{made.STRENGTH}=#5", f"{C['drug']}:{made.STRENGTH}=#6", False),
    ],
)  # fmt: skip
async def test_expressions_are_compared_by_what_they_say(one: str, other: str, wanted: bool) -> None:
    assert await SNOMED.subsumes(await known(one), await known(other)) is wanted


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (Filter("concept", "is-a", C["finding"]), True),
        (Filter("concept", "is-a", C["burn"]), False),
        (Filter("concept", "descendent-of", C["disease"]), True),
        (Filter("concept", "is-not-a", C["burn"]), True),
        (Filter("concept", "=", VALVE_INFARCT), True),
        (Filter("concept", "in", f"{C['burn']},{VALVE_INFARCT}"), True),
        (Filter("concept", "in", f"{C['burn']},{C['disease']}"), False),
        (Filter("constraint", "=", f"< {C['disease']}"), True),
        (Filter("constraint", "=", f"< {C['disease']} MINUS << {C['heart']}"), False),
        (Filter("constraint", "=", f"<< {C['burn']} OR << {C['body']}"), False),
        (Filter("expressions", "=", "true"), True),
        (Filter("expressions", "=", "false"), False),
        (Filter("moduleId", "=", "900000000000207008"), False),
    ],
)
async def test_filters_are_told_of_expressions(rule: Filter, wanted: bool) -> None:
    assert await SNOMED.holds(rule, await known(VALVE_INFARCT)) is wanted


async def test_what_cannot_be_told_of_an_expression_is_refused() -> None:
    with pytest.raises(InvalidFilter, match="cannot be told"):
        await SNOMED.holds(Filter("constraint", "=", f"^ {made.REFSET}"), await known(VALVE_INFARCT))


def loinc() -> Listed:
    def row(code: str, display: str, *stated: tuple[str, Any]) -> dict[str, Any]:
        def value(one: Any) -> dict[str, Any]:
            return (
                {"valueCoding": {"system": "http://loinc.org", "code": one[1:]}}
                if one[0] == "@"
                else {"valueCode": one}
            )

        return {"code": code, "display": display, "property": [{"code": name, **value(one)} for name, one in stated]}

    kinds = {
        "COMPONENT": "Coding",
        "CLASS": "Coding",
        "CLASSTYPE": "code",
        "LIST": "code",
        "answer-list": "code",
        "parent": "code",
    }
    kinds |= {"answers-for": "code", "STATUS": "code", "copyright": "code"}
    return Listed(
        {
            "resourceType": "CodeSystem",
            "url": "http://loinc.org",
            "version": "2.99",
            "status": "active",
            "content": "complete",
            "hierarchyMeaning": "is-a",
            "property": [{"code": code, "type": kind} for code, kind in kinds.items()],
            "concept": [
                row("LP1-1", "Sweet things"),
                row("LP2-2", "Glucose", ("parent", "LP1-1")),
                row("LP3-3", "CHEM"),
                row("LP4-4", "SURVEY.X"),
                row("10-1", "Glucose in blood", ("COMPONENT", "@LP2-2"), ("CLASS", "@LP3-3"), ("CLASSTYPE", "1"), ("parent", "LP2-2"), ("copyright", "LOINC")),
                row("20-2", "Do you like it?", ("CLASS", "@LP4-4"), ("CLASSTYPE", "4"), ("answer-list", "LL1-1"), ("copyright", "3rdParty"), ("STATUS", "TRIAL")),
                row("LL1-1", "Yes or no", ("answers-for", "20-2")),
                row("LA1-1", "Yes", ("LIST", "LL1-1")),
                row("LA2-2", "No", ("LIST", "LL1-1")),
            ],
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (Filter("COMPONENT", "=", "LP2-2"), {"10-1"}),
        (Filter("COMPONENT", "=", "glucose"), {"10-1"}),
        (Filter("COMPONENT", "in", "Glucose,Salt"), {"10-1"}),
        (Filter("COMPONENT", "=", "Salt"), set()),
        (Filter("CLASS", "regex", "CHEM|SURVEY\\..*"), {"10-1", "20-2"}),
        (Filter("CLASS", "exists", "true"), {"10-1", "20-2"}),
        (Filter("LIST", "=", "LL1-1"), {"LA1-1", "LA2-2"}),
        (Filter("answers-for", "=", "LL1-1"), {"LA1-1", "LA2-2"}),
        (Filter("answers-for", "=", "20-2"), {"LA1-1", "LA2-2"}),
        (Filter("answers-for", "=", "10-1"), set()),
        (Filter("ancestor", "=", "LP1-1"), {"LP2-2", "10-1"}),
        (Filter("parent", "=", "LP2-2"), {"10-1"}),
        (Filter("concept", "is-a", "LP2-2"), {"LP2-2", "10-1"}),
        (Filter("CLASSTYPE", "=", "1"), {"10-1"}),
        (Filter("CLASSTYPE", "=", "Surveys"), {"20-2"}),
        (Filter("copyright", "=", "3rdParty"), {"20-2"}),
        (Filter("STATUS", "=", "TRIAL"), {"20-2"}),
    ],
)
async def test_loinc_has_filters_of_its_own(rule: Filter, wanted: set[str]) -> None:
    system = Loinc(loinc())
    assert {one.code for one in await system.concepts(list(await system.select(rule)))} == wanted


async def test_a_filter_that_loinc_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidFilter, match="goes with ="):
        await Loinc(loinc()).select(Filter("ancestor", "in", "LP1-1"))


async def test_a_complete_catalogue_gives_systems_with_what_they_have_of_their_own() -> None:
    resource = {
        "resourceType": "CodeSystem",
        "url": "http://snomed.info/sct",
        "content": "fragment",
        "status": "active",
        "concept": [],
    }
    (found,) = await Complete(Collection([resource])).code_systems("http://snomed.info/sct")
    assert isinstance(found, Snomed)
