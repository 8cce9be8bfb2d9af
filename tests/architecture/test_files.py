"""File discipline: a file is a room with a name from the standard, and it is small."""

import ast
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("fhir_server", "profiles", "terminology", "smart_auth")
LONGEST = 500
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "tools"}
LATER = ("TODO", "FIXME", "XXX:")


def offenders(folders: tuple[str, ...], offends: Callable[[Path, str], bool]) -> list[str]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [str(path.relative_to(ROOT)) for path in paths if offends(path, path.read_text(encoding="utf-8"))]


def test_no_file_is_longer_than_a_room() -> None:
    assert offenders((*PACKAGES, "tests", "loadtests"), lambda _, text: len(text.splitlines()) > LONGEST) == []


def test_no_file_is_a_drawer() -> None:
    def is_drawer(path: Path, _: str) -> bool:
        return bool(DRAWERS & {*path.stem.split("_"), *path.relative_to(ROOT).parts[:-1]})

    assert offenders(PACKAGES, is_drawer) == []


def test_the_first_line_says_what_happens_here() -> None:
    assert offenders(PACKAGES, lambda _, text: not ast.get_docstring(ast.parse(text))) == []


def test_no_work_is_left_for_later() -> None:
    assert offenders(PACKAGES, lambda _, text: any(word in text for word in LATER)) == []


def test_modules_hold_no_state() -> None:
    def rebinds_a_global(_: Path, text: str) -> bool:
        return any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(text)))

    assert offenders(PACKAGES, rebinds_a_global) == []


def test_every_package_is_typed() -> None:
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)
