"""Code systems that are known without loading anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from terminology.codesystem.bcp47 import Languages
from terminology.codesystem.mime import MediaTypes
from terminology.codesystem.native import MAKERS, Native
from terminology.codesystem.provider import CodeSystemProvider, Filter, InvalidFilter, NotEnumerable
from terminology.codesystem.ucum import Units
from terminology.concept import NOT_ENUMERATED

NATIVE = Native()
LANGUAGES, MEDIA_TYPES, UNITS = Languages(), MediaTypes(), Units()
TEXTS = st.text(st.sampled_from('aAzZ09-_/;=.{}[]()*+ "\\é%|~deuxnq'), max_size=40) | st.text(max_size=40)


async def system(url: str) -> CodeSystemProvider:
    (found,) = await NATIVE.code_systems(url)
    return found


async def display(url: str, code: str) -> str | None:
    concept = await (await system(url)).find(code)
    return None if concept is None else concept.display


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("de", "German"),
        ("de-CH", "German (Switzerland)"),
        ("en-US", "English (United States)"),
        ("sr-Latn-RS", "Serbian (Latin, Serbia)"),
        ("zh-yue", "Chinese (Yue Chinese)"),
        ("de-1996", "German (German orthography of 1996)"),
        ("es-419", "Spanish (Latin America and the Caribbean)"),
        ("x-ward", "x-ward"),
        ("i-klingon", "Klingon"),
        ("qaa-Qaaa-QM", "Private use (Private use, Private use)"),
    ],
)
async def test_a_tag_of_a_language_is_shown_in_words(tag: str, words: str) -> None:
    assert await display("urn:ietf:bcp:47", tag) == words


@pytest.mark.parametrize(
    "tag",
    ["", "e", "english", "de_CH", "de-XX-CH", "zz-", "qq", "de-yue", "de-CH-CH", "de-1996-1996", "en-a-b-a-c", "d€"],
)
async def test_what_is_no_tag_of_a_language_is_no_code(tag: str) -> None:
    assert await display("urn:ietf:bcp:47", tag) is None


async def test_a_tag_is_answered_in_its_advised_spelling() -> None:
    found = await (await system("urn:ietf:bcp:47")).find("ZH-hans-cn")
    assert found is not None
    assert (found.code, found.ordinal) == ("zh-Hans-CN", NOT_ENUMERATED)
    assert {one.code: one.value for one in found.properties} == {"language": "zh", "script": "Hans", "region": "CN"}


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (Filter("region", "exists", "true"), "de-CH", "de"),
        (Filter("region", "exists", "false"), "de", "de-CH"),
        (Filter("script", "exists", "true"), "sr-Latn", "sr"),
        (Filter("variant", "exists", "true"), "de-1996", "de"),
        (Filter("ext-lang", "exists", "true"), "zh-yue", "zh"),
        (Filter("extension", "exists", "true"), "de-u-co-phonebk", "de"),
        (Filter("private-use", "exists", "true"), "de-x-ward", "de"),
        (Filter("region", "=", "CH"), "fr-CH", "fr-FR"),
        (Filter("language", "in", "de,fr"), "fr-CH", "it-CH"),
        (Filter("code", "regex", "de(-.*)?"), "de-CH", "fr"),
        (Filter("code", "in", "DE-ch, fr"), "de-CH", "de"),
    ],
)
async def test_tags_are_filtered_by_their_parts(rule: Filter, yes: str, no: str) -> None:
    languages = await system("urn:ietf:bcp:47")
    one, other = await languages.find(yes), await languages.find(no)
    assert one is not None
    assert other is not None
    assert await languages.holds(rule, one)
    assert not await languages.holds(rule, other)


async def test_a_grammar_cannot_be_listed_and_says_what_to_do() -> None:
    units = await system("http://unitsofmeasure.org")
    with pytest.raises(NotEnumerable, match="no end of codes"):
        await units.everything()
    with pytest.raises(NotEnumerable):
        await units.select(Filter("canonical", "=", "g"))
    with pytest.raises(InvalidFilter, match="It has: code with"):
        await units.select(Filter("colour", "=", "red"))
    with pytest.raises(InvalidFilter, match="canonical"):
        await units.select(Filter("canonical", "=", "kgXX"))
    with pytest.raises(InvalidFilter, match="true or false"):
        await units.select(Filter("property", "exists", "perhaps"))
    assert len(await units.select(Filter("code", "in", "mg,nonsense,mg/dL"))) == 2


async def test_a_unit_has_its_code_words_and_base_units() -> None:
    units = await system("http://unitsofmeasure.org")
    found = await units.find("ug/kg/min{dose}")
    assert found is not None
    assert (found.display, found.ordinal) == ("ug/kg/min{dose}", NOT_ENUMERATED)
    assert found.designations[0].value.startswith("(microgram) / (kilogram)")
    assert await units.find("kgXX") is None
    assert isinstance(units, Units)
    assert "kgXX" in units.reason("kgXX")


async def test_units_are_filtered_by_what_they_convert_to_and_measure() -> None:
    units = await system("http://unitsofmeasure.org")
    week, metre, gram = [await units.find(code) for code in ("wk", "m", "g")]
    assert week is not None
    assert metre is not None
    assert gram is not None
    assert await units.holds(Filter("canonical", "=", "a"), week)
    assert not await units.holds(Filter("canonical", "=", "a"), metre)
    assert await units.holds(Filter("canonical", "in", "a, g"), gram)
    assert await units.holds(Filter("property", "=", "length"), metre)
    masses = [
        one
        for one in await units.concepts(list(await units.common()))
        if await units.holds(Filter("canonical", "=", "g"), one)
    ]
    assert {"g", "kg", "[lb_av]", "ng"} <= {one.code for one in masses}


async def test_well_known_codes_are_found_by_words() -> None:
    units = await system("http://unitsofmeasure.org")
    common = await units.common()
    milli = await units.concepts(await units.matching("millimole lit", common))
    assert milli[0].code == "mmol/L"
    assert "mg/dL" in {one.code for one in await units.concepts(await units.matching("mg/", common))}
    languages = await system("urn:ietf:bcp:47")
    swiss = await languages.concepts(await languages.matching("switzer", await languages.common()))
    assert {one.code for one in swiss} == {"de-CH", "fr-CH", "it-CH"}
    media = await system("urn:ietf:bcp:13")
    assert "application/fhir+json" in {
        one.code for one in await media.concepts(await media.matching("fhir", await media.common()))
    }


@pytest.mark.parametrize(
    "code", ["text/plain", "Application/FHIR+JSON", "text/plain; charset=UTF-8", 'a/b;q="x; \\"y"']
)
async def test_a_media_type_may_have_parameters(code: str) -> None:
    assert await display("urn:ietf:bcp:13", code)


@pytest.mark.parametrize(
    "code", ["text", "text/", "text/plain;", "text/plain; charset", "te xt/plain", "text/plain/x", ""]
)
async def test_what_is_no_media_type_is_no_code(code: str) -> None:
    assert await display("urn:ietf:bcp:13", code) is None


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("urn:iso:std:iso:3166", "CH", "Switzerland"),
        ("urn:iso:std:iso:3166", "CHE", "Switzerland"),
        ("urn:iso:std:iso:3166", "756", "Switzerland"),
        ("urn:iso:std:iso:3166", "XK", "User-assigned"),
        ("urn:iso:std:iso:3166", "BO", "Bolivia, Plurinational State of"),
        ("urn:iso:std:iso:3166:-2", "CH-ZH", "Zürich"),
        ("urn:iso:std:iso:3166:-3", "YUCS", "Yugoslavia, (Socialist) Federal Republic of"),
        ("http://terminology.hl7.org/CodeSystem/iso3166-1edition2alpha2", "KE", "Kenya"),
        ("urn:iso:std:iso:4217", "CHF", "Swiss Franc"),
        ("urn:iso:std:iso:639", "sw", "Swahili (macrolanguage)"),
        ("urn:iso:std:iso:639:-3", "swa", "Swahili (macrolanguage)"),
        ("http://terminology.hl7.org/CodeSystem/iso639-1", "sw", "Swahili (macrolanguage)"),
        ("https://www.iana.org/time-zones", "Africa/Nairobi", "Africa/Nairobi"),
        ("http://unstats.un.org/unsd/methods/m49/m49.htm", "014", "Eastern Africa"),
        ("http://unstats.un.org/unsd/methods/m49/m49.htm", "404", "Kenya"),
    ],
)
async def test_lists_of_standards_bodies_are_known(url: str, code: str, words: str) -> None:
    assert await display(url, code) == words


async def test_countries_are_selected_by_the_shape_of_their_code() -> None:
    countries = await system("urn:iso:std:iso:3166")
    assert len(await countries.everything()) == 789
    assert len(await countries.select(Filter("code", "regex", "[A-Z]{3}"))) == 249
    assert len(await countries.select(Filter("code", "regex", "[0-9]{3}"))) == 249
    assert await (await system(f"{countries.head.url}:-2")).find("CHE") is None


async def test_a_currency_that_was_withdrawn_is_inactive() -> None:
    currencies = await system("urn:iso:std:iso:4217")
    found = await currencies.find("HRK")
    assert found is not None
    assert found.inactive
    assert not (await currencies.find("EUR")).inactive  # type: ignore[union-attr]


async def test_regions_are_told_from_countries() -> None:
    m49 = await system("http://unstats.un.org/unsd/methods/m49/m49.htm")
    regions = {one.code for one in await m49.concepts(list(await m49.select(Filter("class", "=", "region"))))}
    assert {"001", "150", "419"} <= regions
    assert "404" not in regions


async def test_parts_of_a_subdivision_stand_below_it() -> None:
    parts = await system("urn:iso:std:iso:3166:-2")
    scotland, fife = await parts.find("GB-SCT"), await parts.find("GB-FIF")
    assert scotland is not None
    assert fife is not None
    assert await parts.subsumes(scotland, fife)
    assert fife.ordinal in await parts.select(Filter("country", "=", "GB"))


async def test_concepts_are_told_by_what_is_stated_of_them() -> None:
    countries = await system("urn:iso:std:iso:3166:-2")
    kenya = (await countries.stated("country"))["KE"]
    assert kenya == await countries.select(Filter("country", "=", "KE"))
    assert kenya == (await CodeSystemProvider.stated(countries, "country"))["KE"]
    wanted = {"KE-30": (await countries.select(Filter("code", "=", "KE-30")))[0]}
    assert await countries.ordinals(["KE-30", "none"]) == wanted
    assert await CodeSystemProvider.ordinals(countries, ["KE-30", "none"]) == wanted


async def test_a_catalogue_of_them_tells_each_once() -> None:
    heads = await NATIVE.heads()
    assert [one.url for one in heads] == list(MAKERS)
    assert all(one.compositional or one.count for one in heads)
    assert not await NATIVE.code_systems("http://example.org/none")
    assert (await system("urn:ietf:bcp:47")) is (await system("urn:ietf:bcp:47"))
    assert BitMap() == await (await system("urn:ietf:bcp:47")).inactive()


@settings(deadline=None)  # the first one reads the tables
@given(TEXTS)
def test_no_text_breaks_a_grammar(text: str) -> None:
    for grammar in (LANGUAGES, MEDIA_TYPES, UNITS):
        found = grammar.read(text)
        if found is not None:
            again = grammar.read(found.code)
            assert again == found


async def test_value_sets_of_all_codes_are_found_by_those_who_name_them() -> None:
    for head in await NATIVE.heads():
        if head.value_set:
            assert head.url in await NATIVE.systems_of(head.value_set)
    assert await NATIVE.systems_of("") == ()
