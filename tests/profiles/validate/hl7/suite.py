"""HL7's validator cases: their files, what each is checked with, and what HL7's own validator found."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server.model.errors import FhirError
from fhir_server.model.json import parse
from profiles.definitions.registry import Definitions
from profiles.packages import package as packages
from profiles.packages.archive import PackageError
from profiles.packages.package import Package
from profiles.xml.reader import Reader, UnreadableError

Json = dict[str, Any]

FOLDER = "validator/"
READABLE = (".json", ".xml")
FAILING = frozenset({"error", "fatal"})


class BadFileError(ValueError):
    """A file of a case that cannot be read; for some cases that is the point."""


@dataclass(frozen=True, slots=True)
class Case:
    """One verdict of HL7's validator: on a resource by the base definitions (and what it declares), or by a profile too.

    Attributes:
        row: The case in the manifest.
        by_profile: Whether it is the verdict by the profile that the case names.
        errors: Errors that HL7's validator finds; `None` where the suite does not say.
    """

    row: Json
    by_profile: bool
    errors: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """Name of the case, and of the stage."""
        return f"{self.row['name']} (profile)" if self.by_profile else str(self.row["name"])

    @property
    def module(self) -> str:
        """What HL7 files the case under."""
        return str(self.row.get("module", ""))

    @property
    def profile(self) -> Json:
        """What the manifest says about the stage by profile."""
        found: Json = self.row["profile"] if self.by_profile else {}
        return found

    @property
    def definitions(self) -> list[str]:
        """Files with the definitions that are given, the profile to validate against first."""
        names = [self.profile["source"]] if "source" in self.profile else []
        for row in (self.row, self.profile):
            names += [name for key in ("supporting", "profiles", "supporting5") for name in row.get(key, ())]
        return [name for name in names if name.endswith(READABLE)]

    @property
    def packages(self) -> frozenset[str]:
        """Packages that HL7's validator loads, by `name#version`, name, or file in the suite."""
        return frozenset([*self.row.get("packages", ()), *self.profile.get("packages", ())])


class Suite:
    """The files of the suite and its cases for R4."""

    def __init__(self, archive: Path, definitions: Definitions) -> None:
        self._reader = Reader(definitions)
        self.files: dict[str, bytes] = {}
        with tarfile.open(archive) as file:
            for member in file:
                content = file.extractfile(member) if member.isfile() else None
                if content is not None:
                    self.files[member.name.removeprefix(FOLDER)] = content.read()
        rows = json.loads(self.files["manifest.json"])["test-cases"]
        self.cases = [case for row in rows for case in self._stages(row)]

    def _stages(self, row: Json) -> Iterator[Case]:
        yield Case(row, False, self._errors(row.get("java")))
        if "profile" in row:
            yield Case(row, True, self._errors(row["profile"].get("java")))

    def _errors(self, outcome: str | Json | None) -> tuple[str, ...] | None:
        if isinstance(outcome, dict):
            rows = tuple(line for line in outcome.get("output", ()) if line.startswith(("ERROR", "FATAL")))
            return rows if rows or "errorCount" in outcome else None
        data = self.files.get(f"outcomes/{outcome}")
        if data is None:
            return None
        issues = json.loads(data).get("issue", ())
        return tuple(str(one.get("details", {}).get("text", "")) for one in issues if one["severity"] in FAILING)

    def read(self, name: str) -> Json:
        """Return the resource in a file.

        Raises:
            BadFileError: It holds none, or is not in the suite.
        """
        try:
            return (
                self._reader.read(self.files[name], ordered=False) if name.endswith(".xml") else parse(self.files[name])
            )
        except (FhirError, UnreadableError, KeyError) as error:
            raise BadFileError(name) from error

    def given(self, case: Case) -> list[Json]:
        """Return the definitions that a case comes with; some are of another version of FHIR, and are left out."""
        found = []
        for name in case.definitions:
            try:
                found.append(self.read(name))
            except BadFileError:
                continue
        return found

    def stored(self, reference: str) -> Json | None:
        """Return the resource that a reference means: the suite's files are named by id."""
        name = reference.rpartition("/")[2]
        found = next((f"{name}{end}" for end in READABLE if f"{name}{end}" in self.files), "")
        try:
            return self.read(found) if found else None
        except BadFileError:
            return None

    def url(self, source: str) -> str:
        """Return the URL of a profile, which a case names by its file or by its URL."""
        return str(self.read(source)["url"]) if source in self.files else source

    def package(self, name: str) -> Package | None:
        """Return a package that comes with the suite, `None` where there is none of that name for R4."""
        if name not in self.files:
            return None
        try:
            return packages.read(self.files[name])
        except PackageError:
            return None
