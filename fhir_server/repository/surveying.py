"""What is stored, gone through in batches beside the writers, and what is found wrong with it: counts for each kind of finding.

A report names ids and never values: what exactly is wrong with an example, `$validate` tells who may see it.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fhir_server.facilities.tree import Tree
from fhir_server.model import instant, json
from fhir_server.model.query import Query, Where
from fhir_server.model.stored import Hit
from fhir_server.repository.answering import Answering
from fhir_server.repository.door import Repository
from profiles.issue import Issue

KIND = "validate"
AT_ONCE = 50
MOST_KINDS = 500
"""Kinds of findings that are told apart in a report; of more it is only counted how many findings they are."""
EXAMPLES = 5
MOST_EXAMPLES = 50
AGE = 60.0
"""Seconds for which the hierarchy is taken to be what it was."""

_INDEX = re.compile(r"\[\d+\]|/\*.*?\*/", re.ASCII)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """What a survey goes through.

    Attributes:
        types: Resource types, none for all.
        profiles: Canonicals that each resource of their types is to conform to, beside what it claims and what is required of it.
        since: Only what was written since then.
        examples: Ids that are kept of each kind of finding.
    """

    types: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    since: datetime | None = None
    examples: int = EXAMPLES

    def payload(self) -> Json:
        """Return it as the payload of a job."""
        since = instant.text(self.since) if self.since else ""
        return {"types": [*self.types], "profiles": [*self.profiles], "since": since, "examples": self.examples}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Task":
        """Return the task of a job."""
        since = datetime.fromisoformat(payload["since"]) if payload["since"] else None
        return cls(tuple(payload["types"]), tuple(payload["profiles"]), since, payload["examples"])

    @property
    def key(self) -> str:
        """Key of the job: of those for the same one is enough."""
        return f"{KIND}/{json.encode(self.payload()).decode()}"


@dataclass(slots=True)
class Tally:
    """What was found so far.

    Attributes:
        done: Resources that were gone through.
        failing: Those of them with an error.
        kinds: By type, severity, code, message id, path and profile: how many findings, and ids of some resources with one.
        other: Findings of kinds beyond those that are told apart.
    """

    done: int = 0
    failing: int = 0
    kinds: dict[tuple[str, ...], tuple[int, list[str]]] = field(default_factory=dict)
    other: int = 0

    def add(self, resource_type: str, resource_id: str, found: Iterable[Issue], examples: int) -> None:
        """Count what was found wrong with a resource."""
        failing = False
        for one in found:
            failing = failing or one.fails
            key = (resource_type, one.severity, one.code, one.message_id, _path(one), _profile(one))
            if key not in self.kinds:
                if len(self.kinds) >= MOST_KINDS:
                    self.other += 1
                    continue
                self.kinds[key] = (0, [])
            count, ids = self.kinds[key]
            if len(ids) < examples and resource_id not in ids:
                ids.append(resource_id)
            self.kinds[key] = (count + 1, ids)
        self.done += 1
        self.failing += failing

    def plain(self) -> Json:
        """Return it as plain values."""
        rows = [[*key, count, ids] for key, (count, ids) in self.kinds.items()]
        return {"done": self.done, "failing": self.failing, "kinds": rows, "other": self.other}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Tally":
        """Return the tally of plain values."""
        kinds = {tuple(row[:-2]): (row[-2], list(row[-1])) for row in plain["kinds"]}
        return cls(plain["done"], plain["failing"], kinds, plain["other"])


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of finding of a report: where, what, by which profile, how often, and ids of some resources with it."""

    type: str
    severity: str
    code: str
    message: str
    path: str
    profile: str
    count: int
    examples: tuple[str, ...]


def findings(kinds: Iterable[Sequence[Any]]) -> list[Finding]:
    """Return the kinds of findings of a tally: errors first, then by type, the most frequent first."""
    rows = [
        Finding(kind, severity, code, message, path, profile, count, tuple(examples))
        for kind, severity, code, message, path, profile, count, examples in kinds
    ]
    grave = {"fatal": 0, "error": 0, "warning": 1}
    return sorted(
        rows, key=lambda row: (grave.get(row.severity, 2), row.type, -row.count, row.path, row.message, row.profile)
    )


async def types(repository: Repository, task: Task) -> list[str]:
    """Return the resource types that a survey goes through, in order."""
    concerned = {repository.checks.type_of(one) for one in task.profiles}
    return [
        name
        for name in await repository.types()
        if (not task.types or name in task.types) and (not concerned or name in concerned)
    ]


async def total(repository: Repository, types: Collection[str]) -> int:
    """Return about how many resources of these types there are."""
    return sum([await repository.store.reindexing.estimate(name) for name in types])


async def step(
    repository: Repository, task: Task, resource_type: str, after: str, note: Callable[[str, list[Issue]], None]
) -> str:
    """Look at the next resources of a type; return where the last of them stands, nothing behind the last one.

    Other requests have their turn after each resource. Nothing is locked and nothing is written.

    Args:
        repository: Everything that is to be gone through.
        task: What is looked at.
        resource_type: The type.
        after: Where the one before stands.
        note: Told of each resource and what is wrong with it.

    Raises:
        Unavailable: The database cannot be reached.
    """
    tree = await repository.house.lately(AGE) if repository.conformance.by_facility else None
    found = await repository.store.find(_query(repository, task, resource_type, after))
    for hit in found:
        note(hit.id, await _wrong(repository, task, resource_type, hit, tree))
        await asyncio.sleep(0)
    return _place(found[-1], task) if found else ""


async def _wrong(repository: Repository, task: Task, resource_type: str, hit: Hit, tree: Tree | None) -> list[Issue]:
    resource = json.decode(hit.body)
    required = repository.conformance.rule(resource_type, hit.envelope.get("f", ""), tree).required
    profiles = [*dict.fromkeys((*task.profiles, *(one for one in required if repository.checks.knows(one))))]
    asked = await Answering(repository, repository.checks).asked(resource)
    found = repository.checks.findings(resource, resource_type, profiles, asked)
    return [one for one in found if one.severity != "information"]


def _query(repository: Repository, task: Task, resource_type: str, after: str) -> Query:
    where = repository.scope.where(resource_type, "r")
    if task.since is None:
        behind = Where("clause", {"_id": {"$gt": after}})
        return Query(resource_type, where & behind, (("_id", 1),), AT_ONCE, hint="_id_", fields=("f",))
    # By the time of writing, so that not everything older is looked at; what is written meanwhile comes again.
    moment, _, order = after.partition("/")
    clause: dict[str, Any] = {"lu": {"$gte": datetime.fromisoformat(moment) if after else task.since}}
    if after:
        clause["$or"] = [{"lu": {"$gt": clause["lu"]["$gte"]}}, {"o": {"$gt": int(order)}}]
    sort = (("lu", 1), ("o", 1))
    return Query(resource_type, where & Where("clause", clause), sort, AT_ONCE, hint="updated", fields=("f", "lu", "o"))


def _place(last: Hit, task: Task) -> str:
    if task.since is None:
        return last.id
    moment: datetime = last.envelope["lu"]
    return f"{instant.text(moment.replace(tzinfo=UTC))}/{last.envelope['o']}"


def _path(one: Issue) -> str:
    return _INDEX.sub("", one.expression)


def _profile(one: Issue) -> str:
    """Return the profile that a finding is by: that of a constraint stands in the name of its message."""
    return one.profile or one.message_id.partition("#")[0] * ("#" in one.message_id)
