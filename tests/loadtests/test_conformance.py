"""The table of what checks cost."""

from pathlib import Path

from loadtests import conformance
from loadtests.report import Report


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    figures = conformance.measure(tmp_path)
    assert [row.what for row in figures.rows] == [
        "base validation with invariants: a Patient of 2 KB", "all search values of the same", "their index entries",
    ]  # fmt: skip
    assert all(row.cost > 0 and row.decoding > 0 for row in figures.rows)
    assert len(figures.missing) == 2
    text = Report("a machine", conformance=figures).markdown()
    assert "Not measured: the official examples" in text
    assert "Not measured: profiles" in text
