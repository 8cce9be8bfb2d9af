"""Answers of the vocabulary to what checks of resources leave open: what is in a value set, and what a code is (docs/terminology-bindings.md)."""

from collections.abc import Iterable
from typing import Any

from fhir_server.vocabulary.vocabulary import Vocabulary
from profiles.validate.profile.asking import Asking, Coded, Known, Member
from terminology import versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.issue import TxError
from terminology.valueset.definition import Definition
from terminology.valueset.member import Code, Membership, Trail
from terminology.valueset.systems import Options, Systems

MOST = 5_000
"""Questions of one resource that are answered; those beyond stay open."""

COMPLETE = "complete"


class Bindings:
    """Answers for one caller (`checks.Terms`).

    Args:
        vocabulary: Where the answers come from.
        caller: Repository of who asks; `None` before anybody has asked.
    """

    def __init__(self, vocabulary: Vocabulary, caller: Any = None) -> None:
        self._vocabulary, self._caller = vocabulary, caller

    def seen_by(self, caller: Any) -> "Bindings":
        """Return the answers that a caller may be given: from value sets and code systems that the caller may see."""
        return Bindings(self._vocabulary, caller)

    async def answer(self, asking: Asking) -> None:
        """Answer what is open.

        Raises:
            Unavailable: The database cannot be reached.
        """
        catalogue = await self._vocabulary.catalogue(self._caller)
        await _members(catalogue, asking, list(asking.open_members)[:MOST])
        await _codings(catalogue, asking, list(asking.open_codings)[:MOST])


async def _members(catalogue: Catalogue, asking: Asking, questions: Iterable[Member]) -> None:
    options = Options(membership_only=True)
    systems = Systems(catalogue, options)
    membership = Membership(systems, options)
    known: dict[str, Definition | None] = {}
    for value_set, system, code in questions:
        if value_set not in known:
            known[value_set] = await _prepared(systems, membership, value_set)
        definition = known[value_set]
        answer = None if definition is None else await _held(membership, definition, system, code)
        asking.members[value_set, system, code] = answer


async def _held(membership: Membership, definition: Definition, system: str, code: str) -> bool | None:
    """Return whether a code is in a value set, in any of its code systems where none is stated; `None` where that is not known."""
    try:
        systems = [system] if system else await membership.infer(definition, code)
        answers = [await membership.holds(definition, Code(one, code), Trail()) for one in systems]
    except TxError:
        return None
    return True if True in answers else False if system and answers == [False] else None


async def _prepared(systems: Systems, membership: Membership, value_set: str) -> Definition | None:
    """Return a value set of which something can be told."""
    try:
        found = await systems.value_set(value_set)
        await membership.prepare(found)
    except TxError:
        return None
    return found


async def _codings(catalogue: Catalogue, asking: Asking, questions: Iterable[Coded]) -> None:
    providers: dict[tuple[str, str], CodeSystemProvider | None] = {}
    for system, version, code in questions:
        if (system, version) not in providers:
            providers[system, version] = await versions.code_system(catalogue, system, version)
        provider = providers[system, version]
        asking.codings[system, version, code] = None if provider is None else await _known(provider, code)


async def _known(provider: CodeSystemProvider, code: str) -> Known:
    head, found = provider.head, await provider.find(code)
    if found is None:
        return Known(head.version, head.content == COMPLETE, None)
    words = (found.display, *(one.value for one in found.designations))
    return Known(head.version, head.content == COMPLETE, tuple(dict.fromkeys(word for word in words if word)))
