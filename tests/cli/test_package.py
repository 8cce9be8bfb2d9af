"""`fhir-server package`: guides come with what they depend on, are listed and leave, and hostile files are refused."""

import gzip
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.guides.packages import Publisher
from tests.profiles.packages.test_package import MANIFEST, packed

NO_REGISTRY = {"FHIR_PACKAGES__REGISTRY": ""}
BASE, TOP = Publisher("base"), Publisher("top")
HOSTILE: dict[str, object] = {"package/package.json": {**MANIFEST, "name": "hostile"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    content = BASE.archive("1.0.0", BASE.profile(), BASE.parameter(), BASE.guide())
    (folder / "base-1.0.0.tgz").write_bytes(content)
    (folder / "top.tgz").write_bytes(TOP.archive("1.0.0", TOP.profile(), base="1.0.x", gone="2"))
    return folder


def test_a_guide_comes_with_what_it_depends_on_and_leaves(command: Command, files: Path) -> None:
    folder = {**NO_REGISTRY, "FHIR_PACKAGES__FOLDER": str(files)}
    done = command("package", "install", files / "top.tgz", "--wait", "--json", **folder)
    assert done.code == 0, done.err
    base, top = done.json["installed"]
    assert (base["package"], top["package"]) == ("base#1.0.0", "top#1.0.0")
    assert base["resources"] == {"ImplementationGuide": 1, "SearchParameter": 1, "StructureDefinition": 1}
    assert [(one["code"], one["fate"]) for one in base["parameters"]] == [("nick-base", "active")]
    assert top["missing"] == ["gone#2"]

    again = command("package", "install", files / "top.tgz", files / "base-1.0.0.tgz", **NO_REGISTRY)
    assert again.out == (
        "base#1.0.0 was installed already: 3 resources (1 ImplementationGuide, 1 SearchParameter, 1 StructureDefinition).\n"
        "  Search parameters: 1 added, 0 said by others already, 0 not possible.\n"
        "top#1.0.0 was installed already: 1 resources (1 StructureDefinition).\n"
        "  It depends on gone#2, not installed: what it takes from there cannot be checked.\n"
    ), again.err

    refused = command("package", "remove", "base")
    assert refused.code == 1
    assert refused.err == (
        "error: top#1.0.0 depends on base#1.0.0. Remove it first, or remove base#1.0.0 all the same with --force.\n"
    )
    removed = command("package", "remove", "base@1.0.0", "--force")
    assert (removed.code, removed.out) == (0, "base#1.0.0 is removed, with its 3 resources.\n"), removed.err
    assert [
        (one["name"], one["state"], one["missing"]) for one in command("package", "list", "--json").json["packages"]
    ] == [("top", "installed", ["base#1.0.x", "gone#2"])]


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("which lies outside its folder", packed({**HOSTILE, "../../outside.json": b"{}"})),
        ("not a gzipped tar file", gzip.compress(b"x" * 5000, mtime=0)),
    ],
    ids=["traversal", "no-archive"],
)
def test_hostile_files_are_refused_with_a_sentence_and_nothing_is_installed(
    command: Command, tmp_path: Path, said: str, content: bytes
) -> None:
    good, hostile = tmp_path / "good.tgz", tmp_path / "hostile.tgz"
    good.write_bytes(Publisher("good").archive("1.0.0"))
    hostile.write_bytes(content)
    done = command("package", "install", good, hostile, **NO_REGISTRY)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: "), done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_nothing_is_installed_where_all_that_is_needed_is_wanted_and_not_there(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "needing.tgz"
    file.write_bytes(Publisher("needing").archive("1.0.0", absent="2", missing="1"))
    done = command("package", "install", file, "--all-dependencies", **NO_REGISTRY)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: absent#2 and missing#1 cannot be found, so nothing is installed. Name their files too.\n"
    )


def test_another_version_of_what_is_needed_is_told_and_taken(command: Command, tmp_path: Path) -> None:
    older, user = Publisher("older"), tmp_path / "user.tgz"
    user.write_bytes(Publisher("user").archive("1.0.0", older="2.0.0"))
    there = tmp_path / "older.tgz"
    there.write_bytes(older.archive("1.0.0", older.profile("1.0.0")))
    done = command("package", "install", there, user, **NO_REGISTRY)
    told = "  Of what it depends on, another version is installed, and taken: 1.0.0 instead of older#2.0.0.\n"
    assert told in done.out, done.err
    (listed,) = (one for one in command("package", "list", "--json").json["packages"] if one["name"] == "user")
    assert (listed["missing"], listed["instead"]) == (["older#2.0.0"], {"older#2.0.0": "1.0.0"})
    for name in ("user", "older"):
        assert command("package", "remove", name).code == 0


def test_the_doctor_knows_guides_that_are_whole(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "healthy.tgz"
    one = Publisher("healthy")
    file.write_bytes(one.archive("1.0.0", one.profile()))
    assert command("package", "install", file, **NO_REGISTRY).code == 0
    texts = [one["text"] for one in command("doctor", "--json").json["findings"] if one["level"] == "ok"]
    assert [text for text in texts if text.endswith("implementation guides are installed")], texts
