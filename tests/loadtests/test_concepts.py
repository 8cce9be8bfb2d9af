"""The made-up nomenclature has the shape of SNOMED CT, and is the same one each time."""

from statistics import mean

from loadtests import concepts, nomenclature
from loadtests.concepts import Answer, Figures
from loadtests.report import Report

COUNT = 20_000


def test_the_nomenclature_has_the_shape_that_it_promises() -> None:
    rows = list(nomenclature.rows(COUNT))
    assert len({row.code for row in rows}) == COUNT
    assert rows[:COUNT] == list(nomenclature.rows(COUNT))
    assert 1.2 < mean(len(row.parents) for row in rows) < 1.4
    above: dict[str, set[str]] = {}
    for row in rows:
        above[row.code] = {*row.parents}.union(*(above[parent] for parent in row.parents))
    assert 7 < mean(map(len, above.values())) < 13
    assert all(row.designations for row in rows[1:])


def test_figures_are_told_with_their_ratios() -> None:
    figures = Figures(50_000, 65_000, 12_000, 80, 2**28, 24_000, [Answer("lookup", [1, 2], [3, 4], [2, 2], 1.5)])
    lines = concepts.markdown(figures)
    assert "12,000 concepts per s with 80 µs of CPU each, 256 MiB of memory at most" in lines[2]
    assert "(÷ driver 0.50)" in lines[2]
    assert lines[-1] == "| lookup | 2.00 | 2.00 | 4.00 | 4.00 | 1.50 | 2.00 | 2.00 | 1.00 | 2.00 |"


def test_a_report_tells_of_the_code_system_too() -> None:
    assert "\nA code system of 0 concepts" in Report("this machine").markdown()
