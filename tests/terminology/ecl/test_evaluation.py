"""Expression constraints over a small code system of SNOMED CT's shape."""

import re

import pytest

from terminology.ecl.evaluation import select
from terminology.ecl.tokens import InvalidConstraint
from tests.terminology.ecl import snomed

WITH_GROUPS, WITHOUT_GROUPS = snomed.release(), snomed.release(groups=False)


async def found(text: str, provider: object = WITH_GROUPS) -> set[str]:
    """Return the names of the concepts that satisfy a constraint, in which `~name` stands for a code."""
    written = re.sub(r"~(\w+)", lambda match: snomed.CODES[match[1]], text)
    chosen = await select(written, provider)  # type: ignore[arg-type]
    return {snomed.NAMES[one.code] for one in await WITH_GROUPS.concepts(list(chosen))}


BELOW_HEART = {"attack", "lung"}


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ("~heart", {"heart"}),
        ("~heart |Heart disease|", {"heart"}),
        ("999999999", set()),
        ("< ~heart", BELOW_HEART),
        ("<< ~heart", {"heart", *BELOW_HEART}),
        ("<! ~disease", {"heart", "lung", "burn"}),
        ("<<! ~disease", {"disease", "heart", "lung", "burn"}),
        ("> ~lung", {"heart", "disease", "finding", "root"}),
        (">> ~burn", {"burn", "disease", "finding", "root"}),
        (">! ~lung", {"heart", "disease"}),
        (">>! ~heart", {"heart", "disease"}),
        ("!!> (< ~finding)", {"disease"}),
        ("!!< (<< ~disease)", {"attack", "lung", "burn"}),
        ("< *", set(snomed.CODES) - {"root"}),
        ("* MINUS << ~root", set()),
        ("> *", {"root", "finding", "disease", "heart", "body", "heartpart", "change", "attribute", "drug", "history"}),
        ("<! (~heart OR ~body)", {"attack", "lung", "heartpart", "lungpart", "change"}),
        ("^ ~refset", BELOW_HEART),
        ("^ *", BELOW_HEART),
        ("^ ~body", set()),
        ("< ~disease AND ^ ~refset", BELOW_HEART),
        ("< ~disease, ^ ~refset", BELOW_HEART),
        ("~burn OR ~heart OR ~drug", {"burn", "heart", "drug"}),
        ("<< ~disease MINUS << ~heart", {"disease", "burn"}),
        ("(< ~disease OR ~drug) AND (~burn OR ~drug)", {"burn", "drug"}),
        ("/* all */ ~heart /* and * more */", {"heart"}),
    ],
)
async def test_sets_are_joined_and_follow_the_hierarchy(constraint: str, wanted: set[str]) -> None:
    assert await found(constraint) == wanted


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ("* : ~site = ~heartpart", {"heart", "lung"}),
        ("< ~finding : ~site = << ~heartpart", {"heart", "attack", "lung"}),
        ("* : ~site = *", {"heart", "attack", "lung"}),
        ("* : ~site != ~heartpart", {"attack", "lung"}),
        ("* : ~site != << ~heartpart", {"lung"}),
        ("* : ~site = << ~heartpart, ~morphology = ~infarct", BELOW_HEART),
        ("* : ~site = ~valve OR ~morphology = ~fibrosis", BELOW_HEART),
        ("* : (~site = ~valve OR ~morphology = ~fibrosis) AND ~morphology = ~infarct", BELOW_HEART),
        ("* : (~site OR ~morphology) = (~valve OR ~fibrosis)", BELOW_HEART),
        ("* : * = ~infarct", BELOW_HEART),
        ("* : << ~attribute = ~infarct", BELOW_HEART),
        ("< ~disease : [0..0] ~morphology = *", {"heart", "burn"}),
        ("< ~disease : [0..1] ~morphology = *", {"heart", "burn", "attack"}),
        ("* : [2..*] ~morphology = *", {"lung"}),
        ("* : [2..2] ~morphology = << ~change", {"lung"}),
        ("* : [3..*] ~morphology = *", set()),
        ("<< ~body : R ~site = ~lung", {"heartpart", "lungpart"}),
        ("<< ~body : [2..*] R ~site = *", {"heartpart"}),
        ("<< ~body : [0..0] R ~site = *", {"body", "change", "infarct", "fibrosis"}),
        ("< ~disease . ~site", {"heartpart", "valve", "lungpart"}),
        ("~attack . ~morphology", {"infarct"}),
        ("* : ~strength = #5", {"tablet5"}),
        ("* : ~strength >= #5.0", {"tablet5", "tablet10"}),
        ("* : ~strength > #5", {"tablet10"}),
        ("* : ~strength != #5", {"tablet10"}),
        ("* : ~strength = (#10 #11)", {"tablet10"}),
        ('* : ~brand = "good drug"', {"tablet5"}),
        ('* : ~brand = wild:"Good*"', {"tablet5"}),
    ],
)
@pytest.mark.parametrize("provider", [WITH_GROUPS, WITHOUT_GROUPS], ids=["groups", "no groups"])
async def test_concepts_are_refined_by_their_attributes(constraint: str, wanted: set[str], provider: object) -> None:
    assert await found(constraint, provider) == wanted


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ("* : { ~site = ~heartpart, ~morphology = ~infarct }", {"lung"}),
        ("* : { ~site = ~lungpart, ~morphology = ~infarct }", set()),
        ("* : ~site = ~lungpart, ~morphology = ~infarct", {"lung"}),
        ("* : { ~site = *, ~morphology = * }", BELOW_HEART),
        ("* : [2..*] { ~site = *, ~morphology = * }", {"lung"}),
        ("* : [1..1] { ~site = * }", {"heart", "attack"}),
        ("< ~disease : [0..0] { ~morphology = ~infarct }", {"heart", "burn"}),
        ("< ~disease : [0..1] { ~site = * }", {"heart", "attack", "burn"}),
        ("* : { ~site = *, [0..0] ~morphology = * }", {"heart"}),
        ("* : { ~site = ~valve OR ~site = ~lungpart }", BELOW_HEART),
        ("* : { ~site = ~lungpart } OR { ~site = ~valve }", BELOW_HEART),
    ],
)
async def test_attributes_of_a_group_hold_together(constraint: str, wanted: set[str]) -> None:
    assert await found(constraint) == wanted


async def test_without_groups_attributes_of_a_concept_count_as_one_group() -> None:
    assert await found("* : { ~site = ~lungpart, ~morphology = ~infarct }", WITHOUT_GROUPS) == {"lung"}
    assert await found("< ~disease : [0..0] { ~morphology = * }", WITHOUT_GROUPS) == {"heart", "burn"}


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        ('* {{ term = "hear att" }}', {"attack", "oldattack"}),
        ('< ~finding {{ term = "attack" }}', {"attack"}),
        ('* {{ term = ("burn" "valve") }}', {"burn", "valve"}),
        ('* {{ term = wild:"*farct" }}', {"infarct", "lung"}),
        ('* {{ D term = match:"herz", language = de }}', {"attack"}),
        ('* {{ term = "herz", language = en }}', set()),
        ('* {{ term = "infarc", dialect = en-gb }}', {"attack", "infarct", "lung"}),
        ('* {{ term = "heart attack", dialect = en-gb }}', {"oldattack"}),
        ('* {{ term = "heart attack", dialectId = 900000000000509007 }}', {"attack", "oldattack"}),
        ('* {{ term = "burn", type = fsn }}', {"burn"}),
        ('* {{ term = "heart attack", type = (fsn def) }}', {"oldattack"}),
        ('* {{ term = "heart attack", typeId = 900000000000013009 }}', {"attack", "oldattack"}),
        ('<< ~heart {{ term != "disease" }}', {"attack", "lung"}),
        ("< ~root {{ C active = 0 }}", {"oldattack"}),
        ("<< ~heart {{ C definitionStatus = defined }}", {"heart", "attack", "lung"}),
        ("<< ~heart {{ C definitionStatusId != 900000000000073002 }}", set()),
        ("* {{ C moduleId = 900000000000012004 }}", {"oldattack"}),
        ('* {{ C effectiveTime >= "20240101" }}', {"lung"}),
        ('<< ~heart {{ C effectiveTime != "20240731", active = true }}', {"heart", "attack"}),
        ('< ~disease {{ term = "infarct" }} {{ C effectiveTime < "20240101" }}', {"attack"}),
        ("~attack {{ + HISTORY-MIN }}", {"attack", "oldattack"}),
        ("~attack {{ + HISTORY }}", {"attack", "oldattack"}),
        ("~attack {{ + HISTORY (< ~history) }}", {"attack", "oldattack"}),
        ("~burn {{ + HISTORY-MAX }}", {"burn"}),
    ],
)
async def test_sets_are_filtered_by_descriptions_states_and_history(constraint: str, wanted: set[str]) -> None:
    assert await found(constraint) == wanted


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        ("* : R ~site = #5", "reversed attribute"),
        ("* : { R ~site = * }", "cannot stand in a group"),
    ],
)
async def test_what_cannot_be_told_is_refused(constraint: str, reason: str) -> None:
    with pytest.raises(InvalidConstraint, match=reason):
        await found(constraint)
