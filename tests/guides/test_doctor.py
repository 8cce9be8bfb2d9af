"""What `fhir-server doctor` says of guides that are not whole."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.cli.doctor import _guides as examined
from fhir_server.store import PackageRow, Store
from tests.store.records import indexes_of


async def test_guides_in_part_and_damaged_ones_are_named_with_what_to_do(
    database: AsyncDatabase[dict[str, Any]],
) -> None:
    store = await Store.open(database, indexes_of)
    assert [line async for line in examined(database)] == []
    for name, state in (("begun", "installing"), ("left", "removing"), ("damaged", "installed")):
        row = PackageRow(name, "1.0.0", "", "installing", "", f"digest of {name}", 1, {})
        await store.packages.keep(row.digest, b"content")
        await store.transact(lambda unit, row=row: store.packages.add(row, unit.session))  # type: ignore[misc]
        await store.transact(lambda unit, row=row, state=state: store.packages.enter(row.key, state, unit.session))  # type: ignore[misc]
    lines = {line.text: (line.level, line.remedy) async for line in examined(database)}
    await store.close()
    assert lines == {
        "the guide begun#1.0.0 is installed in part, and not worked by": (
            "warning", "fhir-server package install, with the file of begun#1.0.0",
        ),
        "the guide left#1.0.0 is removed in part, and not worked by": (
            "warning", "fhir-server package remove left@1.0.0",
        ),
        "the content of the guide damaged#1.0.0 is not what was stored": (
            "error", "fhir-server package install, with the file of damaged#1.0.0",
        ),
    }  # fmt: skip
