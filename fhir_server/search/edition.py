"""The search parameters of one moment: those of FHIR and those that the deployment has added, as one immutable value.

An added parameter is first *building*: every write makes its entries, and a job makes those of what was written before.
When that is complete it is *active*: it can be searched by. So there are two sets of definitions in an edition, the one
that is searched and the one that is extracted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fhir_server.model.request import Pairs
from profiles.definitions.model import SearchComponent, SearchParameter
from profiles.definitions.registry import Definitions

State = Literal["building", "active"]

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Added:
    """A search parameter that the deployment has added.

    Attributes:
        id: Logical id of its SearchParameter resource.
        parameter: What it selects; its bases are concrete resource types.
        state: Whether it can be searched by.
        since: Version of the register that it became building with; what was written since then has its entries.
        job: Id of the job that was queued to make it complete.
    """

    id: str
    parameter: SearchParameter
    state: State
    since: int
    job: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Added":
        """Return what a row of the register says."""
        stated = dict(row["parameter"])
        stated["components"] = tuple(SearchComponent(**part) for part in stated["components"])
        for name in ("base", "targets"):
            stated[name] = tuple(stated[name])
        return cls(row["id"], SearchParameter(**stated), row["state"], row["since"], row["job"])

    def row(self) -> dict[str, Any]:
        """Return the row of the register."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Edition:
    """What is searched and extracted as of one version of the register.

    Attributes:
        version: Of the register.
        added: The added parameters.
        searchable: Definitions with those that are active.
        extracted: Definitions with all of them.
        codes: Their codes.
    """

    version: int
    added: tuple[Added, ...]
    searchable: Definitions
    extracted: Definitions
    codes: frozenset[str]

    @property
    def building(self) -> tuple[Added, ...]:
        """Those that cannot be searched by yet."""
        return tuple(one for one in self.added if one.state == "building")


def first(definitions: Definitions) -> Edition:
    """Return the edition of a deployment that has added nothing."""
    return Edition(0, (), definitions, definitions, frozenset())


def following(before: Edition, version: int, rows: Iterable[Mapping[str, Any]]) -> Edition:
    """Return the edition of a register. Definitions that stay as they were stay the same objects, with what is compiled of them."""
    added = tuple(Added.of(row) for row in rows)
    extracted = _extended((before.extracted, before.searchable), [one.parameter for one in added])
    active = [one.parameter for one in added if one.state == "active"]
    searchable = _extended((before.searchable, extracted), active)
    return Edition(version, added, searchable, extracted, frozenset(one.parameter.code for one in added))


def words(query: Pairs, *texts: str) -> frozenset[str]:
    """Return everything in a query that may be the code of a search parameter: in names, and in values of `_sort` and the like."""
    found = [name if not name.startswith("_") else f"{name} {value}" for name, value in query]
    return frozenset(_WORD.findall(" ".join((*found, *texts))))


def _extended(known: Sequence[Definitions], parameters: Sequence[SearchParameter]) -> Definitions:
    for definitions in known:
        if definitions.added == tuple(parameters):
            return definitions
    return known[0].extended(parameters)
