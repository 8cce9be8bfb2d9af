"""What the application's own user of the database may do with the trail (AU-6), asked by the driver."""

import re
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from fhir_server.settings import Settings
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.trail import CHAIN, EVENTS, INDEXES, KEYS, SEALS, audit_database

UNAUTHORIZED = 13


@pytest.mark.parametrize("collection", [EVENTS, CHAIN, SEALS, KEYS])
async def test_AU_6_the_application_can_add_to_the_trail_and_change_nothing(
    collection: str, settings: Settings, database: AsyncDatabase[dict[str, Any]]
) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        audit = client[audit_database(settings.mongo.database)]
        rows = audit[collection]
        await rows.insert_one({"_id": "row", "a": 1})
        assert await rows.find_one({"_id": "row"}) == {"_id": "row", "a": 1}
        attacks = {
            "update": rows.update_one({"_id": "row"}, {"$set": {"a": 2}}),
            "replace": rows.replace_one({"_id": "row"}, {"a": 2}),
            "delete": rows.delete_one({"_id": "row"}),
            "drop": rows.drop(),
            "rename": rows.rename("elsewhere"),
            "expire": rows.create_index("a", expireAfterSeconds=1),
            "cap": audit.command({"convertToCapped": collection, "size": 4096}),
            "out": audit.command({"aggregate": collection, "pipeline": [{"$out": collection}], "cursor": {}}),
            "drop all": client.drop_database(audit.name),
        }
        for name, attack in attacks.items():
            with pytest.raises(OperationFailure) as refused:
                await attack
            assert refused.value.code == UNAUTHORIZED, name
        assert await rows.count_documents({}) == 1
        there = {index["name"] for index in await (await rows.list_indexes()).to_list()}
        assert there == {"_id_", *(spec.name for spec in INDEXES[collection])}


def test_the_page_for_operators_makes_every_index_of_the_trail() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
    script = page.partition("const audit = ")[2].partition("```")[0]
    assert dict(re.findall(r"\['(\w+)', '(\w+)'\]", script)) == {spec.name: spec.keys[0][0] for spec in INDEXES[EVENTS]}
    for spec in INDEXES[EVENTS]:
        field = spec.keys[0][0]
        assert spec.keys == ((field, 1), ("_id", -1))
        assert spec.options == {"partialFilterExpression": {field: {"$exists": True}}}
    others = {name: specs for name, specs in INDEXES.items() if name != EVENTS}
    made = re.findall(r"audit\.(\w+)\.createIndex\(\{ (.+?) \}, \{ name: '(\w+)' \}\)", script)
    assert {(name, keys.replace("'", ""), index) for name, keys, index in made} == {
        (name, ", ".join(f"{key}: {way}" for key, way in spec.keys), spec.name)
        for name, specs in others.items()
        for spec in specs
    }
    assert all(f"'{name}'" in script for name in INDEXES)
