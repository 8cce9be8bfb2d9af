"""Every example of the documentation does what its page says.

A block `sh` holds one command. For curl, the block `http` after it holds what must come back: status line, some headers, and
JSON that must be a part of the body, or XML that must be all of it. For fhir-server, a block `text` or `json` that follows at once holds what it prints: all
of the text, or a part of the JSON. `…` stands for anything.
"""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.conftest import Command
from tests.processes import Ended

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(sh|http)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"\n```(text|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:8080"


@dataclass(frozen=True)
class Example:
    """One command and what comes back; `kind` is the language of the answer."""

    command: str
    answer: str = ""
    kind: str = ""


def examples(page: Path) -> list[Example]:
    found: list[Example] = []
    content = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(content):
        kind, text = block.groups()
        printed = PRINTED.match(content, block.end())
        if kind == "sh":
            found.append(Example(text, printed[2], printed[1]) if printed else Example(text))
        else:
            assert found, f"{page.name}: an answer without a command"
            found[-1] = Example(found[-1].command, text, kind)
    return found


def request_of(command: str, server: str) -> httpx.Request:
    """Return the request that a curl command sends; an option that is not known here fails."""
    words = shlex.split(command.replace(ADDRESS, server))
    assert words.pop(0) == "curl"
    method, url, headers, body = "", "", {}, None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(":")
            headers[name] = value.strip()
        elif word == "-d":
            body = words.pop(0)
        elif word not in {"-i", "-s"}:
            assert word.startswith("http"), f"{word} is no option that the tests know"
            url = word
    content = body.encode() if body is not None else None
    return httpx.Request(method or ("POST" if body else "GET"), url, headers=headers, content=content)


def like(expected: str, found: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def is_part(expected: Any, found: Any) -> bool:
    """Whether everything expected is in what was found; list items may have others between them."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and is_part(value, found[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        rest = iter(found if isinstance(found, list) else [])
        return all(any(is_part(item, other) for other in rest) for item in expected)
    if isinstance(expected, str):
        return isinstance(found, str) and like(expected, found)
    return type(expected) is type(found) and bool(expected == found)


def check(example: Example, response: httpx.Response) -> None:
    if not example.answer:
        assert response.status_code < 400, f"{example.command}\n{response.text}"
        return
    head, _, body = example.answer.partition("\n\n")
    status, *headers = head.strip().splitlines()
    said = f"HTTP/1.1 {response.status_code} {response.reason_phrase}"
    assert like(status, said), f"{example.command}\n{said}\n{response.text}"
    for line in headers:
        name, _, value = line.partition(":")
        expected = value.strip().replace(ADDRESS, response.url.netloc.decode())
        assert like(expected, response.headers.get(name, "")), (
            f"{example.command}\n{name}: {response.headers.get(name)}"
        )
    if body.startswith("<"):
        assert like(body.strip(), response.text), f"{example.command}\n{response.text}"
    elif body.strip():
        assert is_part(json.loads(body), response.json()), f"{example.command}\n{response.text}"


def check_printed(example: Example, ended: Ended) -> None:
    assert ended.code == 0, f"{example.command}\n{ended.err}"
    if example.kind == "json":
        assert is_part(json.loads(example.answer), json.loads(ended.out)), f"{example.command}\n{ended.out}"
    elif example.kind:
        assert like(example.answer.strip(), ended.out.strip()), f"{example.command}\n{ended.out}"


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.stem)
def test_examples_of_the_page_do_what_it_says(page: Path, server: str, client: httpx.Client, command: Command) -> None:
    for example in examples(page):
        if example.command.startswith("fhir-server "):
            check_printed(example, command(shlex.split(example.command)[1:]))
            continue
        asked = request_of(example.command, server)
        asked.headers.setdefault("Authorization", client.headers["Authorization"])
        check(example, client.send(asked))
