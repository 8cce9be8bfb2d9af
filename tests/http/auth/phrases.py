"""Every text of ours that a person can read on a page, gathered from where it stands."""

import ast
import re
from datetime import UTC, datetime
from importlib.resources import files

import fhir_server.http.auth
import smart_auth.scopes
from fhir_server.http.auth import consent, refusals
from smart_auth import people
from smart_auth.scopes import choices, words

CALL = re.compile(r"""\b(?:say|rich)\(\s*"((?:[^"\\]|\\.)*)\"""")


def spoken() -> set[str]:
    """Return the English texts."""
    found = set(_of_templates()) | set(_of_code()) | set(_of_tables())
    return {text for text in found if any(char.isalpha() for char in text)}


def _of_templates() -> list[str]:
    folder = files(fhir_server.http.auth).joinpath("templates")
    texts = [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".html")]
    return [match for text in texts for match in CALL.findall(text)]


def _of_code() -> list[str]:
    found: list[str] = []
    for package in (fhir_server.http.auth, smart_auth, smart_auth.scopes):
        folder = files(package)
        for file in folder.iterdir():
            if file.name.endswith(".py"):
                found += _literals(file.read_text("utf-8"))
    return found


def _literals(text: str) -> list[str]:
    """Return what is said by `say`, made into a Sentence, or shown to people when they are refused."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        literal = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        if name in {"say", "Sentence", "SignInFailed"} and literal:
            found.append(literal)
        elif name == "Refused" and literal in refusals.SPOKEN and len(node.args) == 2:
            second = node.args[1]
            assert isinstance(second, ast.Constant)
            found.append(str(second.value))
    return found


def _of_tables() -> list[str]:
    categories = [one.title for kind in choices.CATEGORIES.values() for one in kind]
    plain = [text for pair in words.PLAIN.values() for text in pair]
    months = [datetime(2026, number, 1, tzinfo=UTC).strftime("%B") for number in range(1, 13)]
    return [
        *words.NOUNS.values(),
        *words.WHOSE.values(),
        *words.VERBS.values(),
        *plain,
        *categories,
        *months,
        words.FUTURE,
        *consent.GROUPS,
        *consent.DAYS.values(),
        *refusals.LEADS.values(),
        refusals.ANY,
        *(value for name, value in vars(people).items() if name.isupper() and isinstance(value, str)),
    ]
