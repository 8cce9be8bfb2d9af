"""The page of conformance names tests that there are, and every attack that was thought of."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "smart" / "conformance.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/.]+\.py::test_\w+)`", PAGE)))
ATTACKS = [
    "wrong redirect",
    "scheme downgrade",
    "missing or plain PKCE",
    "verifier mismatch",
    "code replay",
    "refresh reuse",
    "foreign client with a stolen code",
    "algorithm confusion",
    "`kid` injection",
    "expired or far-future assertion",
    "`jti` replay under concurrency",
    "JWKS URL to a private address (SSRF)",
    "mix-up",
    "CSRF on consent",
    "CSRF on sign-in",
    "session fixation",
    "clickjacking",
    "open redirect",
    "scope escalation on refresh",
    "patient switching through `launch`",
    "user enumeration by time or text",
    "brute force",
    "oversized requests",
    "token in URL",
]


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    path = ROOT / "tests" / file
    assert path.is_file()
    assert name in functions_of(path)


def test_every_line_names_a_test() -> None:
    headings = [one for one in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if not one.startswith(("Not", "What"))]
    assert len(headings) >= 10
    for heading in headings:
        assert rows(heading)
        for row in rows(heading):
            assert "::test_" in row[1], row


def test_every_attack_has_its_line() -> None:
    assert [row[0] for row in rows("Attacks")] == ATTACKS


def test_what_is_not_offered_has_its_reason() -> None:
    assert all(len(row) == 2 and row[1] for row in rows("Not offered"))
