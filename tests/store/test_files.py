"""Files in GridFS are there whole or not at all."""

from collections.abc import AsyncIterator

import pytest

from fhir_server.model.errors import NotFound
from fhir_server.store import Store
from tests.store.conftest import store

__all__ = ["store"]


async def parts(*texts: bytes) -> AsyncIterator[bytes]:
    for text in texts:
        yield text


async def content(store: Store, name: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([part async for part in store.files.read(name, start, end)])


async def test_a_file_is_read_as_it_was_written_and_in_ranges(store: Store) -> None:
    large = bytes(range(256)) * 8192
    assert await store.files.write("export/1/a.ndjson", parts(large, b"end")) == len(large) + 3
    assert await content(store, "export/1/a.ndjson") == large + b"end"
    assert await content(store, "export/1/a.ndjson", 2**20 - 2, 2**20 + 2) == large[2**20 - 2 : 2**20 + 2]
    assert await content(store, "export/1/a.ndjson", len(large)) == b"end"
    assert await content(store, "export/1/a.ndjson", len(large) + 9) == b""


async def test_a_large_file_is_whole_however_it_came(store: Store) -> None:
    whole = bytes(range(251)) * 40_000
    pieces = [whole[at : at + 700_001] for at in range(0, len(whole), 700_001)]
    assert await store.files.write("large", parts(*pieces)) == len(whole)
    assert await content(store, "large") == whole
    assert await content(store, "large", 4 * 2**20 - 1, 4 * 2**20 + 1) == whole[4 * 2**20 - 1 : 4 * 2**20 + 1]
    assert await store.files.write("empty", parts()) == 0
    assert await content(store, "empty") == b""


async def test_a_file_takes_the_place_of_the_one_before(store: Store) -> None:
    await store.files.write("one", parts(b"old"))
    await store.files.write("one", parts(b"newer"))
    stat = await store.files.stat("one")
    assert stat is not None
    assert stat.size == 5
    assert [one.name async for one in store.files.list("one")] == ["one"]


async def test_a_broken_write_leaves_what_was_there(store: Store) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("the source broke off")

    await store.files.write("one", parts(b"old"))
    with pytest.raises(ValueError, match="broke off"):
        await store.files.write("one", broken())
    assert await content(store, "one") == b"old"


async def test_removing_takes_what_begins_so_and_nothing_else(store: Store) -> None:
    for name in ("export/1/a", "export/1/b", "export/10/a"):
        await store.files.write(name, parts(b"x"))
    assert await store.files.remove("export/1/") == 2
    assert [one.name async for one in store.files.list("export/")] == ["export/10/a"]
    with pytest.raises(NotFound):
        await content(store, "export/1/a")
