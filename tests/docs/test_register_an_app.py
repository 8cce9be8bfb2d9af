"""Somebody who has never seen this server follows docs/smart/register-an-app.md, from the first command to the last."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import Browser

from tests.clients.person import Person
from tests.docs.conftest import FHIR_SERVER

PAGE = Path(__file__).parent.parent.parent / "docs" / "smart" / "register-an-app.md"
BLOCK = re.compile(r"^```(shell|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "--- end of a block ---"


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of the commands.

    Attributes:
        printed: What the commands of each block printed.
        folder: Where they ran.
        site: Origin of the server.
    """

    printed: list[str]
    folder: Path
    site: str


@pytest.fixture(scope="module")
def followed(environment: dict[str, str], server: str, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """All commands of the page in one shell, as the reader runs them."""
    folder = tmp_path_factory.mktemp("stranger")
    found = [(kind, text.replace("127.0.0.1:8080", server)) for kind, text in BLOCK.findall(PAGE.read_text("utf-8"))]
    for text in (text for kind, text in found if kind == "python"):
        name = text.partition("\n")[0].removeprefix("# ")
        (folder / name).write_text(text, encoding="utf-8")
    commands = "".join(f"{text}echo '{END}'\n" for kind, text in found if kind == "shell")
    programs = {"python": [sys.executable], "fhir-server": FHIR_SERVER}
    for name, words in programs.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {" ".join(map(repr, words))} "$@"\n', encoding="utf-8")
        program.chmod(0o700)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**environment, "PATH": f"{folder / 'bin'}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Followed(done.stdout.split(END), folder, f"http://{server}")


def client_id(printed: str) -> str:
    found = re.search(r"client_id\s+(app-\S+)", printed)
    assert found, printed
    return found[1]


async def launched(person: Person, place: str, client: str, password: str) -> str:
    """Open the app at its place, as the page says, and return what it shows in the end."""
    await person.page.goto(place)
    await person.page.fill("#client", client)
    await person.page.click("button[type=submit]")
    await person.sign_in(password)
    await person.allow()
    await person.page.wait_for_url("**/index.html*")
    await person.page.locator("#table").or_(person.page.get_by_text("did not work")).wait_for()
    await person.look("app")
    return await person.page.locator("main").inner_text()


async def test_the_sample_app_shows_the_record_of_james(
    followed: Followed, passwords: dict[str, str], chromium: Browser, tmp_path: Path
) -> None:
    james = await Person.before(chromium, "james", tmp_path, is_staff=False)
    client = client_id(followed.printed[0])
    text = await launched(james, f"{followed.site}/sample-app/", client, passwords["james"])
    assert re.search(r"^James Smith$", text, re.MULTILINE)
    assert re.search(r"^born \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert text.count("\t") >= 20, "ten observations of three columns"
    await james.leave()


async def test_clara_chooses_a_record_and_gives_less_than_the_app_asked_for(
    followed: Followed, passwords: dict[str, str], chromium: Browser, tmp_path: Path
) -> None:
    clara = await Person.before(chromium, "clara", tmp_path, is_staff=False)
    await clara.page.goto(f"{followed.site}/sample-app/launch.html?client_id={client_id(followed.printed[0])}")
    await clara.page.click("button[type=submit]")
    await clara.sign_in(passwords["clara"])
    choices = clara.page.locator("button[name=patient]")
    await choices.first.wait_for()
    await clara.look("records")
    assert await choices.count() == 3
    await clara.page.click("button[name=patient][value=p0001]")
    await clara.page.uncheck("input[name=type][value=Observation]")
    await clara.allow()
    said = clara.page.locator("#said", has_text="answered")
    await said.wait_for()
    await clara.look("app")
    assert "/fhir/Observation answered 403." in await said.inner_text()
    assert re.fullmatch(r"born \d{4}-\d{2}-\d{2}", await clara.page.locator("#born").inner_text())
    assert "Observation" not in await clara.page.locator("#granted").inner_text()
    await clara.leave()


async def test_nora_opens_the_sample_app_from_within_a_record(
    passwords: dict[str, str], server: str, chromium: Browser, tmp_path: Path
) -> None:
    nora = await Person.before(chromium, "nora", tmp_path, is_staff=True)
    await nora.page.goto(f"http://{server}/auth/apps")
    await nora.sign_in(passwords["nora"])
    await nora.page.click("a[href='/auth/launch']")
    await nora.page.locator("button[name=role]").first.click()
    await nora.page.select_option("#app", label="Sample app")
    await nora.page.fill("#words", "james smith")
    await nora.page.click("button[value=search]")
    await nora.page.click("button[name=patient][value=p0004]")
    await nora.look("details")
    await nora.page.click("button[value=open]")
    await nora.allow()
    await nora.page.locator("#table").wait_for()
    await nora.look("app")
    assert await nora.page.locator("#name").inner_text() == "James Smith"
    assert nora.place == f"http://{server}/sample-app/index.html"
    await nora.leave()


async def test_a_copy_of_it_runs_on_another_origin(
    followed: Followed, passwords: dict[str, str], chromium: Browser, tmp_path: Path
) -> None:
    class Files(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is that of the class above
            """Say nothing."""

    handler = partial(Files, directory=str(followed.folder / "my-app"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = Thread(target=host.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        james = await Person.before(chromium, "james", tmp_path, is_staff=False)
        place = f"http://127.0.0.1:{host.server_port}/launch.html?iss={followed.site}/fhir"
        text = await launched(james, place, client_id(followed.printed[1]), passwords["james"])
        assert "James Smith" in text
        await james.leave()
        host.shutdown()
        thread.join()


def test_the_service_reads_and_asks_about_its_token(followed: Followed) -> None:
    read, asked = (json.loads(text) for text in followed.printed[3:5])
    assert read["resourceType"] == "Bundle"
    assert {one["resource"]["resourceType"] for one in read["entry"]} == {"Patient"}
    assert asked["active"] is True
    assert asked["scope"] == "system/Patient.rs"
    assert (followed.folder / "service-key.json").stat().st_mode & 0o077 == 0
