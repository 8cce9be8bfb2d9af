"""From what is asked for to packages in their order: files, names, a folder, a registry, and what packages depend on."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fhir_server.guides.gathering import Gathered, Gathering
from fhir_server.guides.registry import Registry
from fhir_server.model import json
from profiles.own.package import package
from profiles.packages.archive import PackageError
from tests.guides.packages import Publisher

MIB = 2**20


def archive(version: str, name: str, title: str = "A profile", **needs: str) -> bytes:
    one = Publisher(name)
    return one.archive(version, one.profile(version, title=title), **needs)


async def gathered(gathering: Gathering, asked: list[str], *installed: tuple[str, str]) -> Gathered:
    await gathering.find(asked)
    return await gathering.complete(installed)


def keys(found: Gathered) -> list[str]:
    return [package.key for package in found.packages]


class Shelves(BaseHTTPRequestHandler):
    """A registry with three packages; `moved` is elsewhere, `liar` is another one, `large` and `broken` are what they are."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listing = {"dist-tags": {"latest": "1.1.0"}, "versions": {"1.0.0": {}, "1.1.0": {}, "1.1.1-beta": {}}}
        bodies = {
            "/top/1.0.0": archive("1.0.0", "top", base="1.0.x", gone="2.0.0"),
            "/base": json.encode(listing),
            "/base/1.0.0": archive("1.0.0", "base", top="1.0.0"),
            "/base/1.1.0": archive("1.1.0", "base"),
            "/elsewhere/moved": archive("1.0.0", "moved"),
            "/liar/1.0.0": archive("1.0.0", "base"),
            "/large/1.0.0": b"x" * (2 * MIB),
            "/broken/1.0.0": b"<html>sign in</html>",
            "/silent": b"<html>",
        }
        if self.path == "/moved/1.0.0":
            self.send_response(302)
            self.send_header("Location", "/elsewhere/moved")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = bodies.get(self.path, b"")
        self.send_response(500 if self.path.startswith("/sick") else 200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the class above
        pass


class Quiet(ThreadingHTTPServer):
    """Says nothing about callers who hang up: they do that when there is too much."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    server = Quiet(("127.0.0.1", 0), Shelves)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Registry(f"http://127.0.0.1:{server.server_port}/", MIB, 10)
    server.shutdown()
    thread.join()
    server.server_close()


async def test_files_of_a_command_fulfil_each_other_and_come_in_the_order_of_their_needs(tmp_path: Path) -> None:
    needs = {"one": {"two": "1.x", "three": "1.0.0"}, "two": {"three": "latest"}, "three": {"one": "1.0.0"}}
    for name, more in needs.items():
        (tmp_path / f"{name}.tgz").write_bytes(archive("1.0.0", name, **more))
    files = [str(tmp_path / f"{name}.tgz") for name in needs]
    found = await gathered(Gathering(MIB, None, None), files)
    assert keys(found) == ["three#1.0.0", "two#1.0.0", "one#1.0.0"]
    assert not found.failures


async def test_what_is_depended_on_comes_from_the_folder_unless_it_is_there(tmp_path: Path) -> None:
    for version in ("1.0.0", "1.2.0", "2.0.0"):
        (tmp_path / f"base-{version}.tgz").write_bytes(archive(version, "base"))
    (tmp_path / "based-1.3.0.tgz").write_bytes(b"of no interest")
    asked = tmp_path / "asked"
    asked.write_bytes(archive("1.0.0", "top", base="1.x", other="1.0.0"))
    assert keys(await gathered(Gathering(MIB, tmp_path, None), [str(asked)])) == ["base#1.2.0", "top#1.0.0"]
    assert keys(await gathered(Gathering(MIB, tmp_path, None), [str(asked)], ("base", "1.0.0"))) == ["top#1.0.0"]
    assert keys(await gathered(Gathering(MIB, None, None), [str(asked)])) == ["top#1.0.0"]
    assert keys(await gathered(Gathering(MIB, tmp_path, None), ["base@1.0.0", "base"])) == ["base#1.0.0", "base#2.0.0"]


async def test_what_is_named_comes_from_the_registry_with_what_it_depends_on(registry: Registry) -> None:
    found = await gathered(Gathering(MIB, None, registry), ["top@1.0.0"])
    assert keys(found) == ["base#1.0.0", "top#1.0.0"]
    assert [*found.failures] == ["gone#2.0.0"]
    assert "has no gone@2.0.0" in found.failures["gone#2.0.0"]
    assert keys(await gathered(Gathering(MIB, None, registry), ["base"])) == ["base#1.1.0"]
    assert keys(await gathered(Gathering(MIB, None, registry), ["base#1.x", "moved@1.0.0"])) == [
        "base#1.1.0", "moved#1.0.0",
    ]  # fmt: skip


async def test_a_file_does_not_make_anybody_ask_the_registry(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "top.tgz"
    file.write_bytes(archive("1.0.0", "top", base="1.0.0"))
    found = await gathered(Gathering(MIB, None, registry), [str(file)])
    assert (keys(found), found.failures) == (["top#1.0.0"], {})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nothing@1.0.0", "has no nothing@1.0.0"),
        ("base@9.x", "has no version 9.x of base"),
        ("liar@1.0.0", "gave base#1.0.0 when asked for liar@1.0.0"),
        ("large@1.0.0", "more than 1048576 bytes"),
        ("broken@1.0.0", "not a gzipped tar file"),
        ("silent", "does not tell which versions of silent"),
        ("sick@1.0.0", "answers 500"),
        ("nowhere.tgz", "There is no file nowhere.tgz"),
        ("../../etc@1.0.0", "There is no file"),
        ("hl7.fhir.r4.core@4.0.1", "part of this server"),
    ],
)
async def test_what_cannot_be_had_is_said(registry: Registry, asked: str, said: str) -> None:
    with pytest.raises(PackageError) as refused:
        await gathered(Gathering(MIB, None, registry), [asked])
    assert said in str(refused.value)


async def test_a_registry_that_cannot_be_reached_or_is_not_set_is_said(tmp_path: Path) -> None:
    nobody = Registry("http://127.0.0.1:9", MIB, 5)
    with pytest.raises(PackageError, match=r"could not be fetched from http://127\.0\.0\.1:9 .*Give its file"):
        await gathered(Gathering(MIB, None, nobody), ["top@1.0.0"])
    with pytest.raises(PackageError, match=r"top@1\.0\.0: no registry is set\. Give its file"):
        await gathered(Gathering(MIB, None, None), ["top@1.0.0"])
    with pytest.raises(PackageError, match="is no folder"):
        await gathered(Gathering(MIB, tmp_path / "none", None), ["top@1.0.0"])


async def test_two_files_of_one_version_and_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tgz", tmp_path / "two.tgz"
    one.write_bytes(archive("1.0.0", "guide"))
    two.write_bytes(archive("1.0.0", "guide", "Other"))
    with pytest.raises(PackageError, match=r"Two different files are guide#1\.0\.0"):
        await gathered(Gathering(MIB, None, None), [str(one), str(two)])
    with pytest.raises(PackageError, match=r"and 100 are allowed\. Raise packages\.max_bytes"):
        await gathered(Gathering(100, None, None), [str(one)])


async def test_the_servers_own_package_comes_with_it_and_from_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "aquifer.tgz").write_bytes(archive("9.0.0", "aquifer"))
    gathering = Gathering(2 * MIB, tmp_path, None)
    assert keys(await gathered(gathering, ["aquifer"])) == [package().key]
    with pytest.raises(PackageError, match="not what this server comes with"):
        await gathering.find(["aquifer@9.0.0"])
