"""Two ways to one answer: a code is valid in a value set exactly where the value set's expansion has it."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from terminology.collection import Collection
from terminology.valueset.compose import Composer
from terminology.valueset.definition import definition
from terminology.valueset.member import Code, Membership, Trail
from terminology.valueset.systems import Options, Systems

Json = dict[str, Any]

CODES = ("a", "b", "c", "d", "e")
SYSTEMS = ("urn:one", "urn:two")
VERSIONS = ("1.0.0", "2.0.0")
SETS = ("urn:set:x", "urn:set:y")


@st.composite
def code_systems(draw: st.DrawFn, url: str, version: str) -> Json:
    """Draw a code system with some of the codes, in a hierarchy, some of them inactive."""
    codes = draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))
    rows: list[Json] = []
    for at, code in enumerate(codes):
        stated: list[Json] = [{"code": "colour", "valueCode": draw(st.sampled_from(["red", "blue"]))}]
        if draw(st.booleans()):
            stated.append({"code": "status", "valueCode": "retired"})
        if at and draw(st.booleans()):
            stated.append({"code": "parent", "valueCode": draw(st.sampled_from(codes[:at]))})
        rows.append({"code": code, "property": stated})
    about = {"resourceType": "CodeSystem", "url": url, "version": version, "status": "active"}
    return {**about, "content": "complete", "concept": rows}


@st.composite
def parts(draw: st.DrawFn, known: dict[tuple[str, str], list[str]], imports: tuple[str, ...]) -> Json:
    """Draw an include or exclude: of a code system or not, with a list, filters and imports."""
    found: Json = {}
    if not imports or draw(st.booleans()):
        found["system"] = draw(st.sampled_from(SYSTEMS))
        version = draw(st.sampled_from(["", *VERSIONS]))
        if version:
            found["version"] = version
        codes = known[found["system"], version or VERSIONS[-1]]
        kind = draw(st.sampled_from(["all", "list", "below", "colour", "both"]))
        if kind == "list":
            found["concept"] = [
                {"code": one} for one in draw(st.lists(st.sampled_from(CODES), min_size=1, unique=True))
            ]
        if kind in {"below", "both"}:
            op = draw(st.sampled_from(["is-a", "descendent-of", "is-not-a", "generalizes", "="]))
            found["filter"] = [{"property": "concept", "op": op, "value": draw(st.sampled_from(codes))}]
        if kind in {"colour", "both"}:
            rule = {"property": "colour", "op": "=", "value": draw(st.sampled_from(["red", "blue"]))}
            found["filter"] = [*found.get("filter", []), rule]
    if imports and (not found or draw(st.booleans())):
        found["valueSet"] = draw(st.lists(st.sampled_from(imports), min_size=1, unique=True))
    return found


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Json], Json]:
    """Draw code systems in two versions, value sets that are imported, and one that imports them."""
    systems = [draw(code_systems(url, version)) for url in SYSTEMS for version in VERSIONS]
    known = {(one["url"], one["version"]): [row["code"] for row in one["concept"]] for one in systems}

    def value_set(url: str, imports: tuple[str, ...]) -> Json:
        compose: Json = {"include": draw(st.lists(parts(known, imports), min_size=1, max_size=3))}
        if draw(st.booleans()):
            compose["exclude"] = [draw(parts(known, imports))]
        if draw(st.booleans()):
            compose["inactive"] = draw(st.booleans())
        # Sets that import others which say something else of versions are not drawn: nobody knows what they mean.
        if imports == SETS and draw(st.booleans()):
            url_of = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"
            stated = [
                {"url": "name", "valueCode": "versionsMatch"},
                {"url": "value", "valueBoolean": draw(st.booleans())},
            ]
            compose["extension"] = [{"url": url_of, "extension": stated}]
        return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}

    inner = [value_set(SETS[0], ()), value_set(SETS[1], SETS[:1])]
    return [*systems, *inner], value_set("urn:set:z", SETS)


@given(world=worlds(), active=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
async def test_a_code_is_a_member_exactly_where_the_expansion_has_it(
    world: tuple[list[Json], Json], active: bool
) -> None:
    resources, outer = world
    catalogue = Collection(resources)
    assert await members(catalogue, outer, active=active) == await expanded(catalogue, outer, active=active)


async def expanded(catalogue: Collection, value_set: Json, *, active: bool = False) -> set[tuple[str, str]]:
    blocks = await Composer(catalogue).compose(definition(value_set), active=active)
    return {(block.system, code) for block in blocks for code in await block.codes()}


async def members(catalogue: Collection, value_set: Json, *, active: bool = False) -> set[tuple[str, str]]:
    options = Options(active_only=active)
    membership = Membership(Systems(catalogue, options), options)
    await membership.prepare(definition(value_set))
    codes = [Code(system, code) for system in SYSTEMS for code in CODES]
    return {(one.system, one.code) for one in codes if await membership.holds(definition(value_set), one, Trail())}


async def test_what_is_excluded_in_another_version_stays_where_versions_do_not_match() -> None:
    def system(version: str) -> Json:
        about = {"resourceType": "CodeSystem", "url": "urn:one", "version": version, "content": "complete"}
        return {**about, "concept": [{"code": "a"}]}

    def value_set(url: str, **compose: Any) -> Json:
        return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose}

    stated = [{"url": "name", "valueCode": "versionsMatch"}, {"url": "value", "valueBoolean": False}]
    url = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"
    newest = value_set("urn:newest", include=[{"system": "urn:one"}])
    first = value_set("urn:first", include=[{"system": "urn:one", "version": "1.0.0"}])
    both = value_set("urn:both", include=[*newest["compose"]["include"], *first["compose"]["include"]])
    resources = [system("1.0.0"), system("2.0.0"), newest, first, both]
    for other, left in (("urn:newest", {("urn:one", "a")}), ("urn:first", set()), ("urn:both", set())):
        outer = value_set("urn:z", include=[{"valueSet": ["urn:first"]}], exclude=[{"valueSet": [other]}])
        outer["compose"]["extension"] = [{"url": url, "extension": stated}]
        assert await expanded(Collection(resources), outer) == left
        assert await members(Collection(resources), outer) == left
