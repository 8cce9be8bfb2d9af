"""Query strings: what they become, and what is said of those that cannot be read."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.chain import is_open
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import And, Anything, Criterion, Missing, Not, Or
from fhir_server.search.include import Include
from fhir_server.search.parse import SearchRequest, parse
from fhir_server.search.results import RESULTS
from fhir_server.search.types import TYPES
from fhir_server.search.types.ranges import PREFIXES
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions, load

DEFINITIONS = load()


def read(resource_type: str, query: str, strict: bool = True, **limits: Any) -> SearchRequest:
    return parse(
        resource_type, tuple(parse_qsl(query, keep_blank_values=True)), DEFINITIONS, Search(**limits), strict=strict
    )


def refusal(resource_type: str, query: str, strict: bool = True) -> tuple[str, str]:
    with pytest.raises(InvalidParameter) as caught:
        read(resource_type, query, strict)
    issue = caught.value.issues[0]
    assert (caught.value.status, issue.code, issue.severity) == (400, "invalid", "error")
    return issue.text, issue.expression


def test_nothing_asked_for_is_anything() -> None:
    request = read("Patient", "")
    assert request == SearchRequest("Patient")
    assert request.expression == Anything()
    assert request.count == 50


def test_repetition_is_and_and_commas_are_or() -> None:
    expression = read("Patient", "given=a,b&given=c&gender=male").expression
    assert isinstance(expression, And)
    assert [len(item.values) for item in expression.items if isinstance(item, Criterion)] == [2, 1, 1]


def test_escaped_commas_and_bars_belong_to_the_value() -> None:
    expression = read("Patient", r"given=a\,b,c\\").expression
    assert isinstance(expression, Criterion)
    assert [value.text for value in expression.values] == ["a,b", "c\\"]


def test_parameters_and_alternatives_without_value_are_ignored() -> None:
    request = read("Patient", "given=&family=,&name=a,,b&_count=&gender:missing=")
    assert isinstance(request.expression, Criterion)
    assert len(request.expression.values) == 2
    assert request.count == 50


def test_missing() -> None:
    assert isinstance(read("Patient", "gender:missing=true").expression, Missing)
    assert isinstance(read("Patient", "gender:missing=false").expression, Not)
    text, where = refusal("Patient", "gender:missing=yes")
    assert text == "'yes' is not a valid value of 'gender:missing'. Write true or false."
    assert where == "http.gender:missing"


def test_a_union_holds_where_a_part_does_and_is_missing_where_all_are() -> None:
    assert isinstance(read("Observation", "combo-code=1").expression, Or)
    assert isinstance(read("Observation", "combo-code:not=1").expression, And)
    assert isinstance(read("Observation", "combo-code:missing=true").expression, And)
    assert isinstance(read("Observation", "combo-code:missing=false").expression, Not)


def test_a_canonical_with_version_is_searched_by_url_and_version() -> None:
    where = compiled(read("ValueSet", "url=http://x|1,http://y").expression, "ValueSet", DEFINITIONS)
    assert where.clause == {"$or": [{"s.url": "http://x", "s.version": "1"}, {"s.url": "http://y"}]}


def test_an_unknown_parameter_is_refused_with_a_suggestion_and_the_valid_ones() -> None:
    text, where = refusal("Patient", "famly=x")
    assert text.startswith(
        "Patient has no search parameter 'famly'. Did you mean 'family'? Patient can be searched by _id, "
    )
    assert " birthdate," in text
    assert "_cursor" not in text
    assert where == "http.famly"


def test_lenient_handling_passes_over_what_is_unknown_and_says_so() -> None:
    request = read("Patient", "famly=x&gender=male&_foo=1&organization.nam=x", strict=False)
    assert request.applied == (("gender", "male"),)
    assert [issue.expression for issue in request.ignored] == ["http.famly", "http._foo", "http.nam"]
    assert {issue.severity for issue in request.ignored} == {"warning"}


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("name:exat=x", "The string parameter 'name' has no modifier 'exat'. Did you mean 'exact'? It takes :contains, :exact, :missing."),
        ("birthdate:exact=2000", "The date parameter 'birthdate' has no modifier 'exact'. It takes :missing."),
        ("gender:im=http://x", "The token parameter 'gender' has no modifier 'im'. It takes :above, :below, :in, :missing, :not, :not-in."),
        ("organization:Patient=1", "The reference parameter 'organization' has no modifier 'Patient'. It takes :Organization, :above, :below, :identifier, :missing."),
        ("birthdate=1.1.2000", "'1.1.2000' is not a valid value of the date parameter 'birthdate'. Write a date such as "),
        ("_count=x", "'x' is not a valid _count. Write a whole number from 0, such as _count=50."),
        ("_count=-1", "'-1' is not a valid _count."),
        ("_count=1&_count=2", "The parameter '_count' is given more than once. Send it once."),
        ("_total=all", "'all' is not a valid _total. It takes none, estimate, accurate."),
        ("_summary=yes", "'yes' is not a valid _summary. It takes true, text, data, count, false."),
        ("_sort=brithdate", "Patient cannot be sorted by 'brithdate'. Did you mean 'birthdate'? _sort takes _id, "),
        ("_sort=--birthdate", "Patient cannot be sorted by '-birthdate'."),
        ("_sort:desc=birthdate", "The parameter '_sort' has no modifier 'desc'. Leave it out."),
        ("_elements=nme", "'nme' is not a top-level element of Patient. Did you mean 'name'?"),
        ("_include=Patient:organisation", "Patient has no reference parameter 'organisation'. Did you mean 'organization'?"),
        ("_include=Patient", "Patient has no reference parameter ''."),
        ("_include=Pateint:link", "'Pateint' in 'Pateint:link' is not a resource type. Did you mean 'Patient'?"),
        ("_include=Observation:subject", "'Observation:subject' begins with Observation, but Patient is searched. Write _include:iterate=Observation:subject"),
        ("_include=Patient:organization:Device", "The parameter 'organization' of Patient does not refer to Device, but to Organization."),
        ("_revinclude=Observation:code", "Observation has no reference parameter 'code'."),
        ("name=%00", "holds a character that no FHIR text can hold"),
        ("name=" + "x" * 2001, "A value of 'name' has more than 2000 characters. Search by a shorter one."),
        ("_id=" + "," .join(map(str, range(5001))), "The parameter '_id' has 5001 values. At most 5000 are taken"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_strict_or_lenient(query: str, text: str, strict: bool) -> None:
    found, where = refusal("Patient", query, strict)
    assert text in found
    assert where.startswith("http.")


@pytest.mark.parametrize(
    ("resource_type", "query", "text"),
    [
        ("Patient", "_text=x", "The parameter '_text' is switched off: "),
    ],
)
def test_what_is_switched_off_is_refused_like_the_unknown(resource_type: str, query: str, text: str) -> None:
    assert refusal(resource_type, query)[0].startswith(text)
    assert read(resource_type, query, strict=False).ignored


def test_result_parameters() -> None:
    request = read(
        "Observation",
        "_sort=-date,status&_sort=code&_count=7&_total=accurate&_include=Observation:subject:Patient&_include:iterate=Patient:link"
        "&_revinclude=Provenance:target&_summary=data&_elements=code,value&_format=json&_pretty=true&_cursor=abc&code=1",
    )
    assert [(key.param.code, key.descending) for key in request.sort] == [
        ("date", True),
        ("status", False),
        ("code", False),
    ]
    assert (request.count, request.total, request.summary, request.cursor) == (7, "accurate", "data", "abc")
    assert request.elements == ("code", "value")
    assert request.includes == (Include("Observation", "subject", "Patient"), Include("Patient", "link", iterate=True))
    assert request.revincludes == (Include("Provenance", "target"),)
    assert request.applied[0] == ("code", "1")
    assert "_cursor" not in dict(request.applied)
    assert {"_sort", "_count", "_format", "_include:iterate"} <= {name for name, _ in request.applied}


@pytest.mark.parametrize(
    ("asked", "given_"), [("5", 5), ("1000", 1000), ("1001", 1000), ("9" * 5000, 1000), ("0050", 50)]
)
def test_a_page_is_never_larger_than_the_limit(asked: str, given_: int) -> None:
    if len(asked) > 2000:
        assert "more than 2000 characters" in refusal("Patient", f"_count={asked}")[0]
        return
    request = read("Patient", f"_count={asked}")
    assert request.count == given_
    assert request.applied == (("_count", str(given_)),)
    assert read("Patient", "", count=50, max_count=20).count == 20


def test_a_page_of_nothing_is_a_count() -> None:
    request = read("Patient", "_count=0")
    assert (request.count, request.summary) == (0, "count")


names = st.sampled_from(
    [
        *(f"{resource_type}?{code}" for resource_type in ("Patient", "Observation", "ValueSet", "Encounter", "RiskAssessment")
          for code in DEFINITIONS.search_parameters(resource_type)),
        *(f"Patient?{code}" for code in ("_sort", "_count", "_total", "_include", "_revinclude", "_summary", "_elements", "_cursor", "x")),
    ]
)  # fmt: skip
modifiers = st.sampled_from(
    ["", "", "", ":missing", ":exact", ":not", ":Patient", ":identifier", ":below", ":above", ":contains", ":x"]
)
texts = st.one_of(
    st.text(max_size=20),
    st.text(alphabet=r"0123456789-:.TZe+|\,$/ aPgt" + "\ud800\0", max_size=15),
    st.sampled_from(
        [
            "true",
            "2020",
            "ge2020-01-01",
            "5.4|http://unitsofmeasure.org|mg",
            "Patient/1",
            "http://x|y",
            "a|b|c",
            "1e2",
            "*",
        ]
    ),
)


@given(names, modifiers, texts, st.booleans())
def test_whatever_is_sent_is_read_or_refused(name: str, modifier: str, text: str, strict: bool) -> None:
    resource_type, _, code = name.partition("?")
    try:
        request = parse(resource_type, ((code + modifier, text),), DEFINITIONS, Search(), strict=strict)
    except InvalidParameter:
        return
    if is_open(request.expression):
        return
    assert compiled(request.expression, resource_type, DEFINITIONS).kind in {"anything", "nothing", "clause"}


def test_every_parameter_of_every_type_can_be_searched_by(definitions: Definitions) -> None:
    values = {
        "string": "a",
        "token": "a",
        "reference": "Patient/1",
        "date": "2020",
        "number": "1",
        "quantity": "1",
        "uri": "urn:x",
    }
    tried = 0
    for resource_type in sorted(definitions.resource_types):
        for code, parameter in definitions.search_parameters(resource_type).items():
            if parameter.type in values and parameter.expression:
                for text in (values[parameter.type], "true"):
                    try:
                        request = parse(resource_type, ((code, text),), definitions, Search(), strict=True)
                    except InvalidParameter as error:
                        assert "is not a valid value" in str(error)  # noqa: PT017 - the refusal of one of the two texts
                        continue
                    assert compiled(request.expression, resource_type, definitions).kind == "clause"
                    tried += 1
    assert tried > 2000


def test_the_documentation_has_a_page_for_each_kind_and_names_what_can_be_written() -> None:
    folder = Path(__file__).parent.parent.parent / "docs" / "search"
    pages = {page.stem: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    for kind, module in TYPES.items():
        missing = [name for name in module.MODIFIERS if f"`:{name}`" not in pages[kind]]
        assert not missing, f"{kind}.md does not name {missing}"
    everything = "\n".join(pages.values())
    written = [*RESULTS, *(f"`{prefix}`" for prefix in PREFIXES)]
    assert [word for word in written if word not in everything and word not in {"_cursor", "_format", "_pretty"}] == []


@pytest.mark.parametrize(
    ("resource_type", "query"),
    [
        ("Patient", "famly=x"), ("Patient", "name:exat=x"), ("Patient", "birthdate=1.1.2000"), ("Patient", "active=yes"),
        ("Observation", "patient.nam=x"), ("Observation", "subjct.name=x"), ("Patient", "_sort=brithdate"), ("Patient", "_include=Observation:subject"),
    ],
)  # fmt: skip
def test_the_documented_refusals_are_those_that_are_given(resource_type: str, query: str) -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "search" / "README.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{resource_type}?{query}` |"))
    documented = row.split("|")[2].strip().split("…")[0].strip()
    assert refusal(resource_type, query)[0].startswith(documented)


@pytest.mark.parametrize("query", ["_contained=false", "_contained=both&_containedType=contained", "_score=true"])
def test_what_changes_no_criterion_is_taken(query: str) -> None:
    assert read("Patient", f"gender=male&{query}").applied[1:] == tuple(parse_qsl(query))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "_contained=true&_sort=birthdate",
            "a search with _contained cannot be sorted by 'birthdate'. _sort takes _id, _lastUpdated",
        ),
        (
            "_sort=birthdate&_contained=both",
            "a search with _contained cannot be sorted by 'birthdate'. _sort takes _id, _lastUpdated",
        ),
        (
            "_contained=true&_containedType=contained&_include=Patient:organization",
            "What contained resources refer to cannot be",
        ),
        ("_contained=maybe", "It takes false, true, both"),
        ("_containedType=other", "It takes container, contained"),
        ("_score=1", "It takes true, false"),
    ],
)
def test_results_that_cannot_be_given_are_refused(query: str, text: str) -> None:
    assert text in refusal("Patient", query, strict=False)[0]
