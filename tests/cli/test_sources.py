"""The order of files, and how they are cut into portions."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from fhir_server.cli import sources
from fhir_server.cli.sources import Source
from fhir_server.model import json
from profiles.definitions.registry import load
from profiles.xml.reader import Reader

READER = Reader(load())


def of(path: Path) -> list[sources.Portion]:
    return list(sources.portions(Source(path, path.name), READER))


def test_what_others_refer_to_goes_first() -> None:
    names = [
        "Zoe.json",
        "Observation.ndjson",
        "Provenance.000.ndjson",
        "Patient.ndjson",
        "practitionerInformation1.json",
    ]
    names += ["Organization.ndjson", "hospitalInformation1.json", "archive.tar!deep/Encounter.ndjson.gz"]
    assert sorted(names, key=sources.rank) == [
        "hospitalInformation1.json",
        "practitionerInformation1.json",
        "Organization.ndjson",
        "Patient.ndjson",
        "archive.tar!deep/Encounter.ndjson.gz",
        "Observation.ndjson",
        "Zoe.json",
        "Provenance.000.ndjson",
    ]


def test_ndjson_is_cut_and_keeps_its_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "Patient.ndjson"
    rows: list[dict[str, Any]] = [{"resourceType": "Patient", "id": str(number)} for number in range(sources.LINES + 1)]
    path.write_bytes(b"\n\n" + b"\n".join(json.encode(row) for row in rows))
    first, second = of(path)
    assert (len(first.bundle["entry"]), len(second.bundle["entry"])) == (sources.LINES, 1)
    assert (first.places[0], second.places) == ("line 3", (f"line {sources.LINES + 3}",))
    assert second.bundle["entry"][0]["request"] == {"method": "PUT", "url": f"Patient/{sources.LINES}"}


def test_a_resource_without_id_is_created(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"resourceType": "Basic", "code": {"text": "x"}}')
    (portion,) = of(path)
    assert portion.bundle["entry"][0]["request"] == {"method": "POST", "url": "Basic"}


def test_a_transaction_stays_whole_and_a_batch_does_not(tmp_path: Path) -> None:
    entry = '{"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}'
    for kind in ("transaction", "batch"):
        (tmp_path / f"{kind}.json").write_text(f'{{"resourceType": "Bundle", "type": "{kind}", "entry": [{entry}]}}')
    (whole,), (loose,) = of(tmp_path / "transaction.json"), of(tmp_path / "batch.json")
    assert (whole.places, loose.places) == ((), ("entry 0",))
    assert sources.part(whole, frozenset()).bundle["entry"]
    assert not sources.part(loose, frozenset()).bundle["entry"]


def test_a_document_is_stored_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text('{"resourceType": "Bundle", "id": "d", "type": "document", "entry": []}')
    (portion,) = of(path)
    assert portion.bundle["entry"][0]["request"] == {"method": "PUT", "url": "Bundle/d"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_problem_not_a_crash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    (portion,) = of(path)
    assert portion.problems
    assert not portion.bundle["entry"]


def test_xml_is_read_like_json(tmp_path: Path) -> None:
    bundle = (
        '<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/><entry><resource><Basic><id value="b"/></Basic></resource>'
        "</entry><entry><resource><Patient/></resource></entry></Bundle>"
    )
    (tmp_path / "bundle.xml.gz").write_bytes(gzip.compress(bundle.encode()))
    (tmp_path / "broken.xml").write_text('<Basic xmlns="http://hl7.org/fhir">\n<idd value="b"/></Basic>')
    broken, read = sources.find([tmp_path], tmp_path)
    (portion,) = of(read.path)
    assert [entry["request"]["url"] for entry in portion.bundle["entry"]] == ["Basic/b", "Patient"]
    (portion,) = of(broken.path)
    assert portion.bundle["entry"] == []
    ((place, reason),) = portion.problems
    assert place == ""
    assert reason.startswith("Line 2, column 1: <idd> is no element of Basic (did you mean 'id'?)")
