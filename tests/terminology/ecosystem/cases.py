"""The official cases of the HL7 terminology ecosystem, read from their archive in place."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ARCHIVE = "testsuites/fhir-tx-ecosystem-tests.tar.xz"
FOLDER = "tests/"


@dataclass(frozen=True, slots=True)
class Case:
    """One request with the answer that it has to get.

    Attributes:
        suite: Name of its suite.
        name: Of the case.
        operation: As the suite words it: expand, validate-code, cs-validate-code, lookup, translate, batch-validate …
        mode: Kind of server that it is for; `general` is all of them.
        request: Parameters to send; `None` where the file is not in the archive.
        expected: Answer, by the mode that it is for; that of all modes has no name.
        status: HTTP status, in which `x` is any digit.
        headers: To send.
    """

    suite: str
    name: str
    operation: str
    mode: str
    request: Json | None
    expected: Mapping[str, Json]
    status: str
    headers: Mapping[str, str]

    @property
    def key(self) -> str:
        """Suite and name."""
        return f"{self.suite}/{self.name}"


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases that share resources.

    Attributes:
        name: Of the suite.
        resources: What has to be there, by file name.
        cases: In their order.
    """

    name: str
    resources: Mapping[str, Json]
    cases: tuple[Case, ...]


def suites(data: Path, modes: frozenset[str]) -> Iterator[Suite]:
    """Yield the suites with the cases of some modes, those without any left out."""
    files = _files(data / ARCHIVE)
    for row in _parsed(files, "test-cases.json")["suites"]:
        cases = tuple(
            case for case in (_case(files, row, one) for one in row["tests"]) if case.mode in modes and case.expected
        )
        if cases:
            found = {name: _parsed(files, name) for name in row.get("setup") or () if name in files}
            yield Suite(row["name"], found, cases)


def _files(archive: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None:
                found[member.name.removeprefix("./").removeprefix(FOLDER)] = content.read()
    return found


def _parsed(files: Mapping[str, bytes], name: str) -> Any:
    return json.loads(files[name].decode("utf-8-sig"))


def _case(files: Mapping[str, bytes], suite: Json, row: Json) -> Case:
    request = _request(files, row)
    header = row.get("header") or {}
    language = row.get("Accept-Language")
    return Case(
        suite=suite["name"],
        name=row["name"],
        operation=row["operation"],
        mode=row.get("mode") or suite.get("mode") or "general",
        request=request,
        expected={
            key.partition(":")[2]: _parsed(files, name)
            for key, name in row.items()
            if key.partition(":")[0] == "response" and name in files and name.endswith(".json")
        },
        status=row.get("http-code", "200"),
        headers={
            **({header["name"]: header["value"]} if header else {}),
            **({"Accept-Language": language} if language else {}),
        },
    )


def _request(files: Mapping[str, bytes], row: Json) -> Json | None:
    name = row.get("request", "")
    if name not in files or not name.endswith(".json"):
        return None
    request: Json = _parsed(files, name)
    profile = row.get("profile", "")
    more = _parsed(files, profile)["parameter"] if profile in files else []
    return {**request, "parameter": [*request.get("parameter", ()), *more]}
