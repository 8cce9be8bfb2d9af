"""Files are there whole or not at all, wherever they lie: in a folder, in a bucket, in the database."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr, ValidationError

from fhir_server.filing import Bucket, Folder, bucket, filed
from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.files import Files
from fhir_server.settings import Settings
from fhir_server.settings.bulk import Bulk
from tests.filing.bucket_server import BUCKET, BucketServer, bucket_server
from tests.store.conftest import store

__all__ = ["store"]

LARGE = bytes(range(256)) * 100_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def remote() -> AsyncIterator[tuple[BucketServer, str]]:
    async with bucket_server() as found:
        yield found


def bulk(url: str) -> Bulk:
    secret = SecretStr("secret")
    return Bulk(storage="s3", bucket=BUCKET, endpoint=url, access_key="key", secret_key=secret, prefix="fhir/")


def found(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(place.name for place in folder.rglob("*") if place.is_file())


@pytest.fixture(params=["folder", "bucket", "database"])
def files(request: pytest.FixtureRequest, tmp_path: Path, remote: tuple[BucketServer, str]) -> Files:
    if request.param == "folder":
        return Folder(tmp_path / "files")
    if request.param == "database":
        return request.getfixturevalue("store").files  # type: ignore[no-any-return]
    server, url = remote
    server.objects.clear()
    return Bucket(bulk(url))


async def parts(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def content(files: Files, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([part async for part in files.read(name, start, end)])


async def names(files: Files, prefix: str) -> list[str]:
    return sorted([one.name async for one in files.list(prefix)])


async def test_a_file_is_read_as_it_was_written_and_in_ranges(files: Files) -> None:
    assert await files.write("export/1/a.ndjson", parts(LARGE, b"end")) == len(LARGE) + 3
    assert await content(files, "export/1/a.ndjson") == LARGE + b"end"
    assert await content(files, "export/1/a.ndjson", 2**20 - 2, 2**20 + 2) == LARGE[2**20 - 2 : 2**20 + 2]
    assert await content(files, "export/1/a.ndjson", len(LARGE)) == b"end"
    assert await content(files, "export/1/a.ndjson", len(LARGE) + 9) == b""
    known = await files.stat("export/1/a.ndjson")
    assert known is not None
    assert (known.name, known.size) == ("export/1/a.ndjson", len(LARGE) + 3)
    assert known.modified.tzinfo is not None


async def test_an_empty_file_is_a_file(files: Files) -> None:
    assert await files.write("empty", parts()) == 0
    assert await content(files, "empty") == b""
    known = await files.stat("empty")
    assert known is not None
    assert known.size == 0


async def test_a_file_takes_the_place_of_the_one_before(files: Files) -> None:
    await files.write("one", parts(b"older"))
    await files.write("one", parts(b"new"))
    assert await content(files, "one") == b"new"
    assert await names(files, "one") == ["one"]


@pytest.mark.parametrize("before", [b"half", LARGE])
async def test_a_write_that_breaks_off_leaves_what_was_there(files: Files, before: bytes) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield before
        raise ZeroDivisionError("the source broke off")

    await files.write("one", parts(b"old"))
    with pytest.raises(ZeroDivisionError, match="broke off"):
        await files.write("one", broken())
    assert await content(files, "one") == b"old"
    assert await names(files, "") == ["one"]


async def test_a_write_that_is_cancelled_leaves_nothing(files: Files) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(files.write("job/one", endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await files.stat("job/one") is None
    assert await names(files, "job") == []


async def test_removing_takes_what_begins_so_and_nothing_else(files: Files) -> None:
    for name in ("export/1/a", "export/1/b", "export/10/a", "import/1/a"):
        await files.write(name, parts(b"x"))
    assert await names(files, "export/1") == ["export/1/a", "export/1/b", "export/10/a"]
    assert await files.remove("export/1/") == 2
    assert await names(files, "export/") == ["export/10/a"]
    assert await files.remove("export/1/") == 0
    assert await names(files, "") == ["export/10/a", "import/1/a"]
    with pytest.raises(NotFound):
        await content(files, "export/1/a")


async def test_what_is_not_there_is_not_there(files: Files) -> None:
    assert await files.stat("export/none") is None
    assert await names(files, "nowhere/") == []
    with pytest.raises(NotFound):
        await content(files, "export/none")


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/../../b", "a//b", ".hidden", "a/./b", "a\x00b", "a\nb", ""]
)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = Folder(tmp_path / "files")
    assert await folder.stat(name) is None
    with pytest.raises(NotFound):
        await content(folder, name)
    with pytest.raises(ValueError, match="no name"):
        await folder.write(name, parts(b"x"))
    assert found(tmp_path) == ["outside"]


async def test_who_reads_a_file_in_a_folder_has_all_of_it_though_it_is_removed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    await folder.write("job/one", parts(LARGE))
    reading = folder.read("job/one")
    first = await anext(reading)
    await folder.remove("job/")
    assert first + b"".join([part async for part in reading]) == LARGE
    assert await folder.stat("job/one") is None


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are those of POSIX")
async def test_a_folder_that_is_full_says_so_and_keeps_nothing_unfinished(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(Unavailable, match="cannot be used now"):
            await folder.write("job/one", parts(LARGE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found(tmp_path) == []
    assert await folder.write("job/one", parts(LARGE)) == len(LARGE)


async def test_removing_a_job_takes_what_a_crash_left_unfinished(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    await folder.write("job/one", parts(b"x"))
    (tmp_path / "job" / ".0123.part").write_bytes(b"half")
    assert await names(folder, "job/") == ["job/one"]
    assert await folder.remove("job/") == 1
    assert not (tmp_path / "job").exists()


async def test_a_bucket_that_refuses_is_unavailable_and_tells_no_secrets(remote: tuple[BucketServer, str]) -> None:
    server, url = remote
    files = Bucket(bulk(url))
    server.refuses = 403
    try:
        for work in (files.write("one", parts(b"x")), files.stat("one"), content(files, "one"), files.remove("one")):
            with pytest.raises(Unavailable) as refused:
                await work
            assert "secret" not in str(refused.value)
            assert url not in str(refused.value)
    finally:
        server.refuses = 0


async def test_what_is_uploaded_in_parts_is_given_up_when_it_breaks_off(remote: tuple[BucketServer, str]) -> None:
    server, url = remote
    files = Bucket(bulk(url))
    server.uploads.clear()

    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await files.write("one", broken())
    assert "fhir/one" not in server.objects
    assert await files.write("one", parts(LARGE)) == len(LARGE)
    assert server.objects["fhir/one"] == LARGE
    assert server.keys == {"key"}


async def test_the_setting_says_where_files_lie(
    tmp_path: Path, remote: tuple[BucketServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Folder(tmp_path / "database")
    assert filed(Settings(), database) is database
    folder = filed(Settings(data_dir=tmp_path, bulk=Bulk(storage="folder")), database)
    await folder.write("one", parts(b"x"))
    assert (tmp_path / "files" / "one").read_bytes() == b"x"
    assert isinstance(filed(Settings(bulk=bulk(remote[1])), database), Bucket)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ValidationError, match=r"aquifer\[s3\]"):
        bulk(remote[1])


@pytest.mark.parametrize(
    "wrong", [{"storage": "s3"}, {"access_key": "key"}, {"bucket": "Upper"}, {"endpoint": "ftp://x"}, {"prefix": "/x"}]
)
def test_settings_that_are_not_complete_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Bulk.model_validate(wrong)


def test_pieces_are_of_a_size_that_stores_take() -> None:
    assert bucket.PIECE >= 5 * 2**20
