"""Making collections ahead of their first write: inside a transaction that would be too late (see `unit_of_work`)."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

_NAMESPACE_EXISTS = 48


async def create(database: AsyncDatabase[Any], name: str, **options: Any) -> None:
    """Create a collection; one that is there stays as it is, also when another process makes it at this moment.

    Args:
        database: Where.
        name: Its name.
        options: Those of the command `create`.
    """
    try:
        await database.command("create", name, **options)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
