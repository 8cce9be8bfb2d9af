"""A write that is carried out and taken back: what would come of it, with every rule that holds for the real one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from fhir_server.repository.door import Repository

T = TypeVar("T")


async def rehearse(repository: Repository, types: Sequence[str], write: Callable[[Repository], Awaitable[T]]) -> T:
    """Return what a write gives, without storing anything.

    Args:
        repository: That of the caller.
        types: Resource types that it may write.
        write: Gets a repository bound to a unit of work that is given up in the end.

    Raises:
        FhirError: The write would be refused.
    """

    async def work(bound: Repository) -> T:
        result = await write(bound)
        await bound.flush()
        raise _Rehearsed(result)

    try:
        return await repository.exclusively([], types, work)
    except _Rehearsed as rehearsed:
        if footprint := repository.footprint:
            footprint.reset()
            footprint.detail["preview"] = True
        result: T = rehearsed.result
        return result


class _Rehearsed(Exception, Generic[T]):
    """Ends a unit of work whose result was only asked for."""

    def __init__(self, result: T) -> None:
        self.result = result
