"""The language of `_filter` (R4 3.1.3): what is read, and what is refused, with the place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.model.errors import FhirError, InvalidParameter
from fhir_server.search import chain
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import And, Chain, Criterion, Expression, Not, Or, ReverseChain
from fhir_server.search.filter import MOST_NESTED, OPERATORS, Comparison, Filter, Joined, Negated, read
from fhir_server.search.params import params
from fhir_server.search.parse import parse
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions, load

DEFINITIONS = load()


def written(item: Filter) -> str:
    """Return a filter in full parentheses."""
    match item:
        case Joined(logic, first, second):
            return f"({written(first)} {logic} {written(second)})"
        case Negated(inner):
            return f"not({written(inner)})"
        case Comparison(path, operator, value):
            names = ".".join(step.name + (f"[{written(step.where)}]" if step.where else "") for step in path)
            return f"{names} {operator} {value}"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('name co "pet"', "name co pet"),
        ('given eq "peter" and birthdate ge 2014-10-10', "(given eq peter and birthdate ge 2014-10-10)"),
        ("code eq http://loinc.org|1234-5", "code eq http://loinc.org|1234-5"),
        ('subject.name co "pet"', "subject.name co pet"),
        ("related[type eq has-component].target pr true", "related[type eq has-component].target pr true"),
        ("a eq 1 or b eq 2 and c eq 3", "((a eq 1 or b eq 2) and c eq 3)"),
        ("a eq 1 or (b eq 2 and c eq 3)", "(a eq 1 or (b eq 2 and c eq 3))"),
        ("not (a eq 1) and b eq 2", "(not(a eq 1) and b eq 2)"),
        ("not(not( a eq 1 ))", "not(not(a eq 1))"),
        ("not(a eq 1 and b eq 2)", "not((a eq 1 and b eq 2))"),
        ("  ( a   eq\t1 ) ", "a eq 1"),
        (r'a eq "x) \"y\" \\ \u00e9"', 'a eq x) "y" \\ é'),
        ('a eq ""', "a eq "),
        ("not eq 1", "not eq 1"),
        ("and eq and and or eq or", "(and eq and and or eq or)"),
        ("a[b.c eq 1 or d eq 2].e[f pr true].g ne x", "a[(b.c eq 1 or d eq 2)].e[f pr true].g ne x"),
        ("_has:Observation:patient:code eq x", "_has:Observation:patient:code eq x"),
        ("a eq 1 and(b eq 2)", "(a eq 1 and b eq 2)"),
    ],
)
def test_what_is_written_is_read(text: str, tree: str) -> None:
    assert written(read(text)) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'There must be the name of a search parameter, as in given eq "peter" and birthdate ge 2014-10-10, but here is the end (at character 1 of the _filter).'),
        ("name", "one of the operators eq, ne, co, "),
        ("name is x", "but here is 'is' (at character 6 of the _filter)."),
        ("name eq", "There must be a space and a value, but here is the end (at character 8 of the _filter)."),
        ("name eq ", "There must be a value: a text in quotes, or a word without spaces and closing brackets, but here is the end"),
        ('name eq "x', "There must be a text in quotes, with \\\" for a quote inside of it, but here is '\"x' (at character 9"),
        (r'name eq "\x"', "There must be a text in quotes"),
        ("(name eq x", "There must be ')', but here is the end (at character 11"),
        ("name eq x)", "There must be 'and', 'or' or the end, but here is ')' (at character 10"),
        ("name eq x name eq y", "There must be 'and', 'or' or the end, but here is 'name' (at character 11"),
        ("name eq x and", "There must be the name of a search parameter"),
        ("subject[name eq x]", "There must be a point and the name of a search parameter after the brackets"),
        ("subject[name eq x.y eq z", "There must be ']', but here is 'eq' (at character 21"),
        ("subject. name eq x", "the name of a search parameter, as in"),
        ("(" * (MOST_NESTED + 2) + "a eq 1", f"More than {MOST_NESTED} parentheses or brackets stand inside of each other."),
        (" and ".join(["a eq 1"] * 201), "A filter has more than 200 tests."),
        ("a eq " + "x" * 2001, "A value has more than 2,000 characters. Search by a shorter one (at character 6"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_must_be_where(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        read(text)
    assert message in str(refused.value)
    assert "of the _filter)." in str(refused.value)


def expression(resource_type: str, text: str, definitions: Definitions = DEFINITIONS) -> Expression:
    return parse(resource_type, (("_filter", text),), definitions, Search(), strict=False).expression


def test_tests_become_the_nodes_of_a_search() -> None:
    assert isinstance(expression("Patient", 'name co "pet" and gender eq male'), And)
    assert isinstance(expression("Patient", 'name co "pet" or gender eq male'), Or)
    assert isinstance(expression("Patient", "not (gender eq male)"), Not)
    found = expression("Observation", 'subject:Patient[gender eq male].name co "pet"')
    assert isinstance(found, Chain)
    assert [(target, type(inner)) for target, inner in found.targets] == [("Patient", And)]
    assert isinstance(expression("Patient", "_has:Observation:patient:code eq x"), ReverseChain)
    # Of a union each part is asked.
    assert isinstance(expression("Observation", "combo-code eq x"), Or)


def test_what_speaks_of_all_values_stands_outside_of_the_chain() -> None:
    for text in (
        "subject:Patient.name pr false",
        "subject:Patient.gender ni http://hl7.org/fhir/ValueSet/administrative-gender",
    ):
        found = expression("Observation", text)
        assert isinstance(found, Not)
        assert isinstance(found.item, Chain)


@pytest.mark.parametrize(
    ("resource_type", "text", "message"),
    [
        ("Patient", "nme eq x", "Patient has no search parameter 'nme'. Did you mean 'name'?"),
        (
            "Patient",
            'name eq x and birthdate eq "1.1."',
            "'eq1.1.' is not a valid value of the date parameter 'birthdate'.",
        ),
        (
            "Patient",
            "birthdate sw 19",
            "The date parameter 'birthdate' has no operator 'sw' in a filter. It takes eq, ne,",
        ),
        (
            "Patient",
            "identifier in http://x",
            "The parameter 'identifier' reads no concepts, so 'in' says nothing of it.",
        ),
        ("Patient", "name pr yes", "'yes' is not a valid value of the operator pr. Write true or false"),
        ("Patient", "name:exact eq x", "'name:exact' has a modifier, which no name at the end of a path takes."),
        ("Patient", "name.family eq x", "'name' of Patient is of type string and refers to nothing."),
        (
            "Observation",
            "related[type eq has-component].target pr true",
            "Observation has no reference parameter 'related'.",
        ),
        (
            "Observation",
            "subject:Patient[nme eq x].name eq x",
            "Patient has no search parameter 'nme'. Did you mean 'name'?",
        ),
        ("Observation", "code ss 1234", "Write with :below system|code"),
        ("Observation", "date ge ge2020", "Write ge and the value without a prefix"),
        ("Observation", ".".join(["has-member"] * 11) + ".code eq x", "A chain has more than 10 links."),
    ],
)
def test_a_test_that_means_nothing_is_refused_even_with_lenient_handling(
    resource_type: str, text: str, message: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        expression(resource_type, text)
    assert message in str(refused.value)
    assert "(at character " in str(refused.value)
    assert [issue.expression for issue in refused.value.issues] == ["http._filter"]


def test_the_place_is_that_of_the_test() -> None:
    with pytest.raises(InvalidParameter, match=r"at character 16 of the _filter"):
        expression("Patient", "gender eq x or nme eq y")
    with pytest.raises(InvalidParameter, match=r"at character 9 of the _filter"):
        expression("Observation", "subject[nme eq x].name eq y and code eq x")


NAMES = st.sampled_from(
    ["name", "gender", "birthdate", "organization", "general-practitioner.name", "organization[name eq x].partof", "_id",
     "_lastUpdated", "identifier", "link:Patient.name", "_has:Observation:patient:code", "deceased", "not", "x"]
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["true", "2020", '"a b"', "loinc|1", "male", "Organization/1", "5.4|ucum|mg", '"']),
)
TESTS = st.builds("{} {} {}".format, NAMES, st.sampled_from([*OPERATORS, "xx", ""]), VALUES)
FILTERS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds("not ({})".format, inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "xor"]), inner),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, database=None)
@given(st.one_of(FILTERS, st.text(alphabet='ab ()[]."\\eqnotand|:', max_size=40)))
def test_whatever_is_sent_is_answered_or_refused(text: str) -> None:
    try:
        found = expression("Patient", text)
    except FhirError as error:
        if error.status != 400:
            raise
        return
    if not chain.is_open(found):
        assert compiled(found, "Patient", DEFINITIONS).kind in {"clause", "nothing"} or not text


def test_every_parameter_takes_every_operator_of_its_type_or_says_why() -> None:
    samples = {"date": "2020", "number": "1", "quantity": "1", "uri": "http://x", "reference": "1", "special": "1|2"}
    tried = 0
    for resource_type in ("Patient", "Observation", "Location", "ValueSet", "RiskAssessment"):
        for code, param in params(resource_type, DEFINITIONS).items():
            for operator in OPERATORS:
                value = (
                    "true"
                    if operator == "pr"
                    else samples.get(param.type, "x|y" if operator in {"ss", "sb"} else "x:y")
                )
                try:
                    found = expression(resource_type, f"{code} {operator} {value}")
                except InvalidParameter as error:
                    assert "(at character 1 of the _filter)." in str(error)  # noqa: PT017 - one of the two
                    continue
                if not chain.is_open(found):
                    compiled(found, resource_type, DEFINITIONS)
                tried += isinstance(found, Criterion)
    assert tried > 200
