"""Units of measure: UCUM's functional tests, the parser's bounds, conversion and canonical forms."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology.ucum import essence
from terminology.ucum.parser import MOST_CHARACTERS, InvalidUnit, parse
from terminology.ucum.ucum import Ucum
from tests.effort import within

UCUM = Ucum.load()
SMALLEST = Fraction(1, 10**12)


@pytest.fixture(scope="session")
def functional_tests(test_data: Path) -> ET.Element:
    return ET.parse(test_data / "terminology" / "ucum" / "UcumFunctionalTests.xml").getroot()


def near(found: Fraction | None, expected: Fraction) -> bool:
    return found is not None and abs(found - expected) <= abs(expected) * SMALLEST


def test_every_section_of_the_functional_tests_is_run(functional_tests: ET.Element) -> None:
    sections = {section.tag: len(section.findall("case")) for section in functional_tests if section.tag != "history"}
    expected = {"validation": 530, "displayNameGeneration": 9, "conversion": 30, "multiplication": 2, "division": 3}
    assert sections == expected


def test_the_functional_tests_of_display_names(functional_tests: ET.Element) -> None:
    cases = functional_tests.findall("displayNameGeneration/case")
    found = {case.attrib["id"]: UCUM.display(case.attrib["unit"]) for case in cases}
    assert found == {case.attrib["id"]: case.attrib["display"] for case in cases}


def test_the_functional_tests_of_validation(functional_tests: ET.Element) -> None:
    cases = functional_tests.findall("validation/case")
    wrong = [
        (case.get("id"), case.get("unit"), UCUM.validate(case.attrib["unit"]))
        for case in cases
        if (not UCUM.validate(case.attrib["unit"])) != (case.get("valid") == "true")
    ]
    assert not wrong


def test_the_functional_tests_of_conversion(functional_tests: ET.Element) -> None:
    """Outcomes are compared with the digits that they are written with: some are rounded to three."""
    cases = functional_tests.findall("conversion/case")
    for case in cases:
        found = UCUM.convert(Decimal(case.attrib["value"]), case.attrib["srcUnit"], case.attrib["dstUnit"])
        expected = Decimal(case.attrib["outcome"])
        assert found is not None, case.attrib
        digits = len(expected.as_tuple().digits)
        tolerance = Fraction(expected.scaleb(0)) * Fraction(1, 10 ** min(digits - 1, 11)) / 2
        rounded_by_whole = Fraction(1, 2) if case.attrib["outcome"] == "25" else Fraction(0)
        assert abs(found - Fraction(expected)) <= max(tolerance, rounded_by_whole, Fraction(expected) * SMALLEST), (
            case.attrib
        )


@pytest.mark.parametrize(("kind", "sign"), [("multiplication", 1), ("division", -1)])
def test_the_functional_tests_of_products(functional_tests: ET.Element, kind: str, sign: int) -> None:
    for case in functional_tests.findall(f"{kind}/case"):
        values = [
            UCUM.parse(case.attrib[name]).amount(Fraction(case.attrib[value]))
            for name, value in (("u1", "v1"), ("u2", "v2"))
        ]
        assert values[0] is not None
        assert values[1] is not None
        unit = UCUM.parse(case.attrib["u1"]).times(UCUM.parse(case.attrib["u2"]), sign)
        wanted = UCUM.parse(case.attrib["uRes"] or "1")
        expected = wanted.amount(Fraction(case.attrib["vRes"]))
        assert expected is not None
        assert unit.dimension == wanted.dimension
        # The outcome 1.3 of 2 m through 1.5 g is rounded to its two digits.
        assert abs(values[0] * values[1] ** sign / expected - 1) < Fraction(3, 100)


@pytest.mark.parametrize(
    ("value", "code", "canonical", "unit"),
    [
        ("5.4", "mg", Fraction(54, 10_000), "g"),
        ("5.4", "mg{total}", Fraction(54, 10_000), "g"),
        ("120", "mm[Hg]", 120 * Fraction("133.322") * 1000, "g.m-1.s-2"),
        ("72", "/min", Fraction(72, 60), "s-1"),
        ("72", "{beats}/min", Fraction(72, 60), "s-1"),
        ("37", "Cel", Fraction("310.15"), "K"),
        ("98.6", "[degF]", Fraction("310.15"), "K"),
        ("40", "%", Fraction(4, 10), "1"),
        ("5", "[IU]/L", Fraction(5000), "[iU].m-3"),
        ("5", "m[IU]/mL", Fraction(5000), "[iU].m-3"),
        ("1", "mmol/L", Fraction("6.02214076e23"), "m-3"),
        ("1", "10*3/uL", Fraction(10**12), "m-3"),
        ("60", "km/h", Fraction(50, 3), "m.s-1"),
        ("8", "g/m.s", Fraction(8), "g.m-1.s"),
        ("8", "g/(m.s)", Fraction(8), "g.m-1.s-1"),
        ("8", "/m.s", Fraction(8), "m-1.s"),
        ("2", "4.g", Fraction(8), "g"),
        ("2", "kg/(m2)", Fraction(2000), "g.m-2"),
        ("2", "dar", Fraction(20), "m2"),
    ],
)
def test_canonical_values_are_exact(value: str, code: str, canonical: Fraction, unit: str) -> None:
    found = UCUM.canonical(Decimal(value), code)
    assert found == (canonical, unit)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("37", "Cel", "[degF]", "98.6"),
        ("-40", "[degF]", "Cel", "-40"),
        ("80", "[degRe]", "Cel", "100"),
        ("37000", "mCel", "Cel", "37"),
        ("7", "[pH]", "mol/L", "1e-7"),
        ("100", "nmol/L", "[pH]", "7"),
        ("100", "[p'diop]", "deg", "45"),
        ("45", "deg", "%[slope]", "100"),
        ("3", "B", "1", "1000"),
        ("30", "dB", "1", "1000"),
        ("60", "dB[SPL]", "mPa", "20"),
        ("100", "V", "dB[V]", "40"),
        ("10", "B[kW]", "W", "1e13"),
        ("2", "Np", "1", "7.38905609893065022723042746057500781318"),
        ("9", "bit_s", "1", "512"),
        ("3", "[m/s2/Hz^(1/2)]", "m2/s4/Hz", "9"),
        ("9", "m2/s4/Hz", "[m/s2/Hz^(1/2)]", "3"),
        ("2", "[hp'_C]", "1", "1e-4"),
        ("1", "[hp'_Q]", "1", "2e-5"),
        ("70", "kg", "[lb_av]", "154.3235835294143"),
        ("1", "[ft_i]", "cm", "30.48"),
        ("1", "mo", "d", "30.4375"),
    ],
)
def test_conversion(value: str, source: str, target: str, expected: str) -> None:
    assert near(UCUM.convert(Decimal(value), source, target), Fraction(expected))


@pytest.mark.parametrize(
    ("value", "source", "target"),
    [
        ("1", "mg", "mL"),
        ("1", "[iU]", "[arb'U]"),
        ("1", "[CFU]", "1"),
        ("1", "mg", "xyz"),
        ("0", "mol/L", "[pH]"),
        ("-1", "1", "B"),
        ("-1", "m2/s4/Hz", "[m/s2/Hz^(1/2)]"),
        ("100", "deg", "%[slope]"),
        ("1e5", "B", "1"),
        ("1e5", "Np", "1"),
        ("1e100000", "mg", "g"),
        ("NaN", "mg", "g"),
        ("Infinity", "mg", "g"),
    ],
)
def test_what_does_not_convert_is_none(value: str, source: str, target: str) -> None:
    assert UCUM.convert(Decimal(value), source, target) is None


def test_nothing_is_nothing_however_it_is_written() -> None:
    assert UCUM.canonical(Decimal("0e99999"), "mg") == (Fraction(0), "g")


def test_units_that_can_be_compared() -> None:
    assert UCUM.comparable("mg/dL", "ug/mL")
    assert UCUM.comparable("Cel", "[degF]")
    assert UCUM.comparable("[IU]", "[iU]")
    assert not UCUM.comparable("mg/dL", "mmol/L")
    assert not UCUM.comparable("nonsense", "nonsense")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "Write 1 for a pure number"),
        ("12h", r"joined by a dot: 12\.h"),
        ("iU", r"Did you mean \[iU\]\?"),
        ("MOL/min", r"Did you mean mol\?"),
        ("Mg/dl ", "holds a space at character 6"),
        ("µg", "character 1.*ASCII"),
        ("mg/", "Found the end of the unit"),
        ("mg//L", "Found '/' at character 4"),
        ("mg(L)", "Found '\\(' at character 3"),
        ("(mg", "Found the end of the unit"),
        ("mg)", "Found '\\)' at character 3"),
        ("[degF", r"The \[ at character 1 of"),
        ("m{a b}", "The { at character 2 of"),
        ("{a}m", "Found 'm' at character 4"),
        ("m=2", "The '=' at character 2"),
        ("k[degF]", r"The unit \[degF\] takes no prefix"),
        ("Cel/min", "cannot be multiplied with or divided by another"),
        ("1/Cel", "cannot be multiplied with or divided by another"),
        ("Cel2", "has no powers"),
        ("0.m", "number 0 is no factor"),
        ("10+3", "may only stand before the digits of an exponent"),
        ("m1000", "The exponent of 'm1000' is too large"),
        ("[pi]999", "too large to compute with"),
        (".".join(["[pi]60"] * 5), "too large to compute with"),
        ("(" * 11 + "m" + ")" * 11, "nests more than 10 parentheses"),
        ("m" * 201, "has 201 characters"),
        ("s" * 200, "is not a unit of UCUM"),
    ],
)
def test_what_is_no_unit_is_told_why(code: str, reason: str) -> None:
    with pytest.raises(InvalidUnit, match=reason):
        UCUM.parse(code)
    assert UCUM.validate(code)
    assert UCUM.unit(code) is None
    assert UCUM.canonical(Decimal(1), code) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mmHg", "mm[Hg]"),
        ("mm Hg", "mm[Hg]"),
        ("cmH2O", "cm[H2O]"),
        ("\N{DEGREE SIGN}C", "Cel"),
        ("\N{MICRO SIGN}g/ml", "ug/ml"),
        ("kg/m\N{SUPERSCRIPT TWO}", "kg/m2"),
        ("x10^9/L", "10*9/L"),
        ("mg per dl", "mg/dl"),
        ("bpm", "/min"),
        ("mcg", "ug"),
        ("mEq", "meq"),
        ("mIU/mL", "m[IU]"),
        ("ml/hr", "h"),
        ("lbs", "[lb_av]"),
        ("month", "mo"),
        ("Kg", "kg"),
        ("mgs", "mg"),
        ("tbl", "{tbl}"),
    ],
)
def test_what_people_write_is_led_to_its_code(written: str, meant: str) -> None:
    reason = UCUM.validate(written)
    assert meant in reason
    assert not UCUM.validate(meant)


def test_a_code_in_words_is_empty_where_it_is_none() -> None:
    assert UCUM.display("/min") == "1 / (minute)"
    assert UCUM.display("mmHg") == ""


symbols = st.one_of(
    st.sampled_from(sorted(essence.read().units)),
    st.builds(
        "".join,
        st.tuples(st.sampled_from(sorted(essence.read().prefixes)), st.sampled_from(sorted(essence.read().units))),
    ),
    st.integers(1, 10**6).map(str),
    st.just("{a}"),
)
simple = st.builds("".join, st.tuples(symbols, st.sampled_from(["", "", "2", "-1", "+3", "{note}", "12"])))
codes = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds("".join, st.tuples(inner, st.sampled_from("./"), inner)),
        inner.map("({})".format),
        inner.map("/{}".format),
    ),
    max_leaves=8,
)


@given(st.one_of(st.text(max_size=60), st.text("mgkLd[]{}()./+-0123456789*^%'", max_size=230), codes))
def test_any_text_is_a_unit_or_told_why_it_is_none_in_bounded_time(code: str) -> None:
    with within(1):
        reason = UCUM.validate(code)
        assert (UCUM.unit(code) is None) is bool(reason)
        if not reason:
            assert len(code) <= MOST_CHARACTERS
            assert parse(code)


@given(codes, st.decimals(min_value=-1000, max_value=1000, places=3))
def test_the_canonical_unit_is_a_unit_and_its_own_canonical_form(code: str, value: Decimal) -> None:
    found = UCUM.canonical(value, code)
    if found is None:
        return
    amount, canonical = found
    unit = UCUM.parse(canonical)
    assert (unit.factor, unit.canonical) == (Fraction(1), canonical)
    assert UCUM.comparable(code, canonical)
    back = UCUM.parse(code).value(amount)
    if UCUM.parse(code).scale is None:
        assert back == Fraction(value)


@given(
    st.sampled_from(["Cel", "[degF]", "[degRe]", "[pH]", "B", "dB[SPL]", "Np", "bit_s", "%[slope]", "[hp'_Q]"]),
    st.decimals(min_value=-80, max_value=80, places=3),
    st.decimals(min_value=-80, max_value=80, places=3),
)
def test_scales_keep_the_order_and_can_be_turned_back(code: str, one: Decimal, other: Decimal) -> None:
    unit = UCUM.parse(code)
    first, second = unit.canonical_value(one), unit.canonical_value(other)
    assert first is not None
    assert second is not None
    assert (first < second) is ((one < other) if unit.rising else (one > other))
    back = unit.value(first)
    assert back is not None
    assert abs(back - Fraction(one)) < Fraction(1, 10**9)


def test_every_unit_of_the_table_is_understood() -> None:
    for code in essence.read().units:
        assert not UCUM.validate(code), code


def test_the_table_is_read_at_the_first_use_and_quickly() -> None:
    with within(0.25):
        for _ in range(5):
            Ucum.load().parse("mg/dL")


def test_the_table_is_shipped_as_it_was_published(test_data: Path) -> None:
    folder = test_data / "terminology" / "ucum"
    assert essence.FILE.read_bytes() == (folder / "ucum-essence.xml").read_bytes()
    assert (essence.FILE.parent / "UCUM-LICENSE.md").read_bytes() == (folder / "LICENSE.md").read_bytes()
    notice = (essence.FILE.parent / "NOTICE.md").read_text()
    assert "Copyright 1999-2024 Regenstrief Institute, Inc." in notice
    assert UCUM.version in notice


def test_another_table_can_be_used(tmp_path: Path) -> None:
    missing, broken = tmp_path / "missing.xml", tmp_path / "broken.xml"
    with pytest.raises(FileNotFoundError):
        Ucum.load(missing)
    broken.write_text("<root>")
    with pytest.raises(ValueError, match=r"broken\.xml is not the essence of UCUM"):
        Ucum.load(broken).parse("m")
    own = tmp_path / "own.xml"
    own.write_text(
        '<root xmlns="http://unitsofmeasure.org/ucum-essence" version="9"><base-unit Code="m"/>'
        '<unit Code="f" isMetric="no"><value value="3e-1" Unit="m"/></unit>'
        '<unit Code="w" isSpecial="yes"><value Unit="w(1 m)"><function name="w" value="1" Unit="m"/></value></unit></root>'
    )
    units = Ucum.load(own)
    assert units.canonical(Decimal(2), "f") == (Fraction(6, 10), "m")
    assert "the function 'w', which is not known" in units.validate("w")
