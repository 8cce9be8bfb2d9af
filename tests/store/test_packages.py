"""Packages are kept in parts, counted from the moment they are whole, and leave no parts behind."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import PackageRow, Served, Store, packages

CONTENT = bytes(range(256)) * 11
ROW = PackageRow(
    "guide", "1.0.0", "A guide", "installing", "file", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT),
    {"hl7.fhir.r4.core": "4.0.1"}, (Served("ValueSet", "v", "http://x.org/v", "1"),), ("A note.",),
)  # fmt: skip


async def install(store: Store, row: PackageRow, content: bytes) -> None:
    await store.packages.keep(row.digest, content)
    await store.transact(lambda unit: store.packages.add(row, unit.session))
    await store.transact(lambda unit: store.packages.enter(row.key, "installed", unit.session))


async def test_a_package_is_read_as_it_was_stored_in_however_many_parts(
    store: Store, another: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PART", 200)
    assert (await another.packages.version(), await another.packages.rows()) == (0, [])
    await install(store, ROW, CONTENT)
    (row,) = await another.packages.rows()
    assert row == replace(ROW, state="installed")
    assert await another.packages.content(row) == CONTENT
    assert await another.packages.version() == 1


async def test_what_is_not_what_was_stored_is_not_given_out(
    store: Store, database: AsyncDatabase[dict[str, Any]]
) -> None:
    await install(store, ROW, CONTENT)
    await database["package_parts"].update_one({}, {"$set": {"content": b"x"}})
    assert await store.packages.content(ROW) is None
    await store.packages.forget(ROW)
    assert await database["package_parts"].count_documents({}) == 0
    assert await store.packages.content(ROW) is None


async def test_parts_that_no_row_has_named_for_a_day_are_deleted(
    store: Store, database: AsyncDatabase[dict[str, Any]]
) -> None:
    parts = database["package_parts"]
    await install(store, ROW, CONTENT)
    for digest in ("old", "young"):
        await store.packages.keep(digest, b"cut off")
    long_ago = datetime.now(UTC) - timedelta(days=2)
    await parts.update_many({"digest": {"$ne": "young"}}, {"$set": {"at": long_ago}})
    await store.packages.keep("next", b"another one")
    assert {part["digest"] async for part in parts.find()} == {ROW.digest, "young", "next"}
