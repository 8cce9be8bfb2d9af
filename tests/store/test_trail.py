"""What the application's own user of the database may do with the trail (AU-6), asked by the driver."""

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
