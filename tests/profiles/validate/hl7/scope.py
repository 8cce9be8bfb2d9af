"""Which of HL7's validator cases a server for R4 has to answer, and by group why it need not answer the others.

The groups go by what the manifest says about a case and by what HL7's errors say, never by the name of a case: the same rules
hold for cases that nobody here has seen.
"""

import re
from collections.abc import Callable, Mapping

from tests.profiles.validate.hl7.suite import READABLE, Case, Suite

GROUPS: Mapping[str, str] = {
    "other version": "It is about another version of FHIR than R4.",
    "no verdict": "The suite does not say what HL7's validator finds.",
    "no resource": "The file is not FHIR in JSON or XML (Turtle, mapping language, health cards), or is not in the suite.",
    "logical model": "CDA, CDS Hooks and health cards are read by logical models, and are no resources.",
    "matchetype": "It compares two resources, and validates none.",
    "signature": "Signatures of documents are verified by keys that the suite alone has.",
    "cross-version": "It takes the definitions of other versions of FHIR.",
    "terminology server": "It takes a terminology server with parameters of later versions of FHIR.",
    "option": "It asks for rules that HL7's validator itself has only by option: security, publication, scoring.",
    "package": "It takes a package for R4 that is neither in the suite nor among the test data.",
    "licensed codes": "Every error is about codes, displays or value sets of SNOMED CT, LOINC, CVX and other systems that are not at hand.",
}

_MODULES = {
    "cda": "logical model", "cdshooks": "logical model", "shc": "logical model", "logical": "logical model",
    "matchetype": "matchetype", "dsig": "signature", "xver": "cross-version", "tx-advanced": "terminology server",
}  # fmt: skip
_OPTIONS = frozenset({
    "security-checks", "for-publication", "noHtmlInMarkdown", "allow-comments", "scoring", "examples", "new-xver-mode",
    "fhir-validator-cli-options", "validateContains",
})  # fmt: skip
_LICENSED = re.compile(
    r"snomed\.info/sct|loinc\.org|hl7\.org/fhir/sid/|rxnorm|cts\.nlm\.nih\.gov|ama-assn\.org|fhir\.de/|urn:oid:2\.16\.840\.1\.113883\.6|\(de-(?:AT|CH|DE)\)"
)
_OF_CODES = re.compile(
    r"Wrong Display Name|Unknown [Cc]ode|was not found in the value set|None of the codings provided|Cannot process resource"
)


def outside(case: Case, suite: Suite, installed: frozenset[str]) -> str:
    """Return the group of a case that is not to be answered, nothing for all others.

    Args:
        case: The case.
        suite: Where it is from.
        installed: Packages that are at hand: `name#version`, and names.
    """
    return next((group for group, test in _TESTS.items() if test(case, suite, installed)), "")


def _licensed(case: Case) -> bool:
    return bool(case.errors) and all(_LICENSED.search(text) and _OF_CODES.search(text) for text in case.errors or ())


_TESTS: Mapping[str, Callable[[Case, Suite, frozenset[str]], object]] = {
    "other version": lambda case, *_: not str(case.row.get("version", "")).startswith("4.0"),
    "no verdict": lambda case, *_: case.errors is None,
    "no resource": lambda case, suite, _: (
        not case.row["file"].endswith(READABLE) or case.row["file"] not in suite.files
    ),
    "logical model": lambda case, *_: "logical" in case.row or _MODULES.get(case.module) == "logical model",
    "matchetype": lambda case, *_: _MODULES.get(case.module) == "matchetype",
    "signature": lambda case, *_: _MODULES.get(case.module) == "signature",
    "cross-version": lambda case, *_: _MODULES.get(case.module) == "cross-version",
    "terminology server": lambda case, *_: _MODULES.get(case.module) == "terminology server",
    "option": lambda case, *_: _OPTIONS & case.row.keys(),
    "package": lambda case, suite, installed: [
        name for name in case.packages if name not in installed and suite.package(name) is None
    ],
    "licensed codes": lambda case, *_: _licensed(case),
}
